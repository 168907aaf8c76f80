"""A tokenizer from whatever holds one: the files that `weigh.tokenizer` reads, and the vocabulary of a GGUF file."""

import json
from pathlib import Path
from typing import Any

from weigh.errors import InvalidTokenizer
from weigh.formats import gguf
from weigh.sources import File, is_directory, is_remote, locate
from weigh.tokenizers.libraries import HuggingFace
from weigh.tokenizers.reading import Tokenizer, refusals, tokenizer


def any_tokenizer(path: str | Path) -> Tokenizer:
    """A tokenizer, run by its own library.

    Args:
        path: What `weigh.tokenizer` takes, or a GGUF file with a byte-level vocabulary, which transformers builds.

    Raises:
        InvalidTokenizer: If the file is no tokenizer, or none that is built as it was.
        WeighError: What reading the file raises.
    """
    where = locate(path)
    if is_directory(where) or File(where).first(4) != b"GGUF":
        return tokenizer(path)
    facts = gguf.read(File(where)).metadata
    model, split = facts.get("tokenizer.ggml.model"), facts.get("tokenizer.ggml.pre")
    if model is None:
        raise InvalidTokenizer(where, "holds no tokenizer; give the directory that the model was converted from")
    with refusals(where):
        from transformers.integrations.gguf import gguf_tokenizer_mapping as builders

        # It drops a leading space of SentencePiece's, and takes a split that it does not know for GPT-2's.
        if model != "gpt2" or split not in ("gpt-2", *builders.GGUF_PRE_TOKENIZER_SPLITS) or is_remote(where):
            what = f"a tokenizer ({str(model)[:40]!r}, split by {str(split)[:40]!r}) that is not rebuilt as it was"
            raise InvalidTokenizer(where, f"holds {what}; give the directory it was converted from")
        backend: Any
        backend, _ = builders.convert_gguf_tokenizer(*builders.get_gguf_tokenizer(str(where))[:2])
        raw = backend.to_str()
        return HuggingFace(where, raw.encode(), json.loads(raw))
