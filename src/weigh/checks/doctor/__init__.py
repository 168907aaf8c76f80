"""What can be examined of a model directory without running the model: all six artifacts, and an adapter's base."""
