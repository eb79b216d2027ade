"""The decision layer: allocators, what they are fitted on, and the model that predicts with one."""
