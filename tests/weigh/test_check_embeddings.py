"""The checks of embedding spaces: vectors, spaces, indexes, manifests; hit, miss, boundary, bad input."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import cdist
from usearch.index import Index, MetricKind, search

import weigh
from weigh.checks.embeddings.search import nearest
from weigh.checks.embeddings.vectors import _mapped
from weigh.cli import main
from weigh.errors import InvalidSetting, InvalidTable


def encoded(encoder: int = 0, items: int = 1000, dimensions: int = 48) -> Any:
    """Vectors of length 1 of the same items by one of several encoders, all around one direction."""
    hidden = np.random.default_rng(0).normal(size=(items, 16))
    random = np.random.default_rng(100 + encoder)
    found = np.tanh(hidden @ random.normal(size=(16, dimensions))) @ random.normal(size=(dimensions, dimensions)) + 6
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


ONE, OTHER = encoded(0), encoded(1)


def index_of(vectors: Any, metric: str = "cos", dtype: str = "f32") -> Index:
    index = Index(ndim=vectors.shape[1], metric=metric, dtype=dtype)
    index.add(np.arange(len(vectors)), vectors, threads=1)
    return index


def wilson(count: int, total: int) -> tuple[float, float]:
    """The ends of Wilson's 95 % interval, as roots of (p − count / total)² = z² p (1 − p) / total."""
    z, share = 1.959963984540054, count / total
    low, high = sorted(np.roots([1 + z**2 / total, -(2 * share + z**2 / total), share**2]))
    return float(low), float(high)


def mixed(share: float) -> Any:
    """An index in the middle of its migration: the first rows are the other encoder's."""
    vectors = ONE.copy()
    vectors[: round(share * len(ONE))] = OTHER[: round(share * len(ONE))]
    return vectors


def findings(*args: Any, **options: Any) -> dict[str, str]:
    return {result.check: result.finding for result in weigh.check_embeddings(*args, **options).results}


def command(*args: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    return int(ended.value.code or 0)


# Vectors


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("float64.npy", 0), ("float32.npy", 0), ("float16.npy", 1e-3), ("big-endian.npy", 0), ("columns.npy", 0),
     ("one.npz", 0), ("one.safetensors", 0), ("bfloat16.safetensors", 4e-3), ("whole.pt", 0)],
)  # fmt: skip
def test_vectors_are_those_of_the_file(name: str, tolerance: float, tmp_path: Path) -> None:
    path, kind = tmp_path / name, name.partition(".")[0]
    if name.endswith(".safetensors"):
        save_tensors({"v": torch.tensor(ONE).to(getattr(torch, kind, torch.float32))}, path)
    elif name.endswith(".pt"):
        torch.save({"v": torch.tensor(ONE)}, path)
    elif name.endswith(".npz"):
        np.savez_compressed(path, ids=np.arange(len(ONE)), v=ONE)
    else:
        np.save(path, {"big-endian": ONE.astype(">f4"), "columns": np.asfortranarray(ONE)}.get(kind, ONE.astype(kind)
                if kind.startswith("float") else ONE))  # fmt: skip
    found = weigh.vectors(path)
    assert (found.rows, found.dimensions) == ONE.shape
    assert np.abs(found.at(slice(None)) - ONE).max() <= tolerance
    assert np.array_equal(np.concatenate([block for _, block in found.blocks()]), found.at(slice(None)))


@pytest.mark.parametrize("new_format", [True, False])
def test_a_part_of_a_tensor_that_pytorch_saved_is_that_part(new_format: bool, tmp_path: Path) -> None:
    whole = torch.from_numpy(ONE)
    parts = [whole[::2], whole[:, ::2], whole[:, :16], whole[5:], whole.t(), whole[:1].expand(len(ONE), -1)]
    for part in parts:
        torch.save(part, tmp_path / "part.pt", _use_new_zipfile_serialization=new_format)
        read = weigh.vectors(tmp_path / "part.pt")
        assert np.array_equal(read.at(slice(None)), part.numpy()), part.stride()


