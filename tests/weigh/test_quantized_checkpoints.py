"""A llama of two layers in every quantized form: its parameters are those of its config, whatever the file holds.

Where a library writes the form on a CPU, the tensors are laid as it laid them: bitsandbytes 0.50.2 through transformers
5.23.0, compressed-tensors 0.20.1, MLX 0.32.4 through mlx-lm 0.32.2. The others are laid as their specification says.
"""

import json
import math
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import weigh
from weigh.cli import weigh as command
from weigh.dtypes import DTYPES, SAFETENSORS
from weigh.tensors import Tensor

CONFIG = {
    "model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2, "vocab_size": 512,
    "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True, "torch_dtype": "bfloat16",
}  # fmt: skip

Laid = Mapping[str, tuple[str, tuple[int, ...], bytes | None]]
"""Tensors of a file by name: the code of their number format, their shape, and their bytes if they matter."""
Layer = Callable[[int, int], Laid]
"""The outputs and the inputs of a matrix → the tensors in its place, by the end of their names."""


def write(path: Path, tensors: Laid, metadata: dict[str, str] | None = None) -> None:
    """A safetensors file of zeros, but for the bytes that are given."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    at, filled = 0, {}
    for name, (code, shape, data) in tensors.items():
        size = math.prod(shape) * int(DTYPES[SAFETENSORS[code]].bits) // 8
        assert data is None or len(data) == size, name
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [at, at + size]}
        filled.update({at: data} if data else {})
        at += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)
        for offset, data in filled.items():
            file.seek(8 + len(text) + offset)
            file.write(data)


def model(directory: Path, layer: Layer, settings: dict[str, Any], *more: str) -> list[Tensor]:
    """Write the llama with its projections, and more, in another form. Gives the tensors that were replaced."""
    (directory / "config.json").write_text(json.dumps(CONFIG))
    laid: dict[str, tuple[str, tuple[int, ...], bytes | None]] = {}
    replaced = []
    for tensor in weigh.params(directory).distinct:
        if tensor.name.endswith(("_proj.weight", *more)):
            replaced.append(tensor)
            base = tensor.name.removesuffix("weight")
            laid |= {base + end: one for end, one in layer(tensor.shape[0], tensor.shape[1]).items()}
        else:
            laid[tensor.name] = ("BF16", tensor.shape, None)
    write(directory / "model.safetensors", laid, {"format": "pt"})
    if settings:
        (directory / "config.json").write_text(json.dumps(CONFIG | settings))
    return replaced


def integers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


def nf4(double: bool, kind: str = "nf4", storage: str = "U8") -> Layer:
    def laid(outputs: int, inputs: int) -> Laid:
        count = outputs * inputs
        state = {"quant_type": kind, "blocksize": 64, "dtype": "bfloat16", "shape": [outputs, inputs]}
        nested = {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.0123456789}
        text = json.dumps(state | (nested if double else {})).encode()
        width = int(DTYPES[SAFETENSORS[storage]].bits) // 4
        found: dict[str, tuple[str, tuple[int, ...], bytes | None]] = {
            "weight": (storage, (count // width, 1), None),
            "weight.absmax": ("U8" if double else "F32", (count // 64,), None),
            "weight.quant_map": ("F32", (16,), None),
            f"weight.quant_state.bitsandbytes__{kind}": ("U8", (len(text),), text),
        }
        if double:
            found["weight.nested_absmax"] = ("F32", (math.ceil(count / 64 / 256),), None)
            found["weight.nested_quant_map"] = ("F32", (256,), None)
        return found

    return laid


def packed_integers(bits: int, asymmetric: bool = False) -> Layer:
    """pack-quantized of compressed-tensors, in groups of 128."""

    def laid(outputs: int, inputs: int) -> Laid:
        found: dict[str, tuple[str, tuple[int, ...], bytes | None]] = {
            "weight_packed": ("I32", (outputs, math.ceil(inputs * bits / 32)), None),
            "weight_scale": ("BF16", (outputs, inputs // 128), None),
            "weight_shape": ("I64", (2,), integers(outputs, inputs)),
        }
        if asymmetric:
            found["weight_zero_point"] = ("I32", (outputs * bits // 32, inputs // 128), None)
        return found

    return laid


def gptq(bits: int) -> Layer:
    return lambda outputs, inputs: {
        "qweight": ("I32", (inputs * bits // 32, outputs), None),
        "qzeros": ("I32", (inputs // 128, outputs * bits // 32), None),
        "scales": ("F16", (inputs // 128, outputs), None),
        "g_idx": ("I32", (inputs,), None),
    }


def awq(outputs: int, inputs: int) -> Laid:
    return {
        "qweight": ("I32", (inputs, outputs // 8), None),
        "qzeros": ("I32", (inputs // 128, outputs // 8), None),
        "scales": ("F16", (inputs // 128, outputs), None),
    }


def mlx(bits: int, group: int, scales: str = "BF16") -> Layer:
    def laid(outputs: int, inputs: int) -> Laid:
        each = (scales, (outputs, inputs // group), None)
        biases: Laid = {} if scales == "U8" else {"biases": each}
        return {"weight": ("U32", (outputs, inputs * bits // 32), None), "scales": each, **biases}

    return laid


def hqq(bits: int) -> Layer:
    """As HQQLinear encodes its state for safetensors, in groups of 64 along the inputs."""

    def laid(outputs: int, inputs: int) -> Laid:
        rows = outputs * inputs // 64
        codes = {4: ("U8", (rows // 2, 64), None), 3: ("I32", (math.ceil(rows / 10), 64), None)}[bits]
        packing = {4: b"4bit_u8", 3: b"3bit_32"}[bits]
        return {
            "W_q": codes,
            "scale": ("F16", (rows, 1), None),
            "zero": ("F16", (rows, 1), None),
            "nbits": ("I32", (), struct.pack("<i", bits)),
            "shape": ("I64", (2,), integers(outputs, inputs)),
            "group_size": ("I32", (), struct.pack("<i", 64)),
            "axis": ("I32", (), struct.pack("<i", 1)),
            "packing": ("U8", (len(packing),), packing),
            "stores_quant_config": ("U8", (), b"\1"),
        }

    return laid


def aqlm(outputs: int, inputs: int) -> Laid:
    """Two codebooks of 256 vectors of 8 weights: 2 bits."""
    return {
        "codes": ("I8", (outputs, inputs // 8, 2), None),
        "codebooks": ("F16", (2, 256, 1, 8), None),
        "scales": ("F16", (outputs, 1, 1, 1), None),
    }


def fp8(scale: str, shape: Callable[[int, int], tuple[int, ...]], code: str = "F32", **more: Any) -> Layer:
    return lambda outputs, inputs: {
        "weight": ("F8_E4M3", (outputs, inputs), None), scale: (code, shape(outputs, inputs), None), **more,
    }  # fmt: skip


def fp4(codes: str, group: int, code: str, **more: Any) -> Layer:
    return lambda outputs, inputs: {
        codes: ("U8", (outputs, inputs // 2), None), "weight_scale": (code, (outputs, inputs // group), None), **more,
    }  # fmt: skip


def mxfp6(outputs: int, inputs: int) -> Laid:
    return {
        "weight_packed": ("U8", (outputs, inputs * 6 // 8), None),
        "weight_scale": ("U8", (outputs, inputs // 32), None),
    }


def int8(scale: str, code: str, *shape: int, **more: Any) -> Layer:
    return lambda outputs, inputs: {
        "weight": ("I8", (outputs, inputs), None), scale: (code, (outputs, *shape), None), **more,
    }  # fmt: skip


def eetq(outputs: int, inputs: int) -> Laid:
    return {"weight": ("I8", (inputs, outputs), None), "weight_scales": ("F16", (outputs,), None)}


def bitnet(outputs: int, inputs: int) -> Laid:
    return {"weight": ("U8", (outputs // 4, inputs), None), "weight_scale": ("BF16", (1,), None)}


ONE = ("F32", (1,), None)
SCALAR = ("F32", (), None)


def quantized(method: str, **settings: Any) -> dict[str, Any]:
    return {"quantization_config": {"quant_method": method, **settings}}


def of_integers(bits: int) -> dict[str, Any]:
    groups = {"group_0": {"targets": ["Linear"], "weights": {"num_bits": bits, "group_size": 128, "type": "int"}}}
    return quantized("compressed-tensors", format="pack-quantized", config_groups=groups)


def of_mlx(bits: int, group: int) -> dict[str, Any]:
    settings = {"group_size": group, "bits": bits, "mode": "affine"}
    return {"quantization": settings, "quantization_config": settings}


BNB = quantized("bitsandbytes", load_in_4bit=True)
CT = quantized("compressed-tensors", config_groups={})
BLOCKS = fp8("weight_scale_inv", lambda outputs, inputs: (math.ceil(outputs / 128), math.ceil(inputs / 128)))

FORMS: dict[str, tuple[Layer, dict[str, Any], str, float]] = {
    "nf4": (nf4(double=False), BNB, "bitsandbytes NF4", 4),
    "nf4-double": (nf4(double=True), BNB, "bitsandbytes NF4", 4),
    "fp4": (nf4(double=False, kind="fp4"), BNB, "bitsandbytes FP4", 4),
    "nf4 kept as bfloat16": (nf4(double=False, storage="BF16"), BNB, "bitsandbytes NF4", 4),
    "bitsandbytes int8": (int8("SCB", "F32", weight_format=("U8", (), b"\0")), BNB, "bitsandbytes int8", 8),
    "gptq 4": (gptq(4), quantized("gptq", bits=4, group_size=128), "GPTQ", 4),
    "gptq 3": (gptq(3), quantized("gptq", bits=3, group_size=128), "GPTQ", 3),
    "gptq 2": (gptq(2), quantized("gptq", bits=2, group_size=128), "GPTQ", 2),
    "gptq 8": (gptq(8), quantized("gptq", bits=8, group_size=128), "GPTQ", 8),
    "awq": (awq, quantized("awq", bits=4, group_size=128), "AWQ", 4),
    "int4": (packed_integers(4), of_integers(4), "compressed-tensors", 4),
    "int4 asymmetric": (packed_integers(4, asymmetric=True), of_integers(4), "compressed-tensors", 4),
    "int3": (packed_integers(3), of_integers(3), "compressed-tensors", 3),
    "int8 packed": (packed_integers(8), of_integers(8), "compressed-tensors", 8),
    "int8 by row": (int8("weight_scale", "BF16", 1), CT, "compressed-tensors int8", 8),
    "fp8 by tensor": (fp8("weight_scale", lambda *_: (1,), "BF16", input_scale=("BF16", (1,), None)), CT,
                      "compressed-tensors FP8", 8),
    "fp8 by row": (fp8("weight_scale", lambda outputs, _: (outputs, 1), "BF16"), CT, "compressed-tensors FP8", 8),
    "mxfp8": (fp8("weight_scale", lambda o, i: (o, i // 32), "U8"), CT, "compressed-tensors FP8", 8),
    "nvfp4": (fp4("weight_packed", 16, "F8_E4M3", weight_global_scale=ONE, input_global_scale=ONE), CT,
              "compressed-tensors NVFP4", 4),
    "mxfp4": (fp4("weight_packed", 32, "U8"), CT, "compressed-tensors MXFP4", 4),
    "mxfp6": (mxfp6, CT, "compressed-tensors MXFP6", 6),
    "fp8 in blocks": (BLOCKS, quantized("fp8", weight_block_size=[128, 128]), "FP8", 8),
    "modelopt fp8": (fp8("weight_scale", lambda *_: (), input_scale=SCALAR), quantized("modelopt"), "modelopt FP8", 8),
    "modelopt nvfp4": (fp4("weight", 16, "F8_E4M3", weight_scale_2=SCALAR, input_scale=SCALAR), quantized("modelopt"),
                       "modelopt NVFP4", 4),
    "aqlm": (aqlm, quantized("aqlm", nbits_per_codebook=8), "AQLM", 2),
    "eetq": (eetq, quantized("eetq"), "EETQ", 8),
    "hqq 4": (hqq(4), quantized("hqq"), "HQQ", 4),
    "hqq 3": (hqq(3), quantized("hqq"), "HQQ", 3.2),
    "mlx 4": (mlx(4, 64), of_mlx(4, 64), "MLX", 4),
    "mlx 3": (mlx(3, 32), of_mlx(3, 32), "MLX", 3),
    "mlx mxfp4": (mlx(4, 32, "U8"), of_mlx(4, 32), "MLX mxfp4", 4),
    "mlx nvfp4": (mlx(4, 16, "U8"), of_mlx(4, 16), "MLX nvfp4", 4),
    "bitnet": (bitnet, quantized("bitnet"), "BitNet", 2),
}  # fmt: skip
"""Layers, what config.json says, the scheme's name, and the bits of a code with its padding."""

