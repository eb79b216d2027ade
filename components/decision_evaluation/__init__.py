"""Diagnosis and repair of trained models, and the comparison of many."""
