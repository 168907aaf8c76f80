"""Checks of a distilled student: what it lost against its teacher, overall and in each slice, and how sure it is."""
