"""Files of other tools, known by their first bytes, their records or their names: what each is, and what opens it.

Nobody's file is called broken for being another tool's. A file is looked up here once no reader of a format knows what
to do with it. The bytes are those that the tools write, or that the definitions of their formats ask for.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from weigh import errors
from weigh.formats import archives
from weigh.sources import File

_HEAD = 512


@dataclass(frozen=True, slots=True)
class Foreign:
    """A format of another tool.

    Attributes:
        name: What a file of it is.
        use: What to do with one.
        magic: The bytes at the byte `at`, in each variant.
        at: Where these are.
        suffixes: The ends of names of formats whose first bytes say nothing.
        test: What tells such a file from others, by its first bytes.
        records: Records of which an archive of it has all.
        imports: What a pickle of it imports begins with.
    """

    name: str
    use: str
    magic: tuple[bytes, ...] = ()
    at: int = 0
    suffixes: tuple[str, ...] = ()
    test: Callable[[File, bytes], bool] = lambda file, head: False
    records: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


def _ctranslate2(file: File, head: bytes) -> bool:
    """A version, and the name of a specification with its length and its NUL."""
    length = int.from_bytes(head[4:6], "little")
    name = head[6 : 6 + length]
    return 0 < int.from_bytes(head[:4], "little") < 100 and 1 < length < 200 and bool(re.fullmatch(rb"\w+\0", name))


def _openvino(file: File, head: bytes) -> bool:
    """No header at all: its .xml is beside it."""
    graph = file.path.with_suffix(".xml")
    return file.suffix == ".bin" and graph.is_file() and b"<net" in File(graph).first(_HEAD)


_SKLEARN = "load it with joblib or skops, if you trust its author: a pickle runs what it asks for"

FOREIGN = (
    Foreign("weights of Keras", "open it with keras.saving.load_model, and save the weights as safetensors",
            records=("config.json", "metadata.json")),
    Foreign("an HDF5 file, as Keras and TensorFlow write", "open it with h5py or Keras", (b"\x89HDF\r\n\x1a\n",)),
    Foreign("a model of TensorFlow Lite (LiteRT)", "open it with ai_edge_litert or Netron", (b"TFL3",), 4),
    Foreign("a program of ExecuTorch", "run it with executorch; weigh the model that it was exported from",
            tuple(b"ET%d" % version for version in range(10, 20)), 4),
    Foreign("a model of fastText", "open it with fasttext.load_model", (b"\xba\x16\x4f\x2f",)),
    Foreign("weights of CTranslate2", "open its directory with ctranslate2; weigh the model that it was converted from",
            test=_ctranslate2),
    Foreign("weights of Core ML", "open its .mlpackage with coremltools", (b"\xef\xbe\xad\xde",), 64),
    Foreign("a model of Core ML", "open it with coremltools", suffixes=(".mlmodel",)),
    Foreign("weights of OpenVINO", "open the .xml beside it with openvino", test=_openvino),
    Foreign("vectors of word2vec", "open it with gensim's KeyedVectors.load_word2vec_format(binary=True)",
            test=lambda file, head: bool(re.match(rb"[1-9]\d{0,11} [1-9]\d{0,6}\n", head))),
    Foreign("weights of Flax in msgpack", "open it with flax.serialization.msgpack_restore",
            test=lambda file, head: bool(re.match(rb"[\x81-\x8f\xde\xdf](\0{1,3}.)?[\xa1-\xbf\xd9][ -~]", head))),
    Foreign("a model of GGML before GGUF", "convert it with llama.cpp's convert_llama_ggml_to_gguf.py",
            (b"lmgg", b"fmgg", b"tjgg", b"algg")),
    Foreign("trees of CatBoost", "open it with catboost", (b"CBM1",)),
    Foreign("trees of LightGBM", "open it with lightgbm.Booster(model_file=…)", (b"tree\nversion",)),
    Foreign("trees of XGBoost", "open it with xgboost.Booster(model_file=…)", (b"{L", b'{"learner"', b"binf")),
    Foreign("parameters of MXNet", "open it with mxnet", (b"\x12\x01\0\0\0\0\0\0",)),
    Foreign("parameters of Paddle", "open it with paddle.load", suffixes=(".pdiparams", ".pdmodel")),
    Foreign("a checkpoint of TensorFlow", "open it with tensorflow.train.load_checkpoint",
            test=lambda file, head: bool(re.search(r"\.data-\d{5}-of-\d{5}$", file.name))),
    Foreign("a graph of TensorFlow", "open it with tensorflow", suffixes=(".pb",)),
    Foreign("an engine of TensorRT", "open it with tensorrt", suffixes=(".engine", ".plan", ".trt")),
    Foreign("a model of RKNN", "open it with rknn-toolkit2", (b"RKNN",)),
    Foreign("a model of skops, of scikit-learn", "open it with skops.io.load", records=("schema.json",)),
    Foreign("an archive of TorchServe", "unpack it, and inspect the model in it", records=("MAR-INF/MANIFEST.json",)),
    Foreign("a pickle of joblib, of scikit-learn", _SKLEARN, imports=("joblib.",)),
    Foreign("a pickle of scikit-learn", _SKLEARN, imports=("sklearn.",)),
    Foreign("a pickle of gensim", "load it with gensim, if you trust its author", imports=("gensim.",)),
    Foreign("a pickle of NumPy arrays, as Paddle writes",
            "load it with paddle.load or NumPy, if you trust its author: a pickle runs what it asks for",
            imports=("numpy.",)),
    Foreign("compressed, as joblib does", "unpack it, or load it with joblib if you trust its author",
            (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"x\x01", b"x^", b"x\x9c", b"x\xda", b"(\xb5\x2f\xfd")),
    Foreign("an archive of 7-Zip", "unpack it, and inspect what is in it", (b"7z\xbc\xaf\x27\x1c",)),
    Foreign("a tar archive", "unpack it, and inspect what is in it", (b"ustar",), 257),
    Foreign("compiled code for one kind of machine", "weigh the model that it was made from", (b"\x7fELF", b"MZ\x90")),
    Foreign("a table in Parquet", "open it with pandas", (b"PAR1",)),
    Foreign("a page of HTML, as a failed download leaves", "fetch the file again, by the address of the file itself",
            test=lambda file, head: bool(re.match(rb"\s*<(!doctype html|html)", head, re.IGNORECASE))),
    Foreign("XML text", "give the file of the weights", (b"<?xml",)),
)  # fmt: skip
"""Every format that `weigh` names without reading it. A file is of the first that fits."""


def named(file: File, imports: Iterable[str] = ()) -> str:
    """What a file of another tool is and what to do with it; nothing where that is not known.

    Args:
        file: The file.
        imports: What its pickle would import, if it is one: then that alone says whose it is, if all of it does.
    """
    imports = tuple(imports)
    if imports:
        owners = ("collections.", "builtins.", "copyreg.", "_codecs.", "scipy.", "pandas.")
        known = [each for each in FOREIGN if each.imports and any(name.startswith(each.imports) for name in imports)]
        roots = (*owners, *(root for each in FOREIGN for root in each.imports))
        return _said(known[0]) if known and all(name.startswith(roots) for name in imports) else ""
    head = file.first(_HEAD)
    if head.startswith(b"PK"):
        return _archive(file)
    return next((_said(each) for each in FOREIGN if _fits(each, file, head)), "")


def _fits(each: Foreign, file: File, head: bytes) -> bool:
    return (
        bool(each.magic and head.startswith(each.magic, each.at))
        or file.suffix in each.suffixes
        or each.test(file, head)
    )


def _said(each: Foreign) -> str:
    return f"is {each.name}, which weigh does not read; {each.use}"


def _archive(file: File) -> str:
    """What an archive is, by its records."""
    try:
        names = archives.records(file, "", compressed=True).keys()
    except errors.MalformedArchive:
        return ""
    return next((_said(each) for each in FOREIGN if each.records and names >= set(each.records)), "")
