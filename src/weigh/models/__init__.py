"""What a config describes: the sizes of a model, its tensors, its KV caches and the tensors that training saves."""