def test_strides_that_leave_the_bytes_are_refused(tmp_path: Path) -> None:
    torch.save(torch.from_numpy(ONE), tmp_path / "whole.pt")
    contents = weigh.inspect(tmp_path / "whole.pt")
    for strides in ((len(ONE), 1), (-1, 1)):
        with pytest.raises(InvalidTable, match="leave its bytes"):
            _mapped(contents, dataclasses.replace(contents.named[0], strides=strides))


def test_a_large_file_is_mapped_and_read_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    large = np.lib.format.open_memmap(path, "w+", np.float16, (300_000, 16))
    large[:] = 1
    del large
    found = weigh.vectors(path)
    assert isinstance(found.numbers, np.memmap)
    assert max(block.nbytes for _, block in found.blocks()) <= 2**24
    assert found.survey.usable.all()


def test_int8_is_taken_as_it_is() -> None:
    small = np.round(127 * ONE / np.abs(ONE).max()).astype(np.int8)
    assert findings(small, ONE)["same space"] == "no"
    assert findings(small, ONE)["moved vectors"] == "no"


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros(5), r"shape \[5\]; two dimensions"),
        (np.zeros((2, 2, 2)), r"shape \[2, 2, 2\]"),
        (np.zeros((0, 4)), "holds no vectors"),
        (np.zeros((4, 0)), "holds no vectors"),
        (np.zeros((4, 4), dtype=np.int64), "holds int64; vectors are of float64"),
        (np.zeros((4, 4), dtype=np.uint8), "np.unpackbits"),
        (np.zeros((4, 4), dtype=complex), "holds complex128"),
        (np.zeros((4, 4), dtype=bool), "holds bool"),
        (np.array(5.0), r"shape \[\]"),
    ],
)
def test_what_holds_no_vectors_is_refused(array: Any, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    for source in (array, tmp_path / "x.npy"):
        with pytest.raises(weigh.WeighError, match=said) as refused:
            weigh.check_embeddings(source)
        assert "\n" not in str(refused.value)


def test_no_pickle_is_run_and_no_broken_file_is_read(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([[object]], dtype=object), allow_pickle=True)
    np.save(tmp_path / "short.npy", ONE)
    with (tmp_path / "short.npy").open("r+b") as file:
        file.truncate(1000)
    (tmp_path / "text.npy").write_text("no vectors")
    (tmp_path / "empty.npy").touch()
    save_file({"a": ONE, "b": ONE}, tmp_path / "two.safetensors")
    for name, said in {
        "objects.npy": "Python objects in a pickle, which is not run",
        "short.npy": "needs 192,000 bytes, and 872 are there",
        "text.npy": "starts with",
        "empty.npy": "weigh reads",
        "gone.npy": "check the path",
        "two.safetensors": "2 arrays of two dimensions; name one of its arrays: 'a', 'b'",
    }.items():
        with pytest.raises(weigh.WeighError, match=said):
            weigh.vectors(tmp_path / name)
    assert weigh.vectors(tmp_path / "two.safetensors", "b").rows == len(ONE)
    with pytest.raises(weigh.WeighError, match="no array 'c'"):
        weigh.vectors(tmp_path / "two.safetensors", "c")
    with pytest.raises(weigh.WeighError, match="is no array of numbers"):
        weigh.vectors([[1.0, 2.0], [1.0]])
    with pytest.raises(weigh.WeighError, match="bfloat16"):
        weigh.vectors(torch.zeros(2, 2, dtype=torch.bfloat16))
    assert weigh.vectors(torch.ones(2, 3)).dimensions == 3


# Search


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
def test_exact_search_is_that_of_the_libraries(metric: Any) -> None:
    random = np.random.default_rng(0)
    stored, asked = (random.normal(size=(many, 24)).astype(np.float32) for many in (3000, 40))
    stored *= random.lognormal(size=(3000, 1)).astype(np.float32)
    found = nearest(weigh.vectors(stored), asked, metric, 10).rows
    if metric != "dot":
        apart = cdist(asked, stored, "euclidean" if metric == "l2" else "cosine")
        assert np.array_equal(found, np.argsort(apart, axis=1)[:, :10])
    kind = {"cosine": MetricKind.Cos, "dot": MetricKind.IP, "l2": MetricKind.L2sq}[metric]
    assert np.array_equal(found, search(stored, asked, 10, kind, exact=True, threads=1).keys)


def test_blocks_change_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = nearest(weigh.vectors(ONE), OTHER[:50], "l2", 10)
    monkeypatch.setattr("weigh.checks.embeddings.vectors._AT_ONCE", 7 * ONE.shape[1])
    parts = nearest(weigh.vectors(ONE), OTHER[:50], "l2", 10)
    assert np.array_equal(whole.rows, parts.rows)


# Spaces


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_one_encoder_in_another_precision_is_one_space(dtype: str) -> None:
    again = torch.tensor(ONE).to(getattr(torch, dtype)).float().numpy()
    report = weigh.check_embeddings(ONE, again, metric="dot")
    assert {result.finding for result in report.results} == {"no"}


def test_two_encoders_are_two_spaces_whatever_their_cosine() -> None:
    items = weigh.same_items(ONE, OTHER)
    result = weigh.same_space(items)
    assert result.finding == "yes"
    assert result.figure.value < 0.02
    assert (ONE * OTHER).sum(1).mean() > 0.3
    ends = wilson(round(result.figure.value * 1000), 1000)
    assert (result.figure.low, result.figure.high) == pytest.approx(ends, abs=1e-9)
    assert weigh.moved_vectors(items).figure.value > 0.95


def test_a_rotation_is_another_space_until_it_is_turned_back() -> None:
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(48, 48)))[0].astype(np.float32)
    assert findings(ONE, ONE @ turn)["same space"] == "yes"
    back = orthogonal_procrustes((ONE @ turn)[:200], ONE[:200])[0]
    assert findings(ONE, ONE @ turn @ back)["same space"] == "no"


