"""How far `auto` stays behind the best allocator, by the number of validation groups: `python -m benchmarks.choice`."""
