"""The reader against torch: what torch saves is read equal to what torch loads, and nothing is ever run."""

import io
import os
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch._weights_only_unpickler import _get_allowed_globals

import weigh
from weigh import errors
from weigh.dtypes import DTYPES
from weigh.files import loading
from weigh.formats import pickles
from weigh.formats.torch import rebuilding
from weigh.tensors import Contents


def torch_tensors(value: Any, path: str = "") -> dict[str, torch.Tensor]:
    """Every tensor of a loaded checkpoint, by its dotted path."""
    if isinstance(value, torch.Tensor):
        return {path: value}
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    return {
        name: tensor
        for key, child in children
        for name, tensor in torch_tensors(child, f"{path}.{key}" if path else str(key)).items()
    }


def same(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """Whether two tensors are equal to the bit, in shape and strides too. Not all formats can be compared by torch."""
    ours, theirs = (tensor.detach() for tensor in (ours, theirs))
    layout = (ours.dtype, ours.shape, ours.stride()) == (theirs.dtype, theirs.shape, theirs.stride())
    if ours.is_quantized or theirs.is_quantized or not ours.numel():
        return layout
    return layout and torch.equal(*(tensor.contiguous().view(-1).view(torch.uint8) for tensor in (ours, theirs)))


def check_equal(contents: Contents, reference: dict[str, torch.Tensor]) -> None:
    """What was inspected has the tensors of the reference by name, and what is loaded of it their values."""
    assert {tensor.name for tensor in contents.named} == set(reference)
    for tensor in contents.named:
        assert same(loading.load(contents, tensor), reference[tensor.name]), tensor.name
    assert sum(contents.by_component.values()) == contents.bytes_on_disk


def saved(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "saved.pt"
    torch.save(value, path)
    return path


def trained() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.BatchNorm1d(16), torch.nn.Linear(16, 4))
    optimizer = torch.optim.AdamW(model.parameters(), amsgrad=True)
    model(torch.randn(5, 8)).sum().backward()
    optimizer.step()
    return model, optimizer


DTYPES_OF_TORCH = sorted(
    name
    for name, dtype in DTYPES.items()
    if isinstance(getattr(torch, name, None), torch.dtype) and not name.startswith("q") and dtype.bits >= 8
)


@pytest.mark.parametrize("name", DTYPES_OF_TORCH)
def test_every_dtype(name: str, tmp_path: Path) -> None:
    value = {"t": torch.arange(6.0).view(3, 2).to(getattr(torch, name))}
    contents = weigh.inspect(saved(tmp_path, value))
    (tensor,) = contents.named
    check_equal(contents, value)
    assert (tensor.dtype, tensor.shape) == (name, (3, 2))
    assert contents.bytes_in_tensors == 6 * getattr(torch, name).itemsize


def test_most_dtypes_were_tried() -> None:
    assert len(DTYPES_OF_TORCH) > 15


def test_a_checkpoint_is_read_as_torch_loads_it(tmp_path: Path) -> None:
    model, optimizer = trained()
    path = saved(
        tmp_path,
        {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "rng": torch.get_rng_state(),
            "epoch": 3,
            "loss": 0.25,
            "history": [1.0, 0.5],
        },
    )
    contents = weigh.inspect(path)
    reference = torch_tensors(torch.load(path, weights_only=True))
    assert {t.name: (t.shape, t.dtype) for t in contents.named} == {
        name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")) for name, tensor in reference.items()
    }
    check_equal(contents, reference)
    sizes = {"weights": 0, "optimizer": 0, "rng": 0}
    for name, tensor in reference.items():
        sizes[{"model": "weights", "optimizer": "optimizer", "rng": "rng"}[name.split(".")[0]]] += tensor.nbytes
    assert contents.by_component.items() >= sizes.items()
    assert sum(contents.by_component.values()) == contents.bytes_on_disk == path.stat().st_size
    assert contents.metadata == {"epoch": 3, "loss": 0.25}
    assert contents.imports == ()
    assert contents.parameters == sum(
        tensor.numel() for tensor in model.state_dict().values() if tensor.is_floating_point()
    )
    assert contents.buffers == 1  # the counter of batches of the batch norm


def test_tied_tensors_are_counted_once(tmp_path: Path) -> None:
    embedding, head = torch.nn.Embedding(10, 4), torch.nn.Linear(4, 10, bias=False)
    head.weight = embedding.weight
    contents = weigh.inspect(saved(tmp_path, torch.nn.ModuleDict({"in": embedding, "out": head}).state_dict()))
    assert (contents.parameters, contents.tensors, contents.tied) == (40, 1, [["in.weight", "out.weight"]])


def test_a_view_saves_its_whole_storage(tmp_path: Path) -> None:
    big = torch.randn(1000, 10)
    contents = weigh.inspect(saved(tmp_path, {"few": big[:3]}))
    assert contents.bytes_in_tensors == 3 * 10 * 4
    assert contents.by_component["unused"] == 997 * 10 * 4
    assert weigh.inspect(saved(tmp_path, {"few": big[:3].clone()})).by_component["unused"] == 0


def test_tensors_that_share_a_part_of_their_bytes(tmp_path: Path) -> None:
    fused = torch.randn(12, 4)
    contents = weigh.inspect(saved(tmp_path, {"qkv": fused, "q": fused[:4], "k": fused[4:8], "t": fused.t()}))
    assert contents.bytes_in_tensors == fused.nbytes
    assert contents.parameters == fused.numel()


def test_unusual_tensors_are_found(tmp_path: Path) -> None:
    sparse = torch.sparse_coo_tensor([[0, 1]], [1.0, 2.0], (4,), check_invariants=True)
    quantized = torch.quantize_per_tensor(torch.zeros(8), 0.1, 0, torch.qint8)
    contents = weigh.inspect(
        saved(tmp_path, {"p": torch.nn.Parameter(torch.ones(2)), "s": sparse, "q": quantized, "e": torch.zeros(0, 3)})
    )
    assert contents.by_dtype == {"float32": 16, "int64": 16, "qint8": 8}


def test_views_are_loaded_as_they_were(tmp_path: Path) -> None:
    big = torch.arange(24.0).view(4, 6)
    value = {"t": big.t(), "part": big[1:3, ::2], "row": big[2].expand(3, 6), "scalar": big[0, 0], "none": big[:0]}
    check_equal(weigh.inspect(saved(tmp_path, value)), value)


def test_a_state_that_is_there_twice_has_both_names(tmp_path: Path) -> None:
    state = torch.nn.Linear(2, 2).state_dict()
    path = saved(tmp_path, {"model": state, "ema": state, "list": [state, state]})
    contents = weigh.inspect(path)
    check_equal(contents, torch_tensors(torch.load(path)))
    assert (contents.tensors, contents.parameters) == (2, 6)


def test_a_tensor_with_attributes_is_a_tensor(tmp_path: Path) -> None:
    labelled, trained = torch.ones(3), torch.nn.Parameter(torch.ones(2, 2))
    labelled.label = trained.label = "a"  # type: ignore[attr-defined]
    value = {"a": labelled, "p": trained}
    contents = weigh.inspect(saved(tmp_path, value))
    check_equal(contents, value)
    assert contents.imports == ()


def test_a_file_without_tensors_is_weighed_if_it_is_harmless(tmp_path: Path) -> None:
    scheduler = torch.optim.lr_scheduler.StepLR(torch.optim.SGD([torch.ones(1)]), 10)
    torch.save(scheduler.state_dict(), tmp_path / "scheduler.pt")
    contents = weigh.inspect(tmp_path / "scheduler.pt")
    assert (contents.tensors, contents.notes) == (0, ("scheduler.pt holds no tensor",))
    assert contents.by_component["metadata"] == contents.bytes_on_disk
    torch.save({"w": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    assert weigh.inspect(tmp_path).parameters == 2


def test_the_names_of_trainer_files_say_what_they_hold(tmp_path: Path) -> None:
    model, optimizer = trained()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    torch.save(torch.get_rng_state(), tmp_path / "rng_state_0.pth")
    contents = weigh.inspect(tmp_path)
    parts = contents.by_component
    assert parts["weights"] == sum(tensor.nbytes for tensor in model.state_dict().values())
    assert parts["optimizer"] == sum(tensor.nbytes for tensor in torch_tensors(optimizer.state_dict()).values())
    assert parts["rng"] == torch.get_rng_state().nbytes


def test_what_weigh_calls_safe_is_safe_for_torch() -> None:
    allowed = set(_get_allowed_globals())
    ours = {name.replace("__builtin__", "builtins") for name in rebuilding.SAFE}
    assert ours - allowed <= {f"torch.{name}" for name in DTYPES}  # formats that this torch lacks


def test_what_torch_allows_of_plain_values_is_no_import(tmp_path: Path) -> None:
    quantized = torch.quantize_per_tensor(torch.zeros(8), 0.1, 0, torch.qint8)
    path = saved(tmp_path, {"q": quantized, "set": {1}, "complex": 1j, "bytes": b"1", "array": bytearray(b"1")})
    torch.load(path, weights_only=True)
    assert weigh.inspect(path).imports == ()


class Hostile:
    """What an attacker pickles. The command leaves a mark in the working directory."""

    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_never_run(protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"w": torch.ones(3), "x": Hostile()}, "hostile.pt", pickle_protocol=max(protocol, 2))
    contents = weigh.inspect("hostile.pt")
    assert contents.parameters == 3
    assert contents.imports == (f"{os.system.__module__}.system",)
    with zipfile.ZipFile("only.pt", "w") as archive:
        archive.writestr("only/data.pkl", pickle.dumps(Hostile(), protocol))
    with pytest.raises(errors.MalformedArchive, match=r"system"):
        weigh.inspect("only.pt")
    assert not Path("executed").exists()
    pickle.loads(pickle.dumps(Hostile(), protocol))
    assert Path("executed").exists(), "the attack itself must work, or this test shows nothing"


def archive(path: Path, records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in records.items():
            file.writestr(name, data)
    return path


def with_pickle(path: Path, data: bytes) -> Path:
    return archive(path, {"a/data.pkl": data, "a/data/0": bytes(16)})


STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ"


def tensor_call(offset: bytes = b"K\x00", size: bytes = b"(K\x04t", stride: bytes = b"(K\x01t") -> bytes:
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE + offset + size + stride + b"\x89NtR"
    return b"\x80\x02}X\x01\x00\x00\x00w" + rebuild + b"s."


def test_the_tensor_written_by_hand_is_well_formed(tmp_path: Path) -> None:
    assert weigh.inspect(with_pickle(tmp_path / "ok.pt", tensor_call())).parameters == 4


UINT4 = (
    tensor_call()
    .replace(b"torch\nFloatStorage", b"torch.storage\nUntypedStorage")
    .replace(b"_v2", b"_v3")
    .replace(b"\x89NtR", b"\x89Nctorch\nuint4\ntR")
)


@pytest.mark.parametrize(
    ("case", "data", "error"),
    [
        ("empty", b"", errors.MalformedPickle),
        ("no stop", b"\x80\x02}", errors.MalformedPickle),
        ("unknown opcode", b"\x80\x02\xff.", errors.MalformedPickle),
        ("empty stack", b"\x80\x02.", errors.MalformedPickle),
        ("pop from nothing", b"\x80\x020.", errors.MalformedPickle),
        ("memo of nothing", b"\x80\x02h\x05.", errors.MalformedPickle),
        ("text past the end", b"\x80\x02X\xff\xff\xff\x7fabc.", errors.MalformedPickle),
        ("extension registry", b"\x80\x02\x82\x01.", errors.MalformedPickle),
        ("out-of-band buffer", b"\x80\x05\x97.", errors.MalformedPickle),
        ("items of a number", b"\x80\x02K\x01K\x02K\x03s.", errors.MalformedPickle),
        ("nesting", b"\x80\x02" + b"]" * 1000 + b"a" * 999 + b".", errors.MalformedPickle),
        ("a key twice", b"\x80\x02}(X\x01\x00\x00\x00aK\x01X\x01\x00\x00\x00aK\x02u.", errors.MalformedPickle),
        ("long key", b"\x80\x02}X\xe9\x03\x00\x00" + b"a" * 1001 + b"K\x01s.", errors.MalformedPickle),
        ("long import", b"\x80\x02c" + b"a" * 1001 + b"\nb\n.", errors.MalformedPickle),
        (
            "number of 5,000 digits",
            tensor_call(offset=b"\x8b\x00\x20\x00\x00" + b"\x7f" * 8192),
            errors.MalformedPickle,
        ),
        ("tensor past its storage", tensor_call(offset=b"K\x01"), errors.InvalidOffsets),
        ("strides past its storage", tensor_call(stride=b"(K\x02t"), errors.InvalidOffsets),
        ("negative offset", tensor_call(offset=b"J\xff\xff\xff\xff"), errors.MalformedPickle),
        ("size and stride differ", tensor_call(stride=b")"), errors.MalformedPickle),
        ("size of text", tensor_call(size=b"(X\x01\x00\x00\x004t"), errors.MalformedPickle),
        ("unknown storage", tensor_call().replace(b"FloatStorage", b"OtherStorage"), errors.UnknownDtype),
        ("numbers of 4 bits, of which torch can save none", UINT4, errors.UnknownDtype),
        ("absent record", tensor_call().replace(b"\x000X\x03", b"\x009X\x03"), errors.InvalidOffsets),
    ],
)
def test_a_malformed_pickle_is_refused_by_its_own_error(
    case: str, data: bytes, error: type[errors.WeighError], tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        weigh.inspect(with_pickle(tmp_path / "bad.pt", data))
    assert str(tmp_path / "bad.pt") in str(caught.value)


def test_shared_structures_cost_no_more_than_their_bytes(tmp_path: Path) -> None:
    # Thirty tuples, each of the one before twice: a billion leaves for a reader that expands or hashes them.
    doubling = b"\x80\x02}" + b")" + b"2\x86" * 30 + b"K\x01s."
    assert weigh.inspect(with_pickle(tmp_path / "bomb.pt", doubling)).tensors == 0


@pytest.mark.parametrize("optimizer", [False, True])
def test_a_wide_structure_is_not_listed_for_each_that_shares_it(
    optimizer: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A dictionary of 3,000 entries under 3,000 keys: nine million entries, in a file of some ten thousand bytes.
    wide = dict.fromkeys(range(3000), 1)
    shared = dict.fromkeys(range(3000), wide)
    path = with_pickle(tmp_path / "wide.pt", pickle.dumps({"state": shared} if optimizer else shared, 2))
    listed: list[int] = []

    class Listed(list[Any]):
        def __iter__(self) -> Any:
            listed.append(len(self))
            return super().__iter__()

    monkeypatch.setattr("weigh.formats.opcodes.Mapping.__init__", lambda self: setattr(self, "pairs", Listed()))
    assert weigh.inspect(path).tensors == 0
    assert sum(listed) < 300_000


def test_a_structure_inside_itself_ends(tmp_path: Path) -> None:
    inside: dict[str, Any] = {"w": torch.ones(2)}
    inside["again"] = [inside]
    assert [tensor.name for tensor in weigh.inspect(saved(tmp_path, inside)).named] == ["w"]


def test_many_long_names_are_refused(tmp_path: Path) -> None:
    # A tensor under 60,000 names of 2,000 characters, each of which takes two bytes of the file.
    tensor = tensor_call()[2:-1]
    key = b"X\xe8\x03\x00\x00" + b"k" * 1000
    repeated = b"\x80\x02}" + key + b"}" + key + b"](" + tensor + b"q\x01" + b"h\x01" * 60_000 + b"ess."
    with pytest.raises(errors.HeaderTooLarge, match="names"):
        weigh.inspect(with_pickle(tmp_path / "names.pt", repeated))


def test_archives_that_torch_does_not_write(tmp_path: Path) -> None:
    data = tensor_call()
    bomb = archive(tmp_path / "bomb.pt", {"a/data.pkl": data, "a/data/0": bytes(10**6)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(errors.MalformedArchive, match="compressed"):
        weigh.inspect(bomb)
    with pytest.raises(errors.MalformedArchive, match=r"no record data\.pkl"):
        weigh.inspect(archive(tmp_path / "other.pt", {"a/b": b""}))
    with pytest.raises(errors.MalformedArchive, match="case alone"):
        weigh.inspect(archive(tmp_path / "two.pt", {"a/data.pkl": data, "a/DATA.PKL": data, "a/data/0": bytes(16)}))
    with pytest.raises(errors.UnsupportedField, match="byteorder"):
        weigh.inspect(archive(tmp_path / "big.pt", {"a/data.pkl": data, "a/byteorder": b"big", "a/data/0": bytes(16)}))
    (tmp_path / "cut.pt").write_bytes(bomb.read_bytes()[:-30])
    with pytest.raises(errors.MalformedArchive, match="truncated"):
        weigh.inspect(tmp_path / "cut.pt")


def test_damaged_archives_are_refused_or_read(tmp_path: Path) -> None:
    model, optimizer = trained()
    buffer = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, buffer)
    whole, path, refused = buffer.getvalue(), tmp_path / "damaged.pt", 0
    source = random.Random(0)
    for _ in range(300):
        raw = bytearray(whole)
        for _ in range(source.randint(1, 8)):
            raw[source.randrange(len(raw))] = source.randrange(256)
        path.write_bytes(raw[: source.choice([len(raw), source.randrange(len(raw))])])
        try:
            weigh.inspect(path)
        except errors.WeighError:
            refused += 1
    assert refused > 100


def test_the_machine_reads_every_pickle_of_plain_values() -> None:
    value = OrderedDict(a=[1, -1, 2**70, 1.5, None, True], b=("x", b"y", {"k": {1, 2}}), c=bytearray(b"z"))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        root = pickles.read(pickle.dumps(value, protocol), "test").root
        found = {path[0]: leaf for path, leaf in pickles.leaves(root, lambda _: False, "test") if path[:1] == ("a",)}
        assert found == {"a": True}
        leaves = [leaf for path, leaf in pickles.leaves(root, lambda _: False, "test") if path[:1] == ("a",)]
        assert leaves == [1, -1, 2**70, 1.5, None, True]
