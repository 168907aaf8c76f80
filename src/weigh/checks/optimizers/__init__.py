"""Checks of a training run by its log: growth that the loss still hides, steps too small, weights learnt by heart."""
