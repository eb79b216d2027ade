"""Networks: what they have in common, and what they are made of."""
