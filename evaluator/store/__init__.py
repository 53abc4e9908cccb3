"""What is kept on disk: published records, who brought what, and the private state."""
