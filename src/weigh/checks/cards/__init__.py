"""Checks of model cards: what is left out, and whether a card is that of its weights, its run and its base model."""
