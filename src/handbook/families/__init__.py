"""The constructors that `weigh` keeps, held equal to those of the installed transformers.

`make families` slices them anew and compares what they say with what transformers builds on the meta device.
"""
