"""Checks of a tokenizer: text that is lost or misread, and a tokenizer that is not its model's."""
