"""What is known of models that lie in a folder: how many of which kind, and which fits a few labels of one's own."""
