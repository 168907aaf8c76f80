"""The model types of transformers: their constructors sliced to what decides shapes, and held equal to the originals."""