EMBEDDING = {True: ("embed_tokens.weight",), False: ()}
"""What MLX quantizes too."""

UNKNOWN_ALONE = {"mlx 4", "mlx 3", "bitnet"}
"""What a file without its config.json does not say."""


@pytest.mark.parametrize("form", FORMS)
def test_parameters_of_a_quantized_llama_are_those_of_its_config(form: str, tmp_path: Path) -> None:
    layer, settings, scheme, bits = FORMS[form]
    replaced = model(tmp_path, layer, settings, *EMBEDDING[form.partition(" ")[0] == "mlx"])
    contents = weigh.inspect(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    true = weigh.params(tmp_path)
    assert contents.parameters == true.parameters == 1_312_000
    assert contents.buffers == 0
    assert contents.stored_elements == sum(tensor.numel for tensor in contents.named)
    assert {group.name: group.shape for group in contents.groups} == {one.name: one.shape for one in replaced}
    facts = contents.as_dict()["quantized"]
    assert (facts["scheme"], facts["groups"]) == (scheme, len(replaced))
    assert facts["parameters"] == sum(one.numel for one in replaced)
    assert sum(facts["bytes"].values()) == sum(
        tensor.nbytes for tensor in contents.named if tensor.name not in {one.name for one in true.distinct}
        or tensor.name in {one.name for one in replaced}
    )  # fmt: skip
    assert round(8 * facts["bytes"]["data"] / facts["parameters"], 1) == bits
    assert facts["bits_per_weight"] == pytest.approx(8 * sum(facts["bytes"].values()) / facts["parameters"], abs=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_a_quantized_file_without_its_config_is_counted_or_says_what_it_leaves_out(form: str, tmp_path: Path) -> None:
    layer, _, _, _ = FORMS[form]
    replaced = model(tmp_path, layer, {}, *EMBEDDING[form.partition(" ")[0] == "mlx"])
    (tmp_path / "config.json").unlink()
    contents = weigh.inspect(tmp_path / "model.safetensors")
    left_out = sum(one.numel for one in replaced) if form in UNKNOWN_ALONE else 0
    assert contents.parameters == 1_312_000 - left_out
    assert bool(left_out) == any(f"leaves out {len(replaced)} quantized matrices" in note for note in contents.notes)
    assert (contents.as_dict()["quantized"]["bits_per_weight"] is None) == bool(left_out)


def test_layers_of_mlx_have_the_bits_that_the_config_gives_each(tmp_path: Path) -> None:
    """8 bits in groups of 32 take as many words for each scale as 4 in groups of 64: the config alone tells."""
    settings = {"group_size": 64, "bits": 4, "model.a": {"group_size": 32, "bits": 8}, "model.c": False}
    (tmp_path / "config.json").write_text(json.dumps({"quantization": settings}))
    tensors = {f"model.{name}.{end}": one for name in "ab" for end, one in mlx(4, 64)(64, 512).items()}
    write(tmp_path / "model.safetensors", tensors | {"model.c.weight": ("BF16", (64, 64), None)})
    contents = weigh.inspect(tmp_path)
    assert {group.name: group.shape for group in contents.groups} == {
        "model.a.weight": (64, 256),
        "model.b.weight": (64, 512),
    }
    assert contents.parameters == 64 * (256 + 512 + 64)


def test_joined_experts_are_counted_whole(tmp_path: Path) -> None:
    """gpt-oss lays experts in blocks of MXFP4; transformers keeps scales behind the name of joined FP8 experts."""
    write(tmp_path / "model.safetensors", {
        "experts.gate_up_proj_blocks": ("U8", (4, 128, 2, 16), None),
        "experts.gate_up_proj_scales": ("U8", (4, 128, 2), None),
        "experts.gate_up_proj_bias": ("BF16", (4, 128), None),
        "others.down_proj": ("F8_E4M3", (4, 256, 128), None),
        "others.down_proj_scale_inv": ("F32", (4, 2, 1), None),
        "packed.weight": ("I8", (256, 64), None),
        "packed.weight_scale_inv": ("F8_E8M0", (256, 4), None),
        "self_attn.k_scale": ("F32", (), None),
    })  # fmt: skip
    contents = weigh.inspect(tmp_path)
    assert {group.name: group.shape for group in contents.groups if group.data} == {
        "experts.gate_up_proj": (4, 128, 64),
        "others.down_proj": (4, 256, 128),
        "packed.weight": (256, 128),
    }
    assert contents.parameters == 4 * 128 * 64 + 4 * 128 + 4 * 256 * 128 + 256 * 128


def test_gpt_oss_as_it_is_published_has_the_parameters_of_its_config(tmp_path: Path) -> None:
    """Its blocks lie along the inputs, the last side, where transformers' matrices have the outputs."""
    true = weigh.params("models/gpt-oss-20b")
    laid: dict[str, tuple[str, tuple[int, ...], bytes | None]] = {}
    for tensor in true.distinct:
        if tensor.name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            experts, inputs, outputs = tensor.shape
            laid[f"{tensor.name}_blocks"] = ("U8", (experts, outputs, inputs // 32, 16), None)
            laid[f"{tensor.name}_scales"] = ("U8", (experts, outputs, inputs // 32), None)
        else:
            laid[tensor.name] = ("BF16", tensor.shape, None)
    write(tmp_path / "model.safetensors", laid)
    contents = weigh.inspect(tmp_path / "model.safetensors")
    assert contents.parameters == true.parameters == 20_914_757_184
    assert contents.quantized is not None and contents.quantized["bits_per_weight"] == 4.25


def test_codes_of_an_unknown_scheme_are_named(tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors", {
        "a.indices": ("U16", (128, 32), None), "a.scale_of_it": ("F16", (128,), None),
        "b.position_ids": ("I64", (1, 512), None),
    })  # fmt: skip
    contents = weigh.inspect(tmp_path)
    assert (contents.parameters, contents.buffers, contents.quantized) == (128, 128 * 32 + 512, None)
    assert any("a.indices" in note and "4,096 elements" in note for note in contents.notes)


def test_codes_of_64_bits_are_named_where_the_config_says_that_there_are_codes(tmp_path: Path) -> None:
    """SpQR writes such; without a quantizer's settings these are positions, masks and the like."""
    write(tmp_path / "model.safetensors", {"a.dense_weights": ("I64", (16, 64), None), "b": ("F16", (8,), None)})
    assert weigh.inspect(tmp_path).notes == ()
    (tmp_path / "config.json").write_text(json.dumps(quantized("spqr", bits=3)))
    assert any("a.dense_weights" in note and "1,024 elements" in note for note in weigh.inspect(tmp_path).notes)


def test_scales_of_a_cache_beside_weights_that_are_not_quantized_are_no_parameters(tmp_path: Path) -> None:
    laid = {"self_attn.k_proj.weight": ("F16", (8, 8), None), "self_attn.k_scale": ("F32", (), None)}
    write(tmp_path / "model.safetensors", laid)
    settings = quantized("compressed-tensors", kv_cache_scheme={"num_bits": 8})
    (tmp_path / "config.json").write_text(json.dumps(settings))
    assert weigh.inspect(tmp_path).parameters == 8 * 8


def test_a_directory_compares_its_config_with_the_numbers_behind_the_codes(tmp_path: Path) -> None:
    """With the settings where older tools put them, so that the config itself is that of the plain model."""
    model(tmp_path, gptq(4), {})
    (tmp_path / "quantize_config.json").write_text(json.dumps({"bits": 4, "group_size": 128}))
    assert weigh.inspect(tmp_path).notes == ()
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": 3}))
    assert "the files hold 1,312,000" in weigh.inspect(tmp_path).notes[0]


@pytest.mark.parametrize("said", [{"bits": "4"}, {"bits": -4}, {"bits": 10**30}, {"bits": {}}, {"bits": True}, 4, []])
def test_settings_that_make_no_sense_explain_nothing(said: Any, tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors", {f"a.{end}": one for end, one in mlx(4, 64)(64, 256).items()} | {
        "b.qweight": ("I32", (32, 64), None), "b.scales": ("F16", (), None), "b.qzeros": ("I32", (), None),
        "c.weight": ("U8", (), None), "c.weight_scale": ("F8_E4M3", (), None), "d.weight_packed": ("U8", (0, 4), None),
        "d.weight_scale": ("F8_E4M3", (0, 0), None), "e.weight_packed": ("I32", (4, 4), None),
        "e.weight_scale": ("F16", (4, 1), None), "e.weight_shape": ("I64", (2,), integers(4, 2**62)),
        "f.weight": ("U8", (64, 1), None), "f.weight.absmax": ("F32", (2,), None),
        "f.weight.quant_state.bitsandbytes__nf4": ("U8", (16,), b'{"shape": [9,9]}'),
    })  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": said, "quantization": said}))
    contents = weigh.inspect(tmp_path)
    assert contents.parameters == 128, "two to each byte of f are known, of no other"
    assert sum("parameters leaves out" in note for note in contents.notes) == 4


@pytest.mark.parametrize("form", ["nf4 kept as bfloat16", "gptq 4"])
def test_the_doctor_takes_codes_for_no_numbers_and_scales_for_no_matrix(form: str, tmp_path: Path) -> None:
    """Codes as bfloat16 would be infinite here, and all scales are equal. GPTQ's settings lie beside the config."""
    replaced = model(tmp_path, FORMS[form][0], BNB if "nf4" in form else {})
    contents = weigh.inspect(tmp_path)
    start = contents.bytes_on_disk - contents.bytes_in_tensors
    with (tmp_path / "model.safetensors").open("r+b") as file:
        for tensor in contents.named:
            if tensor.dtype == "bfloat16":
                file.seek(start + tensor.begin)
                file.write((b"\x80\x7f" if tensor.name == replaced[0].name else b"\x80\x3f") * tensor.numel)
    found = json.loads(CliRunner().invoke(command, ["doctor", str(tmp_path), "--json"]).output)
    checks = {one["check"]: one for one in found["results"]}
    assert checks["NaN and infinite numbers"]["finding"] == "no"
    assert {row["place"] for row in checks["constant tensors"]["evidence"]} == {"model.embed_tokens.weight"}
    assert "tensors against the config" not in checks


def test_an_export_keeps_what_is_packed_and_casts_nothing_of_it(tmp_path: Path) -> None:
    """GPTQ's settings lie beside the config, which describes the matrices before they were packed."""
    (source := tmp_path / "source").mkdir()
    model(source, FORMS["gptq 4"][0], {})
    (source / "quantize_config.json").write_text(json.dumps({"bits": 4, "group_size": 128}))
    done = weigh.export(source, tmp_path / "exported")
    assert (done.parameters, done.checked[1:]) == (1_312_000, ("names and shapes, by the config",))
    assert (tmp_path / "exported/quantize_config.json").is_file()
    with pytest.raises(weigh.errors.UnknownDtype, match="is quantized \\(GPTQ\\)"):
        weigh.export(source, tmp_path / "cast", dtype="float32")
    (source / "config.json").write_text(json.dumps(CONFIG | {"intermediate_size": 1024}))
    with pytest.raises(weigh.errors.MissingTensors, match=r"gate_proj.weight'.*has shape \[512, 256\]"):
        weigh.export(source, tmp_path / "other")


def test_the_command_shows_what_the_parts_weigh(tmp_path: Path) -> None:
    model(tmp_path, nf4(double=True), BNB)
    shown = CliRunner().invoke(command, ["inspect", str(tmp_path)]).output
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert "parameters 1,312,000" in lines
    assert "quantized 1,179,648" in lines
    assert any(line.startswith("quantized: data 589,824 ") for line in lines)
    assert any(line.startswith("quantized: bitsandbytes NF4, matrices: 14, 4.24") for line in lines)
