"""Kubeflow pipelines: what runs in which order, where, and with which parameters."""
