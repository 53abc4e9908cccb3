"""What the performance and coverage claims rest on."""
