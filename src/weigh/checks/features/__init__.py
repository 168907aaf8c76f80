"""Checks of features: columns that tell the answer, or that nobody knows when the model is asked."""
