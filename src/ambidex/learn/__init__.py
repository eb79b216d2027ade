"""Training: the engine, its loop, and the methods that balance it."""
