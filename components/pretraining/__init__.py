"""One classifier per modality, alone."""
