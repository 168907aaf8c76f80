"""Checks of embedding vectors: whether two sets lie in one space, what an index finds of them, and its manifest."""
