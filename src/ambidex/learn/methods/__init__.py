"""Methods: one file each, the mathematics of one paper and nothing else. Files here are plug-ins."""
