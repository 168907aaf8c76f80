"""PyTorch's old format and bare pickles against torch: read equal to what torch loads, and nothing is ever run."""

import io
import pickle
import random
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch

import weigh
from weigh import errors
from weigh.files import loading
from weigh.formats.torch import legacy

from .test_pytorch import DTYPES_OF_TORCH, Hostile, check_equal, same, torch_tensors, trained


def saved(path: Path, value: Any, **options: Any) -> Path:
    torch.save(value, path, _use_new_zipfile_serialization=False, **options)
    return path


def checkpoint() -> dict[str, Any]:
    model, optimizer = trained()
    big = torch.arange(24.0).view(4, 6)
    return {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "epoch": 3,
        "t": big.t(), "part": big[1:3, ::2], "parameter": torch.nn.Parameter(torch.ones(2)), "none": torch.ones(0, 3),
    }  # fmt: skip


@pytest.mark.parametrize("name", DTYPES_OF_TORCH)
def test_every_dtype(name: str, tmp_path: Path) -> None:
    value = {"t": torch.arange(6.0).view(3, 2).to(getattr(torch, name))}
    path = saved(tmp_path / "old.pt", value)
    check_equal(weigh.inspect(path), value)
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(value))
    check_equal(weigh.inspect(tmp_path / "bare.pt"), value)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_checkpoint_is_read_as_torch_loads_it(protocol: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "old.pt", checkpoint(), pickle_protocol=protocol)
    contents = weigh.inspect(path)
    check_equal(contents, torch_tensors(torch.load(path, weights_only=protocol == 2)))
    assert (contents.format, contents.metadata, contents.imports) == ("pytorch legacy", {"epoch": 3}, ())
    assert contents.notes == ("holds tensors beside the weights, whose bytes are metadata: t 96, parameter 8",)
    assert contents.by_component["unused"] == 0
    new = tmp_path / "new.pt"
    torch.save(checkpoint(), new)
    assert contents.by_component["optimizer"] == weigh.inspect(new).by_component["optimizer"] > 0


def test_tied_tensors_share_a_storage(tmp_path: Path) -> None:
    weight = torch.ones(3, 2)
    contents = weigh.inspect(saved(tmp_path / "old.pt", {"a": weight, "b": weight, "c": weight[1:]}))
    assert (contents.parameters, contents.tied) == (6, [["a", "b"]])


def test_a_whole_module_of_an_own_class_is_an_import(tmp_path: Path) -> None:
    contents = weigh.inspect(saved(tmp_path / "old.pt", torch.nn.Linear(3, 2)))
    assert contents.parameters == 8
    assert "torch.nn.modules.linear.Linear" in contents.imports


