"""The six artifacts of a model directory: read as fields, compared one by one, and pinned by a manifest."""
