"""One model, all modalities together."""
