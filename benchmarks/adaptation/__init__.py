"""Adapting without labels: batches of groups that nobody labelled, clean and with one broken modality."""
