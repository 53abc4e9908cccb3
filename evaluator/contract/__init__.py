"""What strangers and machines hand to each other, and its checks."""
