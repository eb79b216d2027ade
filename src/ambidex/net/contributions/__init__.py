"""Contributions of any head: coalitions of cached features, and the Shapley values over them."""
