"""Checks of a loss: whom it prefers against whom its users would, and what a mean over tokens weighs."""
