"""Hydra's configuration groups: a backbone, a head or a data set is one YAML file here, or in a folder of one's own."""
