"""Adapting to a group that nobody labelled: how reliable each modality is for the batch at hand.

`lapses` says the mathematics of agreement, `typicality` that of features, `prior` what a saved model remembers of
validation, `adapting` puts them together. docs/adaptation.md has the formulas and the measurements.
"""
