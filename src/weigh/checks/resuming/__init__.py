"""What the files alone can say of a training checkpoint: whether a run that goes on from it goes on as it was."""
