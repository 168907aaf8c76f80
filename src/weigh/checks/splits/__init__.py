"""Checks of a split: rows, texts, entities and times that both parts share, and what that is worth."""
