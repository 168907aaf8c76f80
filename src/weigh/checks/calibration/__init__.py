"""Checks of calibration: confidence against the share of right answers, overall, by class and slice, and abstention."""
