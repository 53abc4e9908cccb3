"""What several tests need: made on the spot, never a copy of the code that is tested."""
