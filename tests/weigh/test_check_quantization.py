"""The checks of quantization, of weights and of outputs: hit, miss, boundary, bad input."""

from __future__ import annotations

import copy
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import gguf
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from safetensors.torch import save_file
from statsmodels.stats.proportion import proportion_confint

import weigh
from weigh import errors
from weigh.checks.quantization.restoring import restored
from weigh.cli import main

INPUTS, OUTPUTS = 96, 48


@pytest.fixture(scope="module")
def matrix() -> Any:
    return torch.randn(OUTPUTS, INPUTS, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def before(matrix: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("before") / "before.safetensors", {"a.weight": matrix, "a.bias": matrix[:, 0]})


def saved(path: Path, tensors: dict[str, Any]) -> Path:
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path)
    return path


def command(*args: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(arg) for arg in args])
    return int(ended.value.code or 0)


def values(path: Path, name: str, shape: tuple[int, ...]) -> Any:
    return restored(weigh.inspect(path))[name].values(shape)


def row_wise(matrix: Any, bits: int = 8) -> tuple[Any, Any]:
    """Codes and a scale for each row."""
    scales = matrix.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    return (matrix / scales).round().to(torch.int8), scales


# Files: what is read back is what the library itself gives


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_1", "Q4_0", "MXFP4", "BF16", "F16"])
def test_blocks_of_gguf(matrix: Any, before: Path, tmp_path: Path, kind: str) -> None:
    number = gguf.GGMLQuantizationType[kind]
    data = gguf.quants.quantize(matrix.numpy(), number)
    writer = gguf.GGUFWriter(tmp_path / "after.gguf", "llama")
    writer.add_tensor("a.weight", data, raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    known = torch.from_numpy(gguf.quants.dequantize(data, number).astype(np.float32)).reshape(matrix.shape)
    assert torch.equal(values(tmp_path / "after.gguf", "a.weight", matrix.shape), known)
    [change] = weigh.quantized_weights(before, tmp_path / "after.gguf").changes
    assert change.error == pytest.approx(float((known - matrix).norm() / matrix.norm()), rel=1e-5)
    assert change.bits == pytest.approx(8 * data.nbytes / matrix.numel())
    assert change.is_quantized == (kind not in ("BF16", "F16"))


@pytest.mark.parametrize("form", ["torch", "safetensors"])
@pytest.mark.parametrize("group", [None, 32])
def test_tensors_of_torchao(matrix: Any, tmp_path: Path, form: str, group: int | None) -> None:
    from torchao.prototype.safetensors.safetensors_support import flatten_tensor_state_dict
    from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig, quantize_
    from torchao.quantization.granularity import PerGroup

    model = torch.nn.Sequential(torch.nn.Linear(INPUTS, OUTPUTS))
    model[0].weight.data = matrix.clone()
    quantized = copy.deepcopy(model)
    quantize_(quantized, IntxWeightOnlyConfig(torch.int4, PerGroup(group)) if group else Int8WeightOnlyConfig())
    if form == "torch":
        torch.save(quantized.state_dict(), tmp_path / "after.pt")
        path = tmp_path / "after.pt"
    else:
        tensors, metadata = flatten_tensor_state_dict(quantized.state_dict())
        path = tmp_path / "after.safetensors"
        save_file(tensors, path, metadata=metadata)
    known = quantized[0].weight.dequantize()
    assert torch.allclose(values(path, "0.weight", matrix.shape), known, atol=1e-6)
    torch.save(model.state_dict(), tmp_path / "before.pt")
    compared = weigh.quantized_weights(tmp_path / "before.pt", path)
    assert {one.name: one.is_quantized for one in compared.changes} == {"0.weight": True, "0.bias": False}
    assert compared.not_compared == ()


def onnx_of(matrix: Any, path: Path) -> Path:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", matrix.shape[0]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", matrix.shape[1]])],
        [numpy_helper.from_array(matrix.contiguous().numpy(), "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


@pytest.mark.parametrize("per_channel", [False, True])
def test_dynamic_int8_of_onnx_runtime(matrix: Any, tmp_path: Path, per_channel: bool) -> None:
    logging.getLogger().setLevel(logging.ERROR)
    old = onnx_of(matrix.T, tmp_path / "before.onnx")
    quantize_dynamic(old, tmp_path / "after.onnx", per_channel=per_channel)
    got = values(tmp_path / "after.onnx", "w", matrix.T.shape)
    scale = matrix.abs().amax(1) if per_channel else matrix.abs().max()
    # int8 activations have an error of their own, so the scale is the bound here, and not the engine's answer.
    assert ((got - matrix.T).abs() <= scale / 127).all()
    assert not torch.equal(got, matrix.T)


@pytest.mark.parametrize(("bits", "block", "symmetric"), [(4, 32, True), (4, 32, False), (4, 64, False), (8, 32, True)])
def test_blocks_of_onnx_runtime(matrix: Any, tmp_path: Path, bits: int, block: int, symmetric: bool) -> None:
    old = onnx_of(matrix.T, tmp_path / "before.onnx")
    quantizer = MatMulNBitsQuantizer(onnx.load(old), bits=bits, block_size=block, is_symmetric=symmetric)
    quantizer.process()
    quantizer.model.save_model_to_file(str(tmp_path / "after.onnx"))
    session = onnxruntime.InferenceSession(tmp_path / "after.onnx")
    [known] = session.run(None, {"x": np.eye(INPUTS, dtype=np.float32)})
    assert values(tmp_path / "after.onnx", "w", matrix.T.shape).numpy() == pytest.approx(known, abs=1e-5)
    [change] = weigh.quantized_weights(old, tmp_path / "after.onnx").changes
    assert change.padding == OUTPUTS * (-INPUTS % block), "a row that does not divide is padded"
    notes = " ".join(weigh.stored_bits(weigh.quantized_weights(old, tmp_path / "after.onnx")).notes)
    assert ("are padded, by up to 33%" in notes) == (block == 64)


def test_codes_with_scales_as_compressed_tensors_and_deepseek_name_them(
    matrix: Any, before: Path, tmp_path: Path
) -> None:
    codes, scales = row_wise(matrix)
    row = saved(tmp_path / "row.safetensors", {"a.weight": codes, "a.weight_scale": scales[:, 0]})
    assert torch.allclose(values(row, "a.weight", matrix.shape), codes * scales)
    tiles = torch.rand(2, 3) + 1
    tiled = {"a.weight": codes, "a.weight_scale_inv": tiles}
    path = saved(tmp_path / "tiles.safetensors", tiled)
    whole = tiles.repeat_interleave(24, 0).repeat_interleave(32, 1)
    assert torch.allclose(values(path, "a.weight", matrix.shape), codes * whole)
    eight = {"a.weight": matrix.to(torch.float8_e4m3fn), "a.weight_scale": torch.tensor(2.0)}
    path = saved(tmp_path / "eight.safetensors", eight)
    assert torch.allclose(values(path, "a.weight", matrix.shape), eight["a.weight"].float() * 2)


# Weights: hit, miss, boundary


def check_of(before: Path, after: Path) -> dict[str, weigh.CheckResult]:
    return {one.check: one for one in weigh.check_quantization((before, after)).results}


def test_a_sound_int8_file_is_clean(matrix: Any, before: Path, tmp_path: Path) -> None:
    codes, scales = row_wise(matrix)
    after = saved(tmp_path / "a.safetensors", {"a.weight": codes, "a.weight_scale": scales, "a.bias": matrix[:, 0]})
    found = check_of(before, after)
    assert {name: one.finding for name, one in found.items()} == dict.fromkeys(found, "no")
    size = after.stat().st_size
    assert found["bits per weight"].figure.value == 8 * size / (matrix.numel() + OUTPUTS)
    assert found["left unquantized"].figure.value == 0, "a bias is no matrix"
    assert 0 < found["weight error"].figure.value < 0.02


def test_an_unchanged_model_is_no_quantized_one(before: Path) -> None:
    found = check_of(before, before)
    assert found["bits per weight"].finding == found["left unquantized"].finding == "yes"
    assert found["weight error"].figure.value == found["lost channels"].figure.value == 0


def test_one_scale_for_all_loses_the_channels_beside_an_outlier(matrix: Any, tmp_path: Path) -> None:
    large = matrix.clone()
    large[3] *= 400
    old = saved(tmp_path / "before.safetensors", {"a.weight": large})
    scale = large.abs().max() / 127
    one = {"a.weight": (large / scale).round().to(torch.int8), "a.weight_scale": scale}
    found = check_of(old, saved(tmp_path / "one.safetensors", one))
    lost = found["lost channels"]
    assert lost.finding == "yes"
    assert lost.figure.value >= OUTPUTS - 1
    assert lost.evidence[0]["largest channel ÷ median"] > 300
    assert found["weight error"].figure.value < 0.15, "the error of the tensor hides them"
    codes, scales = row_wise(large)
    each = {"a.weight": codes, "a.weight_scale": scales}
    assert check_of(old, saved(tmp_path / "each.safetensors", each))["lost channels"].finding == "no"


@pytest.mark.parametrize(("bits", "finding"), [(4, "no"), (3, "yes")])
def test_three_bits_for_each_row_are_too_few(
    matrix: Any, before: Path, tmp_path: Path, bits: int, finding: str
) -> None:
    codes, scales = row_wise(matrix, bits)
    after = saved(tmp_path / "a.safetensors", {"a.weight": codes, "a.weight_scale": scales})
    found = weigh.weight_error(weigh.quantized_weights(before, after), threshold=0.16)
    assert found.finding == finding
    assert any("a.bias is missing after" in note for note in found.notes)


def test_thresholds_are_passed_when_met(matrix: Any, before: Path, tmp_path: Path) -> None:
    compared = weigh.quantized_weights(before, saved(tmp_path / "a.safetensors", {"a.weight": matrix.bfloat16()}))
    value = weigh.weight_error(compared).figure.value
    assert weigh.weight_error(compared, threshold=value).finding == "no"
    assert weigh.weight_error(compared, threshold=value * 0.999).finding == "yes"
    assert weigh.left_unquantized(compared, threshold=1).finding == "no"


def test_a_weight_that_is_no_number_is_an_endless_error(matrix: Any, before: Path, tmp_path: Path) -> None:
    broken = matrix.clone()
    broken[5, 5] = float("nan")
    found = check_of(before, saved(tmp_path / "a.safetensors", {"a.weight": broken}))
    assert found["weight error"].finding == "yes"
    assert found["lost channels"].figure.value == 2
    assert json.loads(json.dumps(found["weight error"].as_dict()))["figure"]["value"] is None


def test_two_models_are_not_compared(matrix: Any, before: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.MissingTensors, match=r"a\.bias is missing after|a\.weight is missing after"):
        weigh.quantized_weights(before, saved(tmp_path / "b.safetensors", {"b.weight": matrix}))
    with pytest.raises(errors.MissingTensors, match=r"its shape is \[48, 48\], and was \[48, 96\]"):
        weigh.quantized_weights(
            saved(tmp_path / "one.safetensors", {"a.weight": matrix}),
            saved(tmp_path / "c.safetensors", {"a.weight": matrix[:, :48]}),
        )
    whole = saved(tmp_path / "d.safetensors", {"n": torch.arange(8)})
    with pytest.raises(errors.MissingTensors, match="no weights of floating point"):
        weigh.quantized_weights(whole, whole)
    codes = {"a.weight": matrix.to(torch.int8), "a.bias": matrix[:, 0]}
    alone = saved(tmp_path / "e.safetensors", codes)
    assert "a.weight (int8)" in weigh.quantized_weights(before, alone).not_compared[0]
    for scale in (torch.ones(7), torch.ones(2, 2, 2), torch.ones(OUTPUTS, 1, 1)):
        other = saved(tmp_path / "f.safetensors", {**codes, "a.weight_scale": scale})
        assert "do not fit one another" in weigh.quantized_weights(before, other).not_compared[0]


def test_weights_in_an_unknown_form_are_neither_guilty_nor_acquitted(matrix: Any, before: Path, tmp_path: Path) -> None:
    packed = {"a.qweight": torch.zeros(INPUTS // 8, OUTPUTS, dtype=torch.int32), "a.scales": torch.ones(1, OUTPUTS)}
    found = check_of(before, saved(tmp_path / "gptq.safetensors", {**packed, "a.bias": matrix[:, 0]}))
    assert found["bits per weight"].figure.value < 16, "of all the weights before, not of the bias alone"
    assert {found[name].finding for name in ("left unquantized", "weight error", "lost channels")} == {"undecided"}
    assert found["weight error"].figure.interval == "99% of the weights are not compared"
    assert json.loads(json.dumps(found["lost channels"].as_dict()))["figure"]["high"] is None


def test_a_mask_that_stayed_as_it_was_is_no_error(matrix: Any, tmp_path: Path) -> None:
    mask = torch.full((16, 16), float("-inf")).triu(1)
    mask[0, 0] = float("nan")
    codes, scales = row_wise(matrix)
    old = saved(tmp_path / "before.safetensors", {"a.weight": matrix, "a.mask": mask})
    new = {"a.weight": codes, "a.weight_scale": scales, "a.mask": mask}
    found = check_of(old, saved(tmp_path / "after.safetensors", new))
    assert found["weight error"].finding == found["lost channels"].finding == "no"
    new["a.mask"] = torch.where(mask.isfinite(), float("-inf"), mask)
    assert check_of(old, saved(tmp_path / "worse.safetensors", new))["weight error"].finding == "yes"


def test_other_names_and_swapped_files_are_said(matrix: Any, before: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.MissingTensors, match=r"missing after, and model\.a\.weight is there; give one model"):
        weigh.quantized_weights(before, saved(tmp_path / "b.safetensors", {"model.a.weight": matrix}))
    small = saved(tmp_path / "small.safetensors", {"a.weight": matrix.half()})
    assert any("were the two swapped?" in note for note in check_of(small, before)["bits per weight"].notes)


# Outputs


def answered(flips: float, rows: int = 2000, seed: int = 0) -> pl.DataFrame:
    """A model that is right in 80 % of rows, and of whose answers a share is changed to a wrong class."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 10, rows)
    before = np.where(random.random(rows) < 0.8, truth, (truth + 1) % 10)
    after = np.where(random.permutation(rows) < flips * rows, (before + 3) % 10, before)
    chance = np.where(before == truth, 0.85, 0.6)
    return pl.DataFrame({"label": truth, "before": before, "after": after, "was": chance, "is": chance - 0.001})


@pytest.mark.parametrize(("flips", "finding"), [(0.0, "no"), (0.004, "no"), (0.01, "undecided"), (0.03, "yes")])
def test_flipped_answers(flips: float, finding: str) -> None:
    found = weigh.flipped_answers(answered(flips))
    assert found.finding == finding
    assert found.figure.value == flips
    low, high = proportion_confint(round(flips * 2000), 2000, method="wilson")
    assert (found.figure.low, found.figure.high) == pytest.approx((low, high))


def test_few_rows_are_undecided() -> None:
    assert weigh.flipped_answers(answered(0.0, 50)).finding == "undecided"
    assert weigh.confidence_shift(answered(0.0, 19), "label", "was", "is").finding == "undecided"
    assert weigh.confidence_shift(answered(0.0, 20), "label", "was", "is").finding == "no"


def test_flips_may_leave_accuracy_as_it_was() -> None:
    rows = 1000
    truth = np.zeros(rows, int)
    before, after = truth.copy(), truth.copy()
    before[:100], after[100:200] = 1, 1
    table = pl.DataFrame({"label": truth, "before": before, "after": after})
    lost = weigh.lost_accuracy(table, "label")
    assert lost.figure.value == 0
    assert lost.figure.low < 0 < lost.figure.high
    assert "100 right answers became wrong, 100 wrong ones right" in lost.notes[0]
    assert weigh.flipped_answers(table).figure.value == 0.2


def test_the_interval_of_lost_accuracy_covers() -> None:
    """Of many tables whose true loss is 3 points, nearly all intervals hold it."""
    random, held = np.random.default_rng(0), 0
    for _ in range(200):
        kind = random.choice(4, 300, p=[0.7, 0.08, 0.05, 0.17])  # both right, spoiled, mended, both wrong
        table = {
            "label": [1] * 300,
            "before": np.isin(kind, (0, 1)).astype(int),
            "after": np.isin(kind, (0, 2)).astype(int),
        }
        figure = weigh.lost_accuracy(pl.DataFrame(table), "label").figure
        held += figure.low <= 0.03 <= figure.high
    assert 180 <= held <= 199


@pytest.mark.parametrize(("shift", "finding"), [(0.0, "no"), (0.1, "yes"), (-0.1, "yes")])
def test_confidence_shift(shift: float, finding: str) -> None:
    noise = np.random.default_rng(1).normal(0, 0.01, 2000)
    table = answered(0.0).with_columns(pl.Series("is", np.clip(0.5 + shift + noise, 0, 1)), was=pl.lit(0.5))
    found = weigh.confidence_shift(table, "label", "was", "is")
    assert found.finding == finding
    assert found.figure.value == pytest.approx(abs(shift), abs=0.002)


def test_calibration_errors_in_the_notes_are_those_of_the_check_of_calibration() -> None:
    random = np.random.default_rng(0)
    table = answered(0.1).with_columns(was=pl.Series(random.random(2000)))
    right = (table["before"] == table["label"]).to_numpy()
    [figure] = [weigh.calibration_error(weigh.Predictions(table["was"], right), strategy="quantile").figure]
    assert f"error {figure.value:.3f} and" in weigh.confidence_shift(table, "label", "was", "is").notes[0]


def test_failed_probes() -> None:
    table = pl.DataFrame(
        {
            "before": ["refuse", "refuse", "answer", "a"],
            "after": ["refuse", "answer", "refuse", "b"],
            "must": ["refuse", "refuse", "refuse", None],
        }
    )
    found = weigh.failed_probes(table, "must")
    assert found.finding == "yes"
    assert found.figure.value == 1
    assert found.evidence[0]["row"] == 2
    assert found.notes == ("of 3 probes 2 passed before and 2 after; 1 were mended",)
    assert weigh.failed_probes(table.head(1), "must").finding == "no"
    with pytest.raises(errors.InvalidTable, match="'must' is empty"):
        weigh.failed_probes(table.tail(1), "must")


def test_numbers_and_text_are_compared_as_text() -> None:
    table = pd.DataFrame({"before": [1, 2, 3], "after": ["1", "2", "x"]})
    found = weigh.flipped_answers(table)
    assert found.figure.value == pytest.approx(1 / 3)
    assert "compared as text" in found.notes[0]


def test_all_frames_and_files_give_one_answer(tmp_path: Path) -> None:
    table = answered(0.02).with_columns(pl.when(pl.col("label") == 3).then(3).alias("must"))
    arguments = {"label": "label", "before_confidence": "was", "after_confidence": "is", "probe": "must"}
    known = weigh.check_quantization(outputs=table, **arguments)
    assert {one.check: one.finding for one in known.results}["flipped answers"] == "yes"
    table.write_csv(tmp_path / "t.csv")
    table.write_parquet(tmp_path / "t.parquet")
    arrow: pa.Table = table.to_arrow()
    for other in (table.to_pandas(), arrow, duckdb.from_arrow(arrow), tmp_path / "t.csv", tmp_path / "t.parquet"):
        found = weigh.check_quantization(outputs=other, **arguments)
        assert [one.as_dict() for one in found.results] == [one.as_dict() for one in known.results]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"before": [1, None], "after": [1, 1]}, "row 2 of column 'before' is missing"),
        ({"before": [1.5, 2.0], "after": [1.0, 1.0]}, "row 1 of column 'before' is 1.5, which is no class"),
        ({"before": [[1], [2]], "after": [[1], [2]]}, "row 1 of column 'before' is of type list"),
        ({"before": [1, 2]}, "has no column 'after'"),
        ({"before": [], "after": []}, "has no rows"),
    ],
)
def test_bad_tables_are_refused(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.InvalidTable, match=message.replace("[", r"\[")):
        weigh.flipped_answers(pl.DataFrame(columns))


def test_confidences_are_probabilities() -> None:
    table = answered(0.0).with_columns(pl.lit(80).alias("is"))
    with pytest.raises(
        errors.InvalidTable, match="row 1 of column 'is' is 80, and 2,000 such rows in all; give probab"
    ):
        weigh.confidence_shift(table, "label", "was", "is")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "nothing to compare"),
        ({"label": "y"}, "no table is given"),
        ({"outputs": answered(0.0, 30), "flips": 5}, "a share from 0 to 1"),
        ({"outputs": answered(0.0, 30), "before_confidence": "was"}, "name all three"),
    ],
)
def test_it_must_be_clear_what_to_compare(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.InvalidSetting, match=message):
        weigh.check_quantization(**arguments)


def test_a_million_rows() -> None:
    found = weigh.check_quantization(outputs=answered(0.02, 1_000_000), label="label")
    assert found.results[0].figure.value == 0.02


# The command


def test_the_command(before: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answered(0.02).write_csv(tmp_path / "t.csv")
    answered(0.0).write_parquet(tmp_path / "t.parquet")
    assert command("check", "quantization", "--outputs", tmp_path / "t.parquet", "--label", "label") == 0
    assert command("check", "quantization", "--outputs", tmp_path / "t.csv") == 1
    assert command("check", "quantization", "--outputs", tmp_path / "t.csv", "--flips", "0.05") == 0
    capsys.readouterr()
    assert command("check", "quantization", before, before, "--outputs", tmp_path / "t.csv", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["check"] for one in found["results"]] == [
        "bits per weight", "left unquantized", "weight error", "lost channels", "flipped answers"
    ]  # fmt: skip
    for wrong in (
        [before],
        [],
        [before, tmp_path / "absent.safetensors"],
        ["--outputs", tmp_path / "absent.csv"],
        ["--outputs", before],
        [tmp_path / "t.csv", before],
    ):
        assert command("check", "quantization", *wrong) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert len(said.err.strip().splitlines()) == 1 or "Usage" in said.err


def test_the_command_as_a_process(tmp_path: Path) -> None:
    answered(0.03, 500).write_csv(tmp_path / "t.csv")
    command = [sys.executable, "-m", "weigh", "check", "quantization", "--outputs", str(tmp_path / "t.csv")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "flipped answers: yes" in done.stdout
    assert done.stderr == ""
