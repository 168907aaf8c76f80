"""PyTorch's formats, of which each is a pickle with storages beside it."""
