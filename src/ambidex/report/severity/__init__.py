"""A study over severities of degradation: accuracy and who decides, by method and allocator."""