@pytest.mark.parametrize(
    ("share", "space", "moved"), [(0, "no", "no"), (0.05, "no", "yes"), (0.5, "yes", "yes"), (1, "yes", "yes")]
)
def test_a_mixed_index_is_seen_by_its_moved_rows(share: float, space: str, moved: str) -> None:
    found = findings(mixed(share), ONE)
    assert (found["same space"], found["moved vectors"]) == (space, moved)


def test_only_the_foreign_rows_have_moved() -> None:
    result = weigh.moved_vectors(weigh.same_items(mixed(0.3), ONE, sample=10_000))
    assert result.figure.value == pytest.approx(0.3, abs=0.001)
    assert all(row["row"] < 300 for row in result.evidence)
    assert any("from 0 to 299" in note for note in result.notes)


def test_equal_vectors_find_each_other_without_harm() -> None:
    doubled = np.concatenate([ONE[:300]] * 4)
    assert findings(doubled, doubled)["same space"] == "no"
    alike = np.repeat(ONE[:1], 500, axis=0)
    found = findings(alike, alike)
    assert (found["same space"], found["moved vectors"], found["repeated vectors"]) == ("no", "no", "yes")


def test_a_sample_of_some_items_names_its_rows(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).permutation(len(ONE))[:400]
    np.save(tmp_path / "rows.npy", rows)
    for given in (rows, rows.tolist(), tmp_path / "rows.npy"):
        assert findings(ONE, ONE[rows], rows=given)["same space"] == "no"
    assert findings(ONE, ONE[rows], rows=np.arange(400))["same space"] == "yes"
    for given, said in (
        (None, "say which rows are the same items"),
        (rows[:5], "400 whole numbers are needed"),
        (rows.astype(float), "whole numbers"),
        (rows - 1 - rows.max(), "number 1 is -"),
        (rows + len(ONE), "has the rows 0 to 999"),
    ):
        with pytest.raises(weigh.WeighError, match=said):
            weigh.check_embeddings(ONE, ONE[rows], rows=given)


