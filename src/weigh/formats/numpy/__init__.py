"""NumPy's formats: `.npy` and `.npz`."""
