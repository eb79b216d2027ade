"""What became of a run, in words."""
