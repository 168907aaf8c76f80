"""What a config describes: a model's tensors, what its layers keep while it generates and save while it is trained."""
