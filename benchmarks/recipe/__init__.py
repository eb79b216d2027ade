"""The loop's defaults, chosen on data sets: `python -m benchmarks.recipe`."""
