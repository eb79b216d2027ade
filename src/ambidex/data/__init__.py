"""What samples are and how they become tensors: the kinds of modalities, and statistics of their training samples."""
