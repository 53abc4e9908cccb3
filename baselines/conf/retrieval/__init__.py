"""Hydra's configuration of retrieval: each preset is one YAML file here."""
