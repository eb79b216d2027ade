"""Mutated inputs for every reader of the product: what is made of a file, and what the reader may make of that."""
