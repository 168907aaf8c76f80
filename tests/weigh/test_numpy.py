"""The reader against NumPy, on files that it writes and that packages carry, and on files that nobody should read."""

import io
import os
import pickle
import subprocess
import sys
import tokenize
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch

import weigh
from weigh import errors
from weigh.files.loading import load
from weigh.formats.numpy.arrays import MAX_CHARACTERS
from weigh.tensors import Tensor

PLAIN = ["b1", *(f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)), "f2", "f4", "f8", "c8", "c16"]
ORDERS = [order + code for code in PLAIN for order in "<>"]


def as_stored(array: np.ndarray) -> np.ndarray:
    """The integers or bytes that weigh reads an array as."""
    kind, order = array.dtype.kind, "<" if array.dtype.byteorder == "<" else array.dtype.byteorder
    if kind in "Mm":
        return array.view(array.dtype.str[0] + "i8")
    if kind in "SUV":
        unit = np.dtype(f"{order}u4" if kind == "U" else "u1")
        count = array.dtype.itemsize // unit.itemsize
        rows = np.ascontiguousarray(array).reshape(-1).tobytes()
        return np.frombuffer(rows, unit).reshape(*array.shape, count)
    return array


def assert_read_alike(path: Path) -> weigh.Contents:
    """The same names, shapes, dtypes and numbers as numpy.load gives; arrays of objects are left out."""
    contents = weigh.inspect(path)
    found = {tensor.name: tensor for tensor in contents.named}
    with path.open("rb") as file:
        packed = file.read(2) == b"PK"
    for name in np.load(path).files if packed else [path.stem]:
        try:
            array = np.load(path)[name] if packed else np.load(path)
        except ValueError as error:
            assert "allow_pickle" in str(error)
            assert name not in found
            assert contents.imports
            continue
        assert_equal(contents, found.pop(name), as_stored(array))
    assert not found
    assert min(contents.by_component.values()) >= 0
    assert sum(contents.by_component.values()) == contents.bytes_on_disk == path.stat().st_size
    return contents


def assert_equal(contents: weigh.Contents, tensor: Tensor, array: np.ndarray) -> None:
    assert (tensor.shape, tensor.dtype) == (array.shape, array.dtype.name)
    assert tensor.nbytes == array.nbytes
    if hasattr(torch, tensor.dtype):
        values = load(contents, tensor)
        assert values.dtype == getattr(torch, tensor.dtype)
        np.testing.assert_array_equal(values.numpy(), array)
    else:
        with pytest.raises(errors.UnknownDtype):
            load(contents, tensor)


def numbers(code: str, shape: tuple[int, ...] = (2, 3, 4), order: Any = "C") -> np.ndarray:
    array = np.arange(np.prod(shape)).reshape(shape) - 5
    if "c" in code:
        array = array + 2j * array
    return np.array(array.astype(code), order=order)


@pytest.mark.parametrize("code", ORDERS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_kind_of_number_is_read_as_numpy_reads_it(code: str, order: str, tmp_path: Path) -> None:
    array = numbers(code, order=order)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "s.npz", a=array, b=array[0, 0, 0], c=array[:0])
    np.savez_compressed(tmp_path / "p.npz", a=array, b=array[0, 0, 0], c=array[:0])
    for name, format in (("a.npy", "npy"), ("s.npz", "npz"), ("p.npz", "npz")):
        contents = assert_read_alike(tmp_path / name)
        assert contents.format == format
        big = array.dtype.byteorder == ">"
        assert [note.split(": ")[-1] for note in contents.notes] == ["big-endian"] * big
    assert (contents.named[0].strides == (1, 2, 6)) == (order == "F")


