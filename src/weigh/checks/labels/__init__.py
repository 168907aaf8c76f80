"""Checks of labels: raters that disagree, labels that a model contradicts, labels older than their source."""
