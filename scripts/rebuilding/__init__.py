"""What `scripts.rebuild` makes anew, part by part."""