@pytest.mark.parametrize(
    "array",
    [
        np.array(["2026-11-22", "NaT"], "M8[D]"), np.array([1, -1], ">m8[25s]"), np.array([b"a", b"bcd"]),
        np.array([["é", "字符"], ["", "x"]]), np.array(["é", "字符"], ">U3"), np.array(["a", "bc"], order="F"),
        np.asfortranarray(np.array([["a", "bc", "d"], ["e", "f", "ghi"]])), np.array([b""]), np.array([""], "U"),
        np.zeros((2, 2), "V3"), np.zeros(0, "S4"), np.array("text"),
        np.array([(1, 2.0, [1, 2])], [("n", "<i2"), ("x", ">f8"), ("a", "u1", (2,))]),
        np.zeros(3, [("outer", [("inner", "f4"), ("text", "U2")]), ("b", "?")]),
        np.zeros(3, np.dtype([("n", "i1"), ("x", "f8")], align=True)),
        np.zeros(2, [(("title", "n"), "i4"), ("it's", "S2"), ('a "b"', "S1"), ("字", "f4")]),
        np.asfortranarray(np.zeros((2, 3), [("n", "<i2"), ("x", ">f8")])),
    ],
    ids=lambda array: array.dtype.str if isinstance(array, np.ndarray) else None,
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Stored array in format")
def test_what_is_no_number_is_read_as_what_it_is_stored_as(array: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "p.npz", a=array)
    for path in (tmp_path / "a.npy", tmp_path / "p.npz"):
        contents = assert_read_alike(path)
        assert contents.notes
        assert contents.parameters == 0


@pytest.mark.parametrize("kind", ["longdouble", "clongdouble"])
def test_long_numbers_have_a_size_and_no_place_in_torch(kind: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3, kind))
    contents = assert_read_alike(tmp_path / "a.npy")
    assert contents.bytes_in_tensors == 3 * np.dtype(kind).itemsize
    assert contents.parameters == 3


def test_bfloat16_is_saved_without_its_name(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(3, ml_dtypes.bfloat16))
    contents = weigh.inspect(tmp_path / "a.npy")
    assert [(tensor.shape, tensor.dtype) for tensor in contents.named] == [((3, 2), "uint8")]
    assert load(contents, contents.named[0]).view(torch.bfloat16).flatten().tolist() == [1, 1, 1]
    assert contents.notes[0].startswith("a: bytes without a type, as bfloat16")


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_is_read(version: tuple[int, int], tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, numbers("<f4"), version=version)
    assert_read_alike(tmp_path / "a.npy")


PACKAGES = ["matplotlib", "numpy", "scipy", "joblib"]


def test_the_files_that_packages_carry_are_read_as_numpy_reads_them() -> None:
    real = [path for name in PACKAGES for path in sorted(Path(str(files(name))).rglob("*.np[yz]"))]
    for path in real:
        if path.stat().st_size < 10**6 and path.name not in ("csc_py2.npz", "test.npz"):
            assert_read_alike(path)
    assert len(real) > 40


def test_a_zip_of_arrays_is_known_by_its_content(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=numbers("<f4"))
    (tmp_path / "a.npz").rename(tmp_path / "weights.bin")
    assert weigh.inspect(tmp_path / "weights.bin").format == "npz"
    torch.save({"a": torch.zeros(2)}, tmp_path / "a.pt")
    assert weigh.inspect(tmp_path / "a.pt").format == "pytorch"


