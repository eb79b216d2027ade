"""Kubeflow components: each one's body is one call into the library or into a plain function beside it."""