def test_few_items_decide_nothing() -> None:
    assert findings(ONE[:3], ONE[:3]) | {"repeated vectors": ""} == {
        "dimensions": "no", "unusable vectors": "no", "repeated vectors": "", "same space": "undecided",
        "moved vectors": "undecided",
    }  # fmt: skip
    assert findings(ONE[:1], ONE[:1])["moved vectors"] == "undecided"


def test_the_threshold_is_the_boundary() -> None:
    items = weigh.same_items(mixed(0.3), ONE)
    figure = weigh.same_space(items).figure
    assert weigh.same_space(items, threshold=figure.low).finding == "no"
    assert weigh.same_space(items, threshold=figure.value).finding == "undecided"
    assert weigh.same_space(items, threshold=figure.high + 1e-6).finding == "yes"
    with pytest.raises(weigh.WeighError, match="sample"):
        weigh.same_items(ONE, ONE, sample=0)


def test_other_dimensions_are_a_finding_and_stop_the_comparison() -> None:
    report = weigh.check_embeddings(ONE, ONE[:, :32])
    assert report.results[0].finding == "yes"
    assert report.results[0].figure.value == 16
    assert "same space" not in {result.check for result in report.results}
    with pytest.raises(weigh.WeighError, match="two spaces"):
        weigh.same_items(ONE, ONE[:, :32])


# Usable


def test_unusable_vectors_are_counted_and_left_out() -> None:
    bad = ONE.copy()
    bad[3, 2], bad[5], bad[7, 0] = np.nan, 0, np.inf
    result = weigh.unusable_vectors(bad)
    assert (result.finding, result.figure.value) == ("yes", 3)
    assert [row["row"] for row in result.evidence] == [3, 5, 7]
    assert result.notes == ("1 of only zeros, 2 not finite",)
    report = weigh.check_embeddings(bad, ONE, sample=2000)
    assert [each.finding for each in report.results if each.check in ("same space", "moved vectors")] == ["no", "no"]
    assert any(
        "3 items of the sample have an unusable vector" in note for each in report.results for note in each.notes
    )
    assert weigh.unusable_vectors(np.full((2, 2), 1e300)).figure.value == 2, "too large for float32"
    with pytest.raises(weigh.WeighError, match="no item with a usable vector"):
        weigh.check_embeddings(np.zeros((5, 5)), np.ones((5, 5)))
    assert findings(np.zeros((5, 5)))["unusable vectors"] == "yes"
    assert findings(ONE, bad)["unusable vectors"] == "yes" and weigh.unusable_vectors(bad, bad).figure.value == 6


def test_one_vector_for_many_items_is_seen() -> None:
    many = ONE.copy()
    many[100:160] = many[7]
    result = weigh.repeated_vectors(many)
    assert result.finding == "yes"
    assert result.evidence[0] == {"first row": 7, "rows": 61}
    assert weigh.repeated_vectors(np.concatenate([ONE, ONE])).finding == "no", "two of each are no placeholder"
    assert weigh.repeated_vectors(np.array([[0.0, 1], [-0.0, 1]] * 50)).figure.value == 0.99


@pytest.mark.parametrize(
    ("stored", "new", "normalised", "finding"),
    [
        (ONE, ONE, None, "no"),
        (ONE * 3, ONE * 3, None, "no"),
        (ONE * 3, ONE * 3.1, None, "no"),
        (ONE * 3, ONE * 3.2, None, "yes"),
        (ONE * 3, ONE, None, "yes"),
        (ONE, ONE * 3, None, "yes"),
        (ONE * 3, ONE * 3, True, "yes"),
        (ONE * 1.009, ONE, True, "no"),
    ],
)
def test_lengths_are_those_declared(stored: Any, new: Any, normalised: bool | None, finding: str) -> None:
    assert findings(stored, new, metric="dot", normalised=normalised)["lengths"] == finding
    assert ("lengths" in findings(stored, new)) is False, "for the cosine no length matters"


