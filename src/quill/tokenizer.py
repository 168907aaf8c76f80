"""The tokenizer: byte-level BPE (Sennrich et al. 2016; Radford et al. 2019), trained on the texts that Quill reads."""

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|endoftext|>"
"""The token between two works, id 0. Text that spells it out is taken for it: see the page on special tokens."""
ENTRIES = 2048


def train(texts: Iterable[str], entries: int = ENTRIES) -> Tokenizer:
    """Merge the commonest pair of neighbours again and again, from the 256 bytes up to so many entries."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=entries,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write(tokenizer: Tokenizer, directory: Path, positions: int) -> None:
    """Write tokenizer.json, and what transformers wants to know beside it."""
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END,
        "eos_token": END,
        "unk_token": None,
        "model_max_length": positions,
        "clean_up_tokenization_spaces": False,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def read(directory: str | Path) -> Tokenizer:
    """Load the tokenizer of a directory."""
    return Tokenizer.from_file(str(Path(directory, "tokenizer.json")))


def encode_all(tokenizer: Tokenizer, texts: Iterable[str]) -> list[int]:
    """The ids of several texts, with the end token in front of each."""
    end = tokenizer.token_to_id(END)
    assert end is not None
    return [id for encoding in tokenizer.encode_batch(list(texts)) for id in (end, *encoding.ids)]
