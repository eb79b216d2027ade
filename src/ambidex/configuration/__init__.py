"""The parameters: their types, bounds and descriptions, and the messages about mistakes in them."""
