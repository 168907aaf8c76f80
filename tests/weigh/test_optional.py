"""The command where a package is missing that it uses: one line that names it and its remedy, and exit code 2."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import mistral_common
import pytest

from weigh.errors import MissingPackage
from weigh.optional import needed

WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
from weigh.cli import main
main(sys.argv[2:])
"""
ELSEWHERE = "https://127.0.0.1:1"
QUILL = "models/quill/model.safetensors"
MISTRAL = Path(mistral_common.__file__).parent / "data"
PIECES = str(MISTRAL / "mistral_instruct_tokenizer_240323.model.v3")
TEKKEN = str(MISTRAL / "tekken_240718.json")


def without(module: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, module, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("module", "args", "remedy", "extra"),
    [
        ("torch", ("diff", QUILL, QUILL), f"{QUILL}: needs the package torch; pip install torch", "torch"),
        ("torch", ("export", "models/quill", "{new}"), "needs the package torch; pip install torch", "torch"),
        ("safetensors", ("export", "models/quill", "{new}"), "pip install safetensors", "torch"),
        ("numpy", ("export", "models/quill", "{new}"), "pip install numpy", "torch"),
        ("tokenizers", ("tokenizer", "models/quill/tokenizer.json"), "pip install tokenizers", "tokenizers"),
        ("sentencepiece", ("tokenizer", PIECES), "pip install sentencepiece", "tokenizers"),
        ("google", ("tokenizer", PIECES), "needs the package protobuf; pip install protobuf", "tokenizers"),
        ("mistral_common", ("tokenizer", TEKKEN), "pip install mistral-common", "tokenizers"),
        ("narwhals", ("check", "splits", "README.md", "--split", "part"), "pip install narwhals", "checks"),
        ("polars", ("check", "splits", "README.md", "--split", "part"), "pip install polars", "checks"),
        ("upath", ("inspect", f"{ELSEWHERE}/a.safetensors"), "pip install universal-pathlib aiohttp", "remote"),
        ("aiohttp", ("inspect", f"{ELSEWHERE}/a.safetensors"), "pip install aiohttp", "remote"),
        ("s3fs", ("inspect", "s3://bucket/model.safetensors"), "pip install s3fs", None),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    module: str, args: tuple[str, ...], remedy: str, extra: str | None, tmp_path: Path
) -> None:
    done = without(module, *(arg.format(new=tmp_path / "new") for arg in args))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("weigh: ") and done.stderr.count("\n") == 1
    whole = f', or the whole extra, "weights-and-measures[{extra}]"' if extra else ""
    assert done.stderr.endswith(f"{remedy}{whole}\n")
    assert not list(tmp_path.iterdir())


def test_headers_need_no_package() -> None:
    done = without("torch", "inspect", QUILL)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_package_that_does_not_load_is_not_called_missing() -> None:
    said = r"model\.pt: .* does not load \(undefined symbol: x\); install it again"
    with pytest.raises(MissingPackage, match=said), needed("model.pt"):
        raise ImportError("undefined symbol: x")
