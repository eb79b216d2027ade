"""What is known of a method beside its mathematics: paper, cost, deviations, presets, published numbers."""