def test_the_unit_of_int8_is_no_length_but_lost_lengths_are() -> None:
    whole = np.clip(np.rint(ONE / np.abs(ONE).max() * 127), -127, 127).astype(np.int8)
    assert findings(whole, ONE, metric="dot")["lengths"] == findings(ONE, whole, metric="l2")["lengths"] == "no"
    assert findings(whole, ONE, metric="dot", normalised=True)["lengths"] == "no"
    longer = ONE * np.linspace(1, 2, len(ONE), dtype=np.float32)[:, None]
    assert findings(whole, longer, metric="dot")["lengths"] == "yes"
    assert findings(np.vstack([whole[1:], whole[:1] // 2]), metric="dot", normalised=True)["lengths"] == "yes"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("factor", [1e-30, 1e25])
def test_very_long_and_very_short_vectors_have_a_direction(factor: float) -> None:
    assert set(findings(ONE * np.float64(factor), ONE).values()) == {"no"}
    assert findings(OTHER * np.float64(factor), ONE)["moved vectors"] == "yes"


# Indexes


def test_an_index_of_these_vectors_recalls_them(tmp_path: Path) -> None:
    index_of(ONE).save(tmp_path / "one.usearch")
    for index in (tmp_path / "one.usearch", str(tmp_path / "one.usearch"), index_of(ONE)):
        result = weigh.index_recall(index, ONE, OTHER[:200])
        assert result.finding == "no"
        assert result.figure.value > 0.95
    assert weigh.index_facts(tmp_path / "one.usearch").dtype == "float32"


def test_the_recall_is_what_usearch_says_of_itself() -> None:
    random = np.random.default_rng(0)
    stored, asked = (random.normal(size=(many, 48)).astype(np.float32) for many in (2000, 100))
    index = index_of(stored)
    index.expansion_search = 12
    known = index.search(asked, 10, exact=True, threads=1).keys
    answer = index.search(asked, 10, threads=1).keys
    share = np.mean([len({*one} & {*other}) / 10 for one, other in zip(answer, known, strict=True)])
    result = weigh.index_recall(index, stored, asked)
    assert result.figure.value == pytest.approx(share, abs=0.002)
    assert result.figure.low < share < result.figure.high


def test_an_index_of_other_vectors_or_another_metric_is_seen() -> None:
    long = (ONE * np.random.default_rng(0).lognormal(size=(len(ONE), 1))).astype(np.float32)
    assert weigh.index_recall(index_of(OTHER), ONE, ONE[:100]).finding == "yes"
    assert weigh.index_recall(index_of(long, "ip"), long, ONE[:100], "dot").finding == "no"
    assert weigh.index_recall(index_of(long, "ip"), long, ONE[:100]).finding == "yes"
    found = findings(long, long, metric="cosine", index=index_of(long, "ip"))
    assert (found["metrics"], found["index recall"]) == ("yes", "yes")
    assert findings(ONE, ONE, metric="cosine", index=index_of(ONE, "ip"))["metrics"] == "no", "all have length 1"


def test_the_metric_is_that_of_the_file_not_of_the_object(tmp_path: Path) -> None:
    index_of(ONE, "ip").save(tmp_path / "ip.usearch")
    opened = Index(ndim=48, metric="cos", path=tmp_path / "ip.usearch")
    assert opened.metric.name == "Cos"
    assert weigh.index_facts(opened).metric == "dot"


def test_bits_are_searched_as_bits() -> None:
    centred = ONE - ONE.mean(0)
    bits = Index(ndim=48, metric="hamming", dtype="b1")
    bits.add(np.arange(len(ONE)), np.packbits(centred > 0, axis=1), threads=1)
    result = weigh.index_recall(bits, centred, centred[:100], k=1)
    assert result.figure.value > 0.9
    assert weigh.index_facts(bits).dtype == "bits"


def test_few_queries_and_foreign_keys() -> None:
    assert weigh.index_recall(index_of(ONE), ONE, ONE[:19]).finding == "undecided"
    assert weigh.index_recall(index_of(ONE), ONE, ONE[:1]).finding == "undecided"
    with pytest.raises(weigh.WeighError, match="keys must be rows"):
        weigh.index_recall(index_of(ONE), ONE[:100], ONE[:30])
    with pytest.raises(weigh.WeighError, match="vectors of 32 numbers"):
        weigh.index_recall(index_of(ONE[:, :32]), ONE, ONE[:30])
    with pytest.raises(weigh.WeighError, match="metric"):
        weigh.index_recall(index_of(ONE), ONE, ONE[:30], "cos")
    assert weigh.index_recall(index_of(ONE[:5]), ONE[:5], ONE[:30]).figure.value == 1, "five neighbours are all"


def test_what_is_no_index_is_refused(tmp_path: Path) -> None:
    index_of(ONE).save(tmp_path / "whole.usearch")
    whole = (tmp_path / "whole.usearch").read_bytes()
    for data, said in ((b"", "no index"), (b"x" * 500, "no index"), (whole[:200_000], "cannot be opened")):
        (tmp_path / "part.usearch").write_bytes(data)
        with pytest.raises(weigh.WeighError, match=said) as refused:
            weigh.check_embeddings(ONE, index=tmp_path / "part.usearch")
        assert "\n" not in str(refused.value)
    with pytest.raises(weigh.WeighError, match="check the path"):
        weigh.check_embeddings(ONE, index=tmp_path / "gone.usearch")


# Manifests


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A directory like that of an encoder of Sentence Transformers."""
    folder = tmp_path / "encoder"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "modules.json").write_text("[]")
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    save_file({"w": ONE[:4]}, folder / "model.safetensors")
    return folder


def test_a_manifest_refuses_each_part_that_differs(encoder: Path, tmp_path: Path) -> None:
    index_of(ONE).save(tmp_path / "one.usearch")
    index = tmp_path / "one.usearch"
    recorded = weigh.embedding_manifest(ONE, model=encoder, index=index, prompts={"query": "query: "})
    recorded.write(tmp_path / "m.json")
    assert weigh.read_manifest(tmp_path / "m.json") == recorded
    assert recorded.normalised
    same = {"model": encoder, "prompts": {"query": "query: "}, "index": index}

    def differing(**changed: Any) -> list[str]:
        vectors = changed.pop("vectors", ONE)
        now = weigh.embedding_manifest(vectors, **(same | changed))
        result = weigh.manifest_difference(tmp_path / "m.json", now)
        assert result.finding == ("yes" if result.evidence else "no")
        return [row["field"] for row in result.evidence]

    assert differing() == []
    assert differing(metric="dot") == ["metric"]
    assert differing(prompts={"query": "Query: "}) == ["prompts query"]
    assert differing(vectors=ONE[:-1]) == ["count"]
    assert differing(vectors=ONE * 2) == ["normalised"]
    assert differing(vectors=ONE[:, :32] * 2) == ["dimensions", "normalised"]
    assert differing(vectors=ONE.astype(np.float16)) == ["dtype"]
    index_of(ONE, "ip", "f16").save(tmp_path / "other.usearch")
    assert differing(index=tmp_path / "other.usearch") == ["index dtype", "index metric"]
    assert differing(model=None) == []
    (encoder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert differing() == ["model 1_Pooling/config.json"]


def test_the_id_is_of_the_space_and_not_of_how_it_is_kept(encoder: Path) -> None:
    one = weigh.embedding_manifest(ONE, model=encoder)
    assert weigh.embedding_manifest(ONE[:500].astype(np.float16), model=encoder).id == one.id
    assert weigh.embedding_manifest(ONE, "dot", model=encoder).id != one.id
    save_file({"w": OTHER[:4]}, encoder / "model.safetensors")
    assert weigh.embedding_manifest(ONE, model=encoder).id != one.id


def test_a_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    good = weigh.embedding_manifest(ONE).as_dict()
    path = tmp_path / "m.json"
    for text, said in (
        ("", "no JSON"),
        ("[1]", "no object"),
        ("[" * 100_000, "no JSON"),
        ("{}", "dimensions is missing"),
        (json.dumps(good | {"dimensions": True}), "dimensions is missing or no int"),
        (json.dumps(good | {"metric": "dot"}), "edited"),
        (json.dumps(good | {"model": []}), "model is missing or no mapping"),
    ):
        path.write_text(text)
        with pytest.raises(weigh.WeighError, match=said):
            weigh.check_embeddings(ONE, manifest=path)
    with pytest.raises(weigh.WeighError, match="check the path"):
        weigh.check_embeddings(ONE, manifest=tmp_path / "gone.json")
    with pytest.raises(weigh.WeighError, match="is there already"):
        weigh.embedding_manifest(ONE).write(path)
    with pytest.raises(weigh.WeighError, match="is no directory"):
        weigh.embedding_manifest(ONE, model=tmp_path / "gone")


def test_the_manifests_metric_against_the_services() -> None:
    long = ONE * np.random.default_rng(0).lognormal(size=(len(ONE), 1)).astype(np.float32)
    found = findings(long, long, metric="cosine", manifest=weigh.embedding_manifest(long, "dot"))
    assert (found["manifest"], found["metrics"]) == ("yes", "yes")
    found = findings(ONE, ONE, metric="cosine", manifest=weigh.embedding_manifest(ONE, "dot"))
    assert (found["manifest"], found["metrics"], found["lengths"]) == ("yes", "no", "no")


# The command


@pytest.mark.parametrize("suffix", ["npy", "safetensors"])
def test_the_command_says_it_by_its_exit_code(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def path(name: str, array: Any) -> Path:
        file = tmp_path / f"{name}.{suffix}"
        np.save(file, array) if suffix == "npy" else save_file({"vectors": array}, file)
        return file

    stored, other = path("stored", ONE), path("other", OTHER)
    index_of(ONE).save(tmp_path / "one.usearch")
    assert command("check", "embeddings", stored, "--new", stored, "--index", tmp_path / "one.usearch",
                   "--metric", "dot", "--write-manifest", tmp_path / "m.json") == 0  # fmt: skip
    assert "same space: no" in capsys.readouterr().out
    assert command("check", "embeddings", stored, "--new", other, "--metric", "dot", "--manifest", tmp_path / "m.json",
                   "--json") == 1  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert [each["check"] for each in found["results"] if each["finding"] == "yes"] == ["same space", "moved vectors"]
    assert command("check", "embeddings", path("flat", ONE[0])) == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1
    assert "two dimensions" in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--seed", "-1"], "Invalid value for '--seed'"),
        (["--rows", "none.npy"], "rows: says which rows the new vectors are"),
        (["--model", "none"], "give --manifest or --write-manifest too"),
        (["--prompt", "none.txt"], "give --manifest or --write-manifest too"),
    ],
)
def test_what_would_do_nothing_is_refused(
    asked: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "stored.npy", ONE)
    assert command("check", "embeddings", tmp_path / "stored.npy", *asked) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_seed_or_a_k_that_is_none() -> None:
    with pytest.raises(InvalidSetting, match="seed"):
        weigh.check_embeddings(ONE, ONE, sample=10, seed=-1)
    with pytest.raises(InvalidSetting, match="k: 0"):
        weigh.check_embeddings(ONE, k=0)


def test_the_command_as_a_program_of_its_own(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([["x"]], dtype=object), allow_pickle=True)
    line = [sys.executable, "-m", "weigh", "check", "embeddings", str(tmp_path / "objects.npy")]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "Traceback" not in done.stderr
