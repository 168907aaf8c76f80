"""Checks of data, logs and settings: is the fault there, how large is it, and how sure is that?"""
