"""What a model costs: the bytes and seconds of serving it, training it and saving it."""
