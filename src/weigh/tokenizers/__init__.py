"""Tokenizers: reading the files of one, and byte-pair encoding from scratch."""
