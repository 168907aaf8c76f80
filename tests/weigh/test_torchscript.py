"""TorchScript archives and exported programs against torch: the names and values of the state dict."""

import importlib.util
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

import weigh
from weigh import errors
from weigh.files import loading

from .test_pytorch import DTYPES_OF_TORCH, archive, check_equal, same

SILERO = Path(str(importlib.util.find_spec("silero_vad").origin)).parent / "data/silero_vad.jit"  # type: ignore[union-attr]


class Model(torch.nn.Module):
    """Parameters, buffers of both kinds, plain attributes, lists of tensors, and a layer with four names."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)
        self.norm = torch.nn.BatchNorm1d(3)
        self.again = self.layer
        self.layers = torch.nn.ModuleList([self.layer, self.layer])
        self.register_buffer("positions", torch.arange(3), persistent=False)
        self.plain = torch.arange(12.0).view(3, 4).t()
        self.several = [torch.ones(2), torch.zeros(3)]
        self.by_name = {"one": torch.ones(1)}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.layer(x)) + self.again(x) + self.plain[0] + self.several[1] + self.by_name["one"]
        for layer in self.layers:
            x = layer(x)
        return x + self.positions + torch.tensor([1.0, 2.0, 3.0])


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("jit") / "model.pt"
    torch.jit.script(Model()).save(str(path))
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("export") / "model.pt2"
    torch.export.save(torch.export.export(Model().eval(), (torch.ones(2, 3),)), path)
    return path


def test_the_state_dict_and_the_other_attributes(scripted: Path) -> None:
    contents = weigh.inspect(scripted)
    state = torch.jit.load(str(scripted)).state_dict()
    assert {"layer.weight", "again.weight", "layers.0.weight", "layers.1.weight", "positions"} < set(state)
    model = Model()
    others = {
        "plain": model.plain, "several.0": model.several[0], "several.1": model.several[1],
        "by_name.one": model.by_name["one"],
    }  # fmt: skip
    check_equal(contents, {**state, **others})
    assert contents.format == "torchscript"
    assert contents.imports == ()
    assert contents.notes[0].startswith("model.pt is a program")
    assert contents.notes[1].startswith("4 of its tensors are constants or plain attributes")
    assert all(name in contents.notes[1] for name in others)
    assert contents.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_a_frozen_module_has_its_weights_in_the_constants(tmp_path: Path) -> None:
    model = torch.jit.freeze(torch.jit.script(torch.nn.Linear(3, 2).eval()))
    path = tmp_path / "frozen.pt"
    model.save(str(path))
    assert not torch.jit.load(str(path)).state_dict()
    contents = weigh.inspect(path)
    assert {tensor.name: tensor.shape for tensor in contents.named} == {"CONSTANTS.c0": (2, 3), "CONSTANTS.c1": (2,)}
    assert contents.parameters == 8
    constants = model.code_with_constants[1].const_mapping
    for tensor in contents.named:
        assert same(loading.load(contents, tensor), constants[tensor.name.removeprefix("CONSTANTS.")])


def test_silero_as_it_is_distributed() -> None:
    contents = weigh.inspect(SILERO)
    state = torch.jit.load(str(SILERO)).state_dict()
    loaded = {tensor.name: loading.load(contents, tensor) for tensor in contents.named}
    assert set(loaded) - set(state) == {"_state", "_context", "CONSTANTS.c0"}
    assert all(same(loaded[name], state[name]) for name in state)
    assert contents.bytes_on_disk == SILERO.stat().st_size
    assert contents.imports == ()


@pytest.mark.parametrize("name", DTYPES_OF_TORCH)
def test_every_dtype(name: str, tmp_path: Path) -> None:
    class Holder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("b", torch.arange(6.0).view(3, 2).to(getattr(torch, name)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    model, x = Holder(), torch.ones(1)
    path = tmp_path / "model.pt"
    torch.jit.trace(model, x).save(str(path))
    contents = weigh.inspect(path)
    check_equal(contents, dict(model.state_dict()))
    assert contents.imports == ()


def rewritten(path: Path, source: Path, changes: dict[str, bytes | None]) -> Path:
    """A copy of an archive with some records replaced, added or left out."""
    with zipfile.ZipFile(source) as old:
        records = {name: old.read(name) for name in old.namelist()}
    for name, data in changes.items():
        if data is None:
            del records[name]
        else:
            records[name] = data
    return archive(path, records)


def test_what_a_loader_refuses_is_listed(scripted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile(scripted) as file:
        data = file.read("model/data.pkl")
    call = b"cposix\nsystem\n(X\x0e\x00\x00\x00touch executedtR0"
    changes: dict[str, bytes | None] = {"model/data.pkl": data[:2] + call + data[2:]}
    contents = weigh.inspect(rewritten(tmp_path / "hostile.pt", scripted, changes))
    assert contents.imports == ("posix.system",)
    changes = {"model/constants.pkl": b"\x80\x02" + call + b")."}
    contents = weigh.inspect(rewritten(tmp_path / "hostile.pt", scripted, changes))
    assert contents.imports == ("posix.system",)
    assert not Path("executed").exists()


@pytest.mark.parametrize(
    ("case", "changes", "error"),
    [
        ("no data.pkl", {"model/data.pkl": None}, errors.MalformedArchive),
        ("a storage is missing", {"model/data/0": None}, errors.InvalidOffsets),
        ("a storage is short", {"model/data/0": b""}, errors.InvalidOffsets),
        ("no pickle", {"model/constants.pkl": b""}, errors.MalformedPickle),
        ("the other byte order", {"model/byteorder": b"big"}, errors.UnsupportedField),
    ],
)
def test_a_malformed_archive_is_refused_by_its_own_error(
    case: str, changes: dict[str, bytes | None], error: type[errors.WeighError], scripted: Path, tmp_path: Path
) -> None:
    with pytest.raises(error):
        weigh.inspect(rewritten(tmp_path / "bad.pt", scripted, changes))


def test_source_that_unpacks_to_more_than_any_header(scripted: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(scripted) as file:
        records = {info: file.read(info) for info in file.infolist()}
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w") as file:
        for info, data in records.items():
            if re.search(r"/linear\b.*\.py$", info.filename):  # torch mangles the name of a class that it saved before
                file.writestr(info.filename, bytes(100_000_001), zipfile.ZIP_DEFLATED)
            else:
                file.writestr(info, data)
    assert path.stat().st_size < 200_000
    with pytest.raises(errors.HeaderTooLarge, match="source"):
        weigh.inspect(path)


# Exported programs


def test_an_exported_program(exported: Path) -> None:
    contents = weigh.inspect(exported)
    program = torch.export.load(exported)
    check_equal(contents, {**program.state_dict, **program.constants})
    assert contents.format == "torch.export"
    assert ["layer.weight", "again.weight", "layers.0.weight", "layers.1.weight"] in contents.tied
    assert contents.imports == ()
    assert contents.notes[0].startswith("model.pt2 is a program")
    assert contents.parameters == sum(parameter.numel() for parameter in Model().parameters())
    held = {**program.state_dict, **program.constants}
    parameters = dict(program.named_parameters())
    assert contents.buffers == sum(tensor.numel() for name, tensor in held.items() if name not in parameters)


@pytest.mark.parametrize("name", DTYPES_OF_TORCH)
def test_every_dtype_of_an_exported_program(name: str, exported: Path, tmp_path: Path) -> None:
    from torch._export.serde.serialize import _TORCH_TO_SERIALIZE_DTYPE

    dtype = getattr(torch, name)
    meta = {
        "dtype": int(_TORCH_TO_SERIALIZE_DTYPE[dtype]),
        "sizes": [{"as_int": 2}], "strides": [{"as_int": 2}], "storage_offset": {"as_int": 1},
    }  # fmt: skip
    config = {"config": {"w": {"path_name": "weight_0", "is_param": True, "use_pickle": False, "tensor_meta": meta}}}
    storage = torch.arange(4.0).to(dtype)
    changes: dict[str, bytes | None] = {
        "model/data/weights/model_weights_config.json": json.dumps(config).encode(),
        "model/data/constants/model_constants_config.json": b'{"config": {}}',
        "model/data/weights/weight_0": storage.view(torch.uint8).numpy().tobytes(),
    }
    contents = weigh.inspect(rewritten(tmp_path / "model.pt2", exported, changes))
    check_equal(contents, {"w": storage[1::2]})


def test_a_pickled_tensor_of_an_exported_program(exported: Path, tmp_path: Path) -> None:
    torch.save(torch.arange(3.0), tmp_path / "inner.pt")
    config = {"config": {"w": {"path_name": "weight_9", "use_pickle": True, "tensor_meta": None}}}
    changes: dict[str, bytes | None] = {
        "model/data/weights/weight_9": (tmp_path / "inner.pt").read_bytes(),
        "model/data/weights/model_weights_config.json": json.dumps(config).encode(),
    }
    contents = weigh.inspect(rewritten(tmp_path / "model.pt2", exported, changes))
    (tensor,) = (tensor for tensor in contents.named if tensor.name == "w")
    assert same(loading.load(contents, tensor), torch.arange(3.0))


def weight(**meta: Any) -> bytes:
    """A list of one weight, changed."""
    right = {"dtype": 7, "sizes": [{"as_int": 3}], "strides": [{"as_int": 1}], "storage_offset": {"as_int": 0}}
    return json.dumps({"config": {"w": {"path_name": "weight_0", "tensor_meta": {**right, **meta}}}}).encode()


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (b"", errors.MalformedHeader),
        (b"[" * 100_000, errors.MalformedHeader),
        (b'{"config": []}', errors.MalformedHeader),
        (b'{"config": {"w": 1}}', errors.MalformedHeader),
        (b'{"config": {"w": {"path_name": ["weight_0"]}}}', errors.MalformedHeader),
        (b'{"config": {"w": {"path_name": "../weight_0"}}}', errors.MalformedHeader),
        (b'{"config": {"w": {"path_name": "weight_0"}}}', errors.MalformedHeader),
        (weight(dtype=99), errors.UnknownDtype),
        (weight(dtype=[7]), errors.MalformedHeader),
        (weight(sizes=[{"as_expr": "s0"}]), errors.MalformedHeader),
        (weight(sizes=3), errors.MalformedHeader),
        (weight(sizes=[{"as_int": -1}]), errors.MalformedHeader),
        (weight(strides=[]), errors.MalformedHeader),
        (weight(storage_offset={"as_int": -1}), errors.MalformedHeader),
        (weight(sizes=[{"as_int": 2**62}]), errors.InvalidOffsets),
        (weight(strides=[{"as_int": 10**6}]), errors.InvalidOffsets),
        (weight(storage_offset={"as_int": 10**6}), errors.InvalidOffsets),
    ],
)
def test_a_malformed_list_of_weights_is_refused(
    config: bytes, error: type[errors.WeighError], exported: Path, tmp_path: Path
) -> None:
    changes: dict[str, bytes | None] = {"model/data/weights/model_weights_config.json": config}
    with pytest.raises(error) as caught:
        weigh.inspect(rewritten(tmp_path / "bad.pt2", exported, changes))
    assert type(caught.value) is error


def test_what_torch_load_would_unpickle_is_not_hidden_in_a_program(exported: Path, tmp_path: Path) -> None:
    hostile = b"\x80\x02cposix\nsystem\n(X\x04\x00\x00\x00truetR."
    with pytest.raises(errors.MalformedArchive, match=r"posix\.system"):
        weigh.inspect(rewritten(tmp_path / "both.pt", exported, {"model/data.pkl": hostile}))


def test_a_program_of_an_older_torch_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.UnknownFormat, match=r"torch before 2\.8"):
        weigh.inspect(archive(tmp_path / "old.pt2", {"version": b"8.8", "serialized_exported_program.json": b"{}"}))