def test_an_archive_of_nothing_is_one(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz")
    contents = assert_read_alike(tmp_path / "a.npz")
    assert (contents.tensors, contents.format) == (0, "npz")


def test_what_is_no_array_is_noted(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=numbers("<f4"))
    with zipfile.ZipFile(tmp_path / "a.npz", "a") as archive:
        archive.writestr("README.txt", "hello")
        archive.writestr("named", header("{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}") + b"\x07")
    contents = weigh.inspect(tmp_path / "a.npz")
    assert [tensor.name for tensor in contents.named] == ["a", "named"], (
        "numpy.load looks at the bytes, not at the name"
    )
    assert contents.notes == ("README.txt: no array",)
    assert np.load(tmp_path / "a.npz")["named"].tolist() == [7]


def test_what_follows_the_array_is_unused(tmp_path: Path) -> None:
    with (tmp_path / "a.npy").open("wb") as file:
        np.save(file, numbers("<f4"))
        size = file.tell()
        np.save(file, numbers("<f8"))
    contents = assert_read_alike(tmp_path / "a.npy")
    assert contents.by_component["unused"] == contents.bytes_on_disk - size
    assert contents.notes == ("a: followed by bytes that numpy.load does not read",)


# Arrays of objects, which are pickles


class Dangerous:
    def __reduce__(self) -> Any:
        return os.system, ("touch executed",)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_pickle_is_reported_and_not_run(write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bad = np.array([Dangerous(), {"a": 1}], object)
    np.save("a.npy", bad)
    write("a.npz", weight=numbers("<f4"), bad=bad, mixed=np.zeros(2, [("n", "i4"), ("o", "O")]))
    for name, tensors in (("a.npy", 0), ("a.npz", 1)):
        contents = assert_read_alike(tmp_path / name)
        assert contents.tensors == tensors
        assert {"posix.system", "numpy._core.multiarray._reconstruct"} <= set(contents.imports)
        assert "Python objects in a pickle" in contents.notes[0]
        assert not Path("executed").exists()
        result = subprocess.run([sys.executable, "-m", "weigh", "inspect", name], capture_output=True, text=True)
        assert result.returncode == 1
        assert "posix.system" in result.stderr
    assert not Path("executed").exists()


def test_a_pickle_in_an_array_of_no_name_is_reported(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.txt", header(plain("|O")) + pickle.dumps(Dangerous()))
    assert "posix.system" in weigh.inspect(tmp_path / "a.npz").imports


# Files that nobody should read


def header(text: str | bytes, version: tuple[int, int] = (1, 0), length: int | None = None) -> bytes:
    raw = text.encode("latin-1") if isinstance(text, str) else text
    size = len(raw) if length is None else length
    return b"\x93NUMPY" + bytes(version) + size.to_bytes(2 if version == (1, 0) else 4, "little") + raw


def plain(descr: object = "<f4", shape: object = (1,), fortran: object = False) -> str:
    return f"{{'descr': {descr!r}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


HOSTILE: dict[str, tuple[bytes, type[errors.WeighError]]] = {
    "nothing behind the magic": (b"\x93NUMPY", errors.TruncatedFile),
    "no length": (b"\x93NUMPY\x01\x00\x05", errors.TruncatedFile),
    "version 4": (header(plain(), (4, 0)), errors.MalformedHeader),
    "a header past the end": (header(plain(), (2, 0), 2**32 - 1), errors.TruncatedFile),
    "a header that NumPy refuses": (header(plain() + " " * MAX_CHARACTERS), errors.HeaderTooLarge),
    "a header of a megabyte": (header(plain() + " " * 10**6, (2, 0)), errors.HeaderTooLarge),
    "not UTF-8": (header(plain().encode() + b"\xff", (3, 0)), errors.MalformedHeader),
    "an empty header": (header(""), errors.MalformedHeader),
    "a list": (header("['descr', 'fortran_order', 'shape']"), errors.MalformedHeader),
    "a call": (header("{'descr': __import__('os').system('touch executed')}"), errors.MalformedHeader),
    "an expression": (header(plain().replace("(1,)", "(10**9**9,)")), errors.MalformedHeader),
    "a repetition": (header(plain().replace("(1,)", "(1,)*10**9")), errors.MalformedHeader),
    "a set": (header("{'descr', 'fortran_order', 'shape'}"), errors.MalformedHeader),
    "no comma": (header("{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}"), errors.MalformedHeader),
    "no comma in a tuple": (header(plain(shape="(1 1)")), errors.MalformedHeader),
    "a comma alone": (header(plain(shape="(,)")), errors.MalformedHeader),
    "an open bracket": (header("{'descr': ('<f4'"), errors.MalformedHeader),
    "an open text": (header("{'descr': '<f4"), errors.MalformedHeader),
    "more behind the end": (header(plain() + "+ 1"), errors.MalformedHeader),
    "deep nesting": (header("(" * 9_000), errors.MalformedHeader),
    "deep nesting that ends": (header("(" * 4_000 + ")" * 4_000), errors.MalformedHeader),
    "9,000 signs": (header("-" * 9_000 + "1"), errors.MalformedHeader),
    "a number of 5,000 digits": (header(plain(shape=f"({'9' * 5000},)")), errors.MalformedHeader),
    "a key twice": (header(plain().replace("}", "'shape': (2,)}")), errors.DuplicateKey),
    "a key too many": (header(plain().replace("}", "'more': 1}")), errors.MalformedHeader),
    "a key too few": (header("{'descr': '<f4', 'shape': (1,)}"), errors.MalformedHeader),
    "a key that is a number": (header("{1: 2}"), errors.MalformedHeader),
    "a shape that is a list": (header(plain(shape="[1]")), errors.MalformedHeader),
    "a shape that is a number": (header(plain(shape="(1)")), errors.MalformedHeader),
    "a size that is True": (header(plain(shape="(True,)")), errors.MalformedHeader),
    "a size below 0": (header(plain(shape="(-1,)")), errors.MalformedHeader),
    "a size of 2 to the 63": (header(plain(shape=f"({2**63},)")), errors.MalformedHeader),
    "a thousand dimensions": (header(plain(shape="(" + "1," * 1000 + ")")), errors.MalformedHeader),
    "64 dimensions of text": (header(plain("<U1", "(" + "1," * 64 + ")")), errors.MalformedHeader),
    "an order that is a number": (header(plain(fortran=1)), errors.MalformedHeader),
    "a type that is a number": (header(plain(4)), errors.MalformedHeader),
    "an unknown type": (header(plain("<q8")), errors.UnknownDtype),
    "a float of 3 bytes": (header(plain("<f3")), errors.UnknownDtype),
    "a type in words": (header(plain("float32, float32")), errors.UnknownDtype),
    "a field that is none": (header(plain([("a",)])), errors.MalformedHeader),
    "a field of shape -1": (header(plain([("a", "<f4", (-1,))])), errors.MalformedHeader),
    "a field of no type": (header(plain([("a", 4)])), errors.MalformedHeader),
    "a field of an unknown type": (header(plain([("a", "<x4")])), errors.UnknownDtype),
    "fields in fields, 100 deep": (header(plain().replace("'<f4'", "[('a', " * 100)), errors.MalformedHeader),
    "no numbers": (header(plain()), errors.TruncatedFile),
    "too few numbers": (header(plain(shape="(2,)")) + bytes(7), errors.TruncatedFile),
    "2 to the 240 numbers": (header(plain(shape=f"({2**60}, {2**60}, {2**60}, {2**60})")), errors.TruncatedFile),
    "records of 2 to the 120 bytes": (header(plain([("a", "<f4", (2**60, 2**60))])), errors.TruncatedFile),
    "no pickle": (header(plain("|O")), errors.MalformedPickle),
    "a pickle of nothing": (header(plain("|O")) + b"hello", errors.MalformedPickle),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("kind", ["npy", "stored", "packed"])
def test_a_hostile_file_is_refused_by_its_own_error(case: str, kind: str, tmp_path: Path) -> None:
    raw, error = HOSTILE[case]
    path = tmp_path / ("a.npy" if kind == "npy" else "a.npz")
    if kind == "npy":
        path.write_bytes(raw)
    else:
        method = zipfile.ZIP_DEFLATED if kind == "packed" else zipfile.ZIP_STORED
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr("a.npy", raw)
    with pytest.raises(error) as caught:
        weigh.inspect(path)
    assert type(caught.value) is error
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_numpy_refuses_the_same_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    # These it reads: a literal is Python, the last of two keys counts, and it knows more than 19 digits and words.
    lenient = {"a key twice", "a size that is True", "a type in words"}
    accepted = set()
    for case, (raw, _) in HOSTILE.items():
        try:
            np.load(io.BytesIO(raw), allow_pickle=False)
        except (
            ValueError,
            EOFError,
            MemoryError,
            OverflowError,
            TypeError,
            SyntaxError,
            RecursionError,
            tokenize.TokenError,
        ):
            continue
        accepted.add(case)
    assert accepted <= lenient
    assert not Path("executed").exists()


def archive_of(tmp_path: Path, *records: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in records:
            archive.writestr(name, data)
    return tmp_path / "a.npz"


def test_an_archive_without_arrays_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.MalformedArchive):
        weigh.inspect(archive_of(tmp_path, ("a.npy", b"hello")))


def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    array = header(plain()) + bytes(4)
    with pytest.raises(errors.DuplicateKey):
        weigh.inspect(archive_of(tmp_path, ("a", array), ("a.npy", array)))


def test_an_array_that_unpacks_to_less_than_it_claims_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    array = header(plain(shape="(9000,)")) + bytes(1000)
    path = archive_of(tmp_path, ("a.npy", array))
    raw = bytearray(path.read_bytes())
    size = raw.index(b"PK\x01\x02") + 24  # of what is unpacked, in the directory
    assert int.from_bytes(raw[size : size + 4], "little") == len(array)
    raw[size : size + 4] = (len(array) + 35_000).to_bytes(4, "little")
    path.write_bytes(raw)
    contents = weigh.inspect(path)
    with pytest.raises(errors.MalformedArchive):
        load(contents, contents.named[0])


def test_the_cost_is_that_of_the_headers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from weigh.sources import _Raw

    np.savez(tmp_path / "a.npz", **{f"w{n}": np.zeros(2**20, np.float32) for n in range(8)})
    sizes: list[int] = []
    inner = _Raw.readinto
    monkeypatch.setattr(_Raw, "readinto", lambda self, buffer: sizes.append(inner(self, buffer)) or sizes[-1])
    assert weigh.inspect(tmp_path / "a.npz").parameters == 2**23
    assert sum(sizes) < 400_000


def test_numpy_is_not_imported(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=numbers(">f4"))
    program = (
        "import sys, weigh; weigh.inspect(sys.argv[1]); "
        "print([name for name in sys.modules if name.split('.')[0] in ('numpy', 'torch', 'ast')])"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "a.npz"], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() in ("[]", "['ast']")
