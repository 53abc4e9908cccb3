"""What sets a machine up, and what made the files that ship with the project."""
