"""From published files to hidden data."""
