"""What allocators do to trained heads, shipped ones and ones that were tried. `python -m benchmarks.allocators`."""