def test_what_the_file_says_of_byte_order_changes_nothing(tmp_path: Path) -> None:
    path = saved(tmp_path / "old.pt", {"w": torch.arange(4.0)})
    raw = path.read_bytes()
    at = raw.index(b"little_endian") + len(b"little_endian")
    assert raw[at : at + 3] in (b"q\x02\x88", b"q\x03\x88")
    path.write_bytes(raw[: at + 2] + b"\x89" + raw[at + 3 :])
    assert torch.equal(torch.load(path)["w"], torch.arange(4.0))
    check_equal(weigh.inspect(path), {"w": torch.arange(4.0)})


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_bare_pickle(protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "bare.pt"
    path.write_bytes(pickle.dumps(checkpoint(), protocol))
    contents = weigh.inspect(path)
    check_equal(contents, torch_tensors(pickle.loads(path.read_bytes())))
    assert (contents.format, contents.metadata) == ("pickle", {"epoch": 3})
    assert contents.imports == ("torch.storage._load_from_bytes",)


def test_bytes_behind_the_end_are_noted(tmp_path: Path) -> None:
    path = saved(tmp_path / "old.pt", {"w": torch.ones(2)})
    path.write_bytes(path.read_bytes() + b"12345")
    assert torch.equal(torch.load(path)["w"], torch.ones(2))
    assert weigh.inspect(path).notes == ("5 bytes at the end of old.pt are nothing that torch would load",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_never_run(protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps(Hostile(), protocol))
    with pytest.raises(errors.MalformedPickle, match=r"no tensor of torch, and loading it would call \w+\.system"):
        weigh.inspect(bare)
    bare.write_bytes(pickle.dumps({"w": torch.ones(3), "x": Hostile()}, protocol))
    assert any(name.endswith(".system") for name in weigh.inspect(bare).imports)
    old = saved(tmp_path / "old.pt", {"w": torch.ones(3), "x": Hostile()}, pickle_protocol=max(2, protocol))
    contents = weigh.inspect(old)
    assert contents.parameters == 3
    assert [name.split(".")[1] for name in contents.imports] == ["system"]
    with pytest.raises(errors.MalformedPickle, match="system"):
        weigh.inspect(saved(tmp_path / "only.pt", Hostile()))
    assert not Path("executed").exists()
    pickle.loads(pickle.dumps(Hostile(), protocol))
    assert Path("executed").exists(), "the attack itself must work, or this test shows nothing"


@pytest.mark.parametrize("place", range(5))
def test_every_pickle_of_the_row_is_searched(place: int, tmp_path: Path) -> None:
    """Torch unpickles each of the five, so that any of them can call something."""
    row = [legacy.MAGIC_NUMBER, legacy.PROTOCOL_VERSION, {}, {}, []]
    raw = [pickle.dumps(value, 2) for value in row]
    hostile = pickle.dumps(Hostile(), 2)
    raw[place] = hostile[:-1] + b"0" + raw[place][2:]  # call it, drop what it returns, and go on
    path = tmp_path / "old.pt"
    path.write_bytes(b"".join(raw))
    with pytest.raises(errors.MalformedPickle, match="system"):
        weigh.inspect(path)


def test_a_call_inside_an_embedded_storage_is_found(tmp_path: Path) -> None:
    class Storage:
        def __reduce__(self) -> Any:
            buffer = io.BytesIO()
            torch.save(torch.ones(2).storage(), buffer, _use_new_zipfile_serialization=False)
            raw = buffer.getvalue()
            at = raw.index(pickle.dumps(legacy.PROTOCOL_VERSION, 2))
            hidden = pickle.dumps(Hostile(), 2)[:-1] + b"0"
            return torch.storage._load_from_bytes, (raw[: at + 2] + hidden + raw[at + 2 :],)

    class Tensor:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (Storage(), 0, (2,), (1,), False, {})

    path = tmp_path / "bare.pt"
    path.write_bytes(pickle.dumps({"w": Tensor()}))
    contents = weigh.inspect(path)
    assert contents.parameters == 2
    assert [name.split(".")[-1] for name in contents.imports] == ["_load_from_bytes", "system"]


NAMED = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04"


def row(storage: bytes = b"", keys: bytes = b"]X\x01\x00\x00\x000a", tail: bytes | None = None) -> bytes:
    """A file of one tensor, written by hand."""
    storage = storage or NAMED + b"NtQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00(K\x04t(K\x01t\x89NtR"
    pickles = [pickle.dumps(legacy.MAGIC_NUMBER, 2), pickle.dumps(legacy.PROTOCOL_VERSION, 2), pickle.dumps({}, 2)]
    pickles += [b"\x80\x02}X\x01\x00\x00\x00w" + tensor + b"s.", b"\x80\x02" + keys + b"."]
    payload = (4).to_bytes(8, "little") + torch.arange(4.0).numpy().tobytes() if tail is None else tail
    return b"".join(pickles) + payload


def test_the_file_written_by_hand_is_well_formed(tmp_path: Path) -> None:
    path = tmp_path / "ok.pt"
    path.write_bytes(row())
    assert torch.equal(torch.load(path)["w"], torch.arange(4.0))
    check_equal(weigh.inspect(path), {"w": torch.arange(4.0)})


def view(offset: bytes, size: bytes) -> bytes:
    return NAMED + b"(X\x01\x00\x00\x001" + offset + size + b"ttQ"


def test_a_view_of_a_storage(tmp_path: Path) -> None:
    path = tmp_path / "view.pt"
    path.write_bytes(row(view(b"K\x01", b"K\x02")).replace(b"(K\x04t(K\x01t", b"(K\x02t(K\x01t"))
    assert torch.equal(torch.load(path, weights_only=False)["w"], torch.tensor([1.0, 2.0]))
    contents = weigh.inspect(path)
    assert same(loading.load(contents, contents.named[0]), torch.tensor([1.0, 2.0]))


COUNT = (4).to_bytes(8, "little")
MALFORMED: dict[str, tuple[bytes, type[errors.WeighError]]] = {
    "nothing": (b"", errors.UnknownFormat),
    "text": (b"<!doctype html>", errors.UnknownFormat),
    "a bare pickle of numbers": (pickle.dumps([1, 2]), errors.MalformedPickle),
    "another version": (row().replace(b"M\xe9\x03.", b"M\xea\x03."), errors.MalformedPickle),
    "no keys": (row(keys=b"N"), errors.MalformedPickle),
    "a key that is a number": (row(keys=b"]K\x00a"), errors.MalformedPickle),
    "a key of no storage": (row(keys=b"]X\x01\x00\x00\x009a"), errors.MalformedPickle),
    "a key twice": (row(keys=b"](X\x01\x00\x00\x000X\x01\x00\x00\x000e", tail=2 * (COUNT + bytes(16))),
                    errors.MalformedPickle),
    "a storage that is not listed": (row(keys=b"]"), errors.InvalidOffsets),
    "an unknown class": (row().replace(b"FloatStorage", b"OtherStorage"), errors.UnknownDtype),
    "fewer elements than the object says": (row(tail=(3).to_bytes(8, "little") + bytes(12)), errors.InvalidOffsets),
    "2^64 - 1 elements": (row(tail=b"\xff" * 8 + bytes(16)), errors.InvalidOffsets),
    "2^60 elements of which the object knows": (
        row(tail=(2**60).to_bytes(8, "little")).replace(b"cpuK\x04", b"cpu\x8a\x08" + (2**60).to_bytes(8, "little")),
        errors.TruncatedFile,
    ),
    "the end in a count": (row(tail=COUNT[:4]), errors.TruncatedFile),
    "the end in the elements": (row(tail=COUNT + bytes(15)), errors.TruncatedFile),
    "the end after two pickles": (row()[:30], errors.MalformedPickle),
    "a tensor past its storage": (row().replace(b"K\x00(K\x04t(K\x01t", b"K\x01(K\x04t(K\x01t"), errors.InvalidOffsets),
    "a view past its storage": (row(view(b"K\x01", b"K\x04")), errors.InvalidOffsets),
    "a view at a negative place": (row(view(b"J\xff\xff\xff\xff", b"K\x01")), errors.MalformedPickle),
}  # fmt: skip


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_file_is_refused_by_its_own_error(case: str, tmp_path: Path) -> None:
    data, error = MALFORMED[case]
    path = tmp_path / "bad.pt"
    path.write_bytes(data)
    with pytest.raises(error) as caught:
        weigh.inspect(path)
    assert type(caught.value) is error
    assert str(path) in str(caught.value)


def test_an_embedded_storage_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "bare.pt"
    for inner in (b"", b"N.", row(), pickle.dumps([1])):
        path.write_bytes(
            b"\x80\x04ctorch.storage\n_load_from_bytes\n(B" + len(inner).to_bytes(4, "little") + inner + b"tR."
        )
        with pytest.raises(errors.MalformedPickle):
            weigh.inspect(path)


def test_the_format_before_the_old_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ancient.pt"
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("storages"))
    with pytest.raises(errors.UnknownFormat, match="tar archive"):
        weigh.inspect(path)


def test_a_pickle_that_is_a_tar_archive_too(tmp_path: Path) -> None:
    """Torch tries to open a file as a tar archive first, by the check sum of its first 512 bytes."""
    path = tmp_path / "both.pt"
    magic = pickle.dumps(legacy.MAGIC_NUMBER, 2)
    block = bytearray(tarfile.TarInfo("storages").tobuf(tarfile.USTAR_FORMAT))
    block[: len(magic)] = magic
    block[257:265] = bytes(8)  # as the oldest version of tar has it, with no word that says so
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path.write_bytes(bytes(block) + bytes(1024))
    assert tarfile.is_tarfile(path)
    with pytest.raises(errors.UnknownFormat, match="tar archive"):
        weigh.inspect(path)


def test_a_pickle_longer_than_any_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(legacy, "MAX_HEADER", 1000)
    monkeypatch.setattr(legacy, "_FIRST_PIECE", 100)
    path = tmp_path / "bare.pt"
    path.write_bytes(pickle.dumps({"w": torch.ones(1000)}))
    with pytest.raises(errors.HeaderTooLarge, match="1,000 bytes"):
        weigh.inspect(path)
    check_equal(weigh.inspect(saved(tmp_path / "old.pt", {"w": torch.ones(1000)})), {"w": torch.ones(1000)})


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    source, path = random.Random(0), tmp_path / "damaged.pt"
    seeds = [saved(tmp_path / "old.pt", checkpoint()).read_bytes(), pickle.dumps(checkpoint())]
    refused = 0
    for n in range(300):
        raw = bytearray(seeds[n % 2])
        for _ in range(source.randint(1, 8)):
            raw[source.randrange(len(raw))] = source.randrange(256)
        path.write_bytes(raw[: source.choice([len(raw), source.randrange(len(raw))])])
        try:
            weigh.inspect(path)
        except errors.WeighError:
            refused += 1
    assert refused > 100
