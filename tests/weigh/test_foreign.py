"""A file of another tool is called what it is, and what opens it; only a pickle is said to be dangerous."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pytest
import skops.io
import torch
import xgboost
from sklearn.linear_model import LogisticRegression

import weigh
from weigh import errors

ROWS, CLASSES = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 2


def refusal(path: Path) -> str:
    with pytest.raises(errors.UnknownFormat) as error:
        weigh.inspect(path)
    assert "do not load" not in error.value.problem and "index out of range" not in error.value.problem
    return error.value.problem


def written(path: Path, tool: str) -> None:
    """A small model as its own library writes it, whatever the file is called."""
    model: Any = LogisticRegression().fit(ROWS, CLASSES)
    boosted: dict[str, Any] = {"n_estimators": 2, "n_jobs": 1}
    match tool:
        case "joblib":
            joblib.dump(model, path)
        case "joblib, compressed":
            joblib.dump(model, path, compress=3)
        case "pickle":
            path.write_bytes(pickle.dumps(model))
        case "skops":
            skops.io.dump(model, path)
        case "NumPy":
            path.write_bytes(pickle.dumps({"w": np.ones(3), "StructuredToParameterName@@": {"w": "w_0"}}))
        case "LightGBM":
            lightgbm.LGBMClassifier(verbose=-1, **boosted).fit(ROWS, CLASSES).booster_.save_model(path)
        case "XGBoost":
            path.write_bytes(xgboost.XGBClassifier(**boosted).fit(ROWS, CLASSES).get_booster().save_raw("ubj"))


@pytest.mark.parametrize("suffix", [".bin", ".pkl", ""])
@pytest.mark.parametrize(
    ("tool", "name"),
    {
        "joblib": "joblib", "joblib, compressed": "joblib", "pickle": "scikit-learn", "skops": "skops",
        "NumPy": "Paddle", "LightGBM": "LightGBM", "XGBoost": "XGBoost",
    }.items(),
)  # fmt: skip
def test_what_these_libraries_write_is_named(tool: str, name: str, suffix: str, tmp_path: Path) -> None:
    written(tmp_path / f"model{suffix}", tool)
    assert name in refusal(tmp_path / f"model{suffix}")


CTRANSLATE2 = (6).to_bytes(4, "little") + (9).to_bytes(2, "little") + b"GPT2Spec\0" + bytes(8)
FIRST_BYTES = {  # as openvino 2026.4.1, coremltools 9.0, ctranslate2 4.8.5, fasttext 0.9.2, gensim 4.4.0 … wrote them
    "Keras": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "TensorFlow Lite": b"\x1c\0\0\0TFL3" + bytes(100),
    "ExecuTorch": b"\x38\0\0\0ET12eh00" + bytes(100),
    "fastText": b"\xba\x16\x4f\x2f\x0c\0\0\0" + bytes(100),
    "CTranslate2": CTRANSLATE2,
    "Core ML": b"\x01\0\0\0\x02\0\0\0" + bytes(56) + b"\xef\xbe\xad\xde" + bytes(60),
    "word2vec": b"3 4\na " + bytes(16),
    "Flax": b"\x81\xa6params\x81\xa5dense" + bytes(20),
    "GGML": b"tjgg\x03\0\0\0" + bytes(100),
    "CatBoost": b"CBM1" + bytes(100),
    "HTML": b"<!DOCTYPE html>\n<html>",
    "tar": b"model.ckpt" + bytes(247) + b"ustar\x0000" + bytes(248),
}


@pytest.mark.parametrize("suffix", [".bin", ".model"])
@pytest.mark.parametrize("name", FIRST_BYTES)
def test_first_bytes_say_whose_a_file_is(name: str, suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"model{suffix}").write_bytes(FIRST_BYTES[name])
    assert name in refusal(tmp_path / f"model{suffix}")


def test_records_and_neighbours_say_whose_a_file_is(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        for name in ("metadata.json", "config.json", "model.weights.h5"):
            archive.writestr(name, "{}")
    assert "Keras" in refusal(tmp_path / "model.keras")
    (tmp_path / "openvino_model.bin").write_bytes(np.ones(9, np.float32).tobytes())
    assert "OpenVINO" not in refusal(tmp_path / "openvino_model.bin")
    (tmp_path / "openvino_model.xml").write_text('<?xml version="1.0"?>\n<net name="Model0" version="11">')
    assert "OpenVINO" in refusal(tmp_path / "openvino_model.bin")


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "model.gguf", "model.onnx"])
def test_a_pointer_is_named_with_the_size_of_its_file(name: str, tmp_path: Path) -> None:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d7a' * 16}\nsize 5312\n"
    (tmp_path / name).write_text(text)
    with pytest.raises(errors.UnknownFormat, match=r"Git LFS pointer to 5,312 bytes.*git lfs pull"):
        weigh.inspect(tmp_path / name)


def test_a_pickle_that_calls_something_else_stays_dangerous(tmp_path: Path) -> None:
    class Calls:
        def __reduce__(self) -> Any:
            return os.path.getsize, ("/",)

    for value in (Calls(), [LogisticRegression(), Calls()]):
        (tmp_path / "model.bin").write_bytes(pickle.dumps(value))
        with pytest.raises(errors.MalformedPickle, match=r"genericpath\.getsize.*do not load it"):
            weigh.inspect(tmp_path / "model.bin")
    torch.save({"w": torch.ones(2), "calls": Calls()}, tmp_path / "model.bin")
    assert weigh.inspect(tmp_path / "model.bin").imports == ("genericpath.getsize",)
    (tmp_path / "model.bin").write_bytes(pickle.dumps(Calls())[:-2])  # cut short, and no less dangerous
    with pytest.raises(errors.MalformedPickle, match="do not load this file"):
        weigh.inspect(tmp_path / "model.bin")
