"""What keeps the board honest: what may be told, who has seen the labels, signatures, verification."""
