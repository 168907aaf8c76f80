"""Checks of data, logs, settings and models: is the fault there, how large is it, and how sure is that?"""
