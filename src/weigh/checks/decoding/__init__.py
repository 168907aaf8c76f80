"""Checks of decoding: what engines make of a generation config, and how far outputs drift."""
