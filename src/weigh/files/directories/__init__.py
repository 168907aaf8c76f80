"""A model directory: its six artifacts, its tensors, over however many files they are spread, and what was not read.

The ideas are in the modules: `listing` knows the names of files, `weights` chooses those that count, `training` knows
the folders of training state, `components` the models of several folders, `pickles` what loading would import,
`foreign` the formats that are not read, and `unread` accounts for every byte that is left.
"""

from weigh.files.directories.listing import ARTIFACTS, artifacts_of, find_artifacts
from weigh.files.directories.reading import read
from weigh.files.directories.shards import read_file, read_index
from weigh.files.directories.weights import WHOLE_MODELS

__all__ = ["ARTIFACTS", "WHOLE_MODELS", "artifacts_of", "find_artifacts", "read", "read_file", "read_index"]
