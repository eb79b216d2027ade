"""Predictions for single clips: from files to class, probability and shares."""
