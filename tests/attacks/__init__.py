"""Hostile images: a directory is a test. `python -m tests.attacks` runs them all and prints a table."""
