"""Speed against the bare loop and against the limit. `python -m benchmarks` prints one table of ratios."""
