"""Hydra's configuration of meta-training: each preset is one YAML file here."""
