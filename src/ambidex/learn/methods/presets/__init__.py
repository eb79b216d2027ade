"""The methods' presets, a file each: published settings, which reach training as parameters alone."""
