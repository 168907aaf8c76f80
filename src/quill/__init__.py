"""Quill, the demo model of the handbook: a small model of Shakespeare's language, from its text to its model card."""
