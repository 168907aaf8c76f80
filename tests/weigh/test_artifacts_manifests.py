"""`weigh manifest`: what it lists, what it leaves out, and that every change since is named."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from weigh import errors
from weigh.artifacts.manifests import model_manifest, read_model_manifest, verify_manifest
from weigh.cli import main
from weigh.cli import weigh as command


def pointer_to(data: bytes) -> bytes:
    digest = hashlib.sha256(data).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(data)}\n".encode()


@pytest.fixture
def release(tmp_path: Path) -> Path:
    directory = tmp_path / "release"
    shutil.copytree("models/quill-draft", directory)
    (directory / "onnx").mkdir()
    (directory / "onnx" / "model.onnx").write_bytes(b"weights")
    (directory / ".cache").mkdir()
    (directory / ".cache" / "download.lock").write_text("")
    (directory / ".gitattributes").write_text("*.safetensors filter=lfs")
    return directory


def write(directory: Path, to: Path) -> Path:
    to.write_text(json.dumps(model_manifest(directory).as_dict()))
    return to


def test_every_file_is_in_it_and_what_is_hidden_is_named(release: Path) -> None:
    found = model_manifest(release)
    names = {"config.json", "model.safetensors", "onnx/model.onnx", "tokenizer.json", "tokenizer_config.json"}
    assert set(found.files) == names
    assert found.files["onnx/model.onnx"].sha256 == hashlib.sha256(b"weights").hexdigest()
    assert found.files["onnx/model.onnx"].bytes == 7 and found.pointers == ()
    assert found.left_out == {".cache/": "hidden", ".gitattributes": "hidden"}


def test_links_are_followed_to_files_and_not_to_folders(release: Path, tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(b"linked")
    (release / "linked.bin").symlink_to(tmp_path / "blob")
    (release / "circle").symlink_to(release)
    found = model_manifest(release)
    assert found.files["linked.bin"].bytes == 6 and found.left_out["circle/"] == "a link to a folder"
    os.mkfifo(release / "pipe")
    assert model_manifest(release).left_out["pipe"].startswith("no file but")
    (release / "gone.bin").symlink_to(tmp_path / "nothing")
    with pytest.raises(errors.NotFound, match=r"gone\.bin"):
        model_manifest(release)


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_every_change_is_named(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder, "release")
        directory.mkdir()
        contents = data.draw(st.dictionaries(st.sampled_from("abcdef"), st.binary(min_size=1), min_size=1))
        for name, raw in contents.items():
            (directory / name).write_bytes(raw)
        manifest = write(directory, Path(folder, "manifest.json"))
        assert verify_manifest(directory, manifest).verified
        expected: dict[str, set[str]] = {"changed": set(), "missing": set(), "added": set(), "pointers": set()}
        for name, raw in contents.items():
            match data.draw(st.sampled_from(["kept", *expected])):
                case "changed":
                    (directory / name).write_bytes(bytes([raw[0] ^ 1]) + raw[1:])
                    expected["changed"].add(name)
                case "missing":
                    (directory / name).unlink()
                    expected["missing"].add(name)
                case "pointers":
                    (directory / name).write_bytes(pointer_to(raw))
                    expected["pointers"].add(name)
                case "added":
                    (directory / f"{name}-new").write_bytes(raw)
                    expected["added"].add(f"{name}-new")
        found = verify_manifest(directory, manifest)
        assert {kind: set(getattr(found, kind)) for kind in expected} == expected
        assert found.verified == (not any(expected.values()))
        assert found.same == len(contents) - sum(len(expected[k]) for k in ("changed", "missing", "pointers"))


def test_a_manifest_in_the_directory_is_no_file_of_the_model(release: Path) -> None:
    manifest = release / "manifest.json"
    manifest.write_text("")  # as a shell makes it before the command runs
    write(release, manifest)
    found = verify_manifest(release, manifest)
    assert found.verified and found.left_out["manifest.json"] == "the manifest itself"


def test_the_command_prints_it_and_checks_it(release: Path, tmp_path: Path) -> None:
    (release / "model.safetensors").write_bytes(pointer_to(b"weights elsewhere"))
    done = CliRunner().invoke(command, ["manifest", str(release)], standalone_mode=False)
    assert done.return_value == 0 and "is a Git LFS pointer" in done.stderr
    manifest = tmp_path / "manifest.json"
    manifest.write_text(done.stdout)
    entry = json.loads(done.stdout)["files"]["model.safetensors"]
    assert entry["lfs_pointer"]["size"] == 17 and read_model_manifest(manifest) == model_manifest(release)
    check = ["manifest", str(release), "--check", str(manifest)]
    done = CliRunner().invoke(command, check, standalone_mode=False)
    assert done.return_value == 0 and "5 files as in" in done.output and "not compared: .cache/" in done.output
    (release / "config.json").write_text("{}")
    (release / "tokenizer.json").unlink()
    done = CliRunner().invoke(command, check, standalone_mode=False)
    assert done.return_value == 1 and "changed: config.json\nmissing: tokenizer.json\n" in done.output
    done = CliRunner().invoke(command, [*check, "--json"], standalone_mode=False)
    facts = json.loads(done.output)
    assert done.return_value == 1 and facts["changed"] == ["config.json"] and not facts["verified"]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"weigh_manifest": 2, "files": {}}', '{"weigh_manifest": 1, "files": []}',
     '{"weigh_manifest": 1, "files": {"a": {"bytes": 1, "sha256": "x"}}}',
     '{"weigh_manifest": 1, "files": {"a": {"bytes": "1", "sha256": 3}}}',
     '{"weigh_manifest": 1, "files": {"a": {"bytes": 1, "size": 3}}}', "\udcff"],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(
    text: str, release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(text, "utf-8", errors="surrogateescape")
    for arguments in (
        [str(release), "--check", str(manifest)],
        [str(release), "--check", str(tmp_path / "none")],
        [str(tmp_path / "none")],
        ["a\0b"],
    ):
        with pytest.raises(SystemExit) as exit:
            main(["manifest", *arguments])
        said = capsys.readouterr()
        assert exit.value.code == 2 and said.out == "" and said.err.count("\n") == 1


def test_a_directory_without_files_has_no_manifest(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(errors.NotFound, match="holds no file"):
        model_manifest(tmp_path)


def test_a_file_that_became_a_link_to_nothing_is_missing(release: Path) -> None:
    manifest = model_manifest(release)
    (release / "config.json").unlink()
    (release / "config.json").symlink_to("gone")
    found = verify_manifest(release, manifest)
    assert found.missing == ("config.json",) and not found.changed and found.same == len(manifest.files) - 1
