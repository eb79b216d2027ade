"""What the engine is made of: batches, optimiser, checkpoints, monitoring."""
