"""What one asks of files: what is in them, what changed between two, what to export, the numbers of a tensor."""
