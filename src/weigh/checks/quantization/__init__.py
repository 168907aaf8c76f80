"""Checks of quantization: what a file of fewer bits holds, and which answers it changes."""
