"""What a trained model says, measured: evaluation, probes, imbalance and diagnostics."""
