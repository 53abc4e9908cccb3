"""A candidate beside a baseline."""
