"""Remote files: what travels is the header, counted at a server of the test's own."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from fsspec.implementations.memory import MemoryFileSystem
from safetensors.torch import save_file

import weigh
from weigh import errors
from weigh.cli import main


class Server(ThreadingHTTPServer):
    """Serves the files of a directory by ranges, and keeps what it was asked for and how much it sent."""

    daemon_threads = True

    def __init__(self, directory: Path) -> None:
        self.directory, self.ranges = directory, True
        self.requests: list[str] = []
        self.sent = 0
        super().__init__(("127.0.0.1", 0), Handler)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        self.server.requests.append(f"{self.command} {self.headers.get('Range', '')}")
        path = self.server.directory / self.path.lstrip("/")
        if not path.is_file():
            self.send_error(404)
            return
        size = path.stat().st_size
        begin, end = 0, size
        if self.server.ranges and (asked := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))):
            begin, end = int(asked[1]), min(size, int(asked[2]) + 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes" if self.server.ranges else "none")
        self.send_header("Content-Length", str(end - begin))
        self.end_headers()
        if body:
            with path.open("rb") as file:
                file.seek(begin)
                while begin < end:
                    block = file.read(min(2**20, end - begin))
                    self.server.sent += len(block)
                    begin += len(block)
                    try:
                        self.wfile.write(block)
                    except OSError:
                        return

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def sparse(path: Path, gigabytes: int) -> None:
    """A safetensors file of that many gigabytes, most of them a hole."""
    size = gigabytes * 10**9
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + size)


def test_100_gb_are_inspected_with_one_range(server: Server, tmp_path: Path) -> None:
    sparse(tmp_path / "big.safetensors", 100)
    contents = weigh.inspect(server.url("big.safetensors"))
    assert contents.bytes_in_tensors == 100 * 10**9
    assert server.sent < 2**19
    assert [request.split()[0] for request in server.requests] == ["HEAD", "GET"]


def test_the_bits_of_a_remote_file_are_those_of_the_config_beside_it(server: Server, tmp_path: Path) -> None:
    packed = {"w.weight": torch.zeros(64, 32, dtype=torch.uint32), "w.scales": torch.ones(64, 4)}
    save_file(packed | {"w.biases": torch.ones(64, 4)}, tmp_path / "mlx.safetensors")
    assert weigh.inspect(server.url("mlx.safetensors")).parameters == 0
    (tmp_path / "config.json").write_text(json.dumps({"quantization": {"bits": 4, "group_size": 64}}))
    assert weigh.inspect(server.url("mlx.safetensors")).parameters == 64 * 256


def test_an_archive_is_read_from_both_ends(server: Server, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(2, 3), "big": torch.zeros(5_000_000)}, tmp_path / "w.pt")
    contents = weigh.inspect(server.url("w.pt"))
    assert contents.as_dict() == weigh.inspect(tmp_path / "w.pt").as_dict() | {"path": server.url("w.pt")}
    assert server.sent < 2**20 and len(server.requests) < 8


def test_shards_are_found_beside_their_index(server: Server, tmp_path: Path) -> None:
    save_file({"a": torch.ones(3)}, tmp_path / "one.safetensors")
    save_file({"b": torch.ones(4)}, tmp_path / "two.safetensors")
    index = {"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert weigh.inspect(server.url("model.safetensors.index.json")).parameters == 7
    (tmp_path / "two.safetensors").unlink()
    with pytest.raises(errors.NotFound, match=r"two\.safetensors"):
        weigh.inspect(server.url("model.safetensors.index.json"))


def test_a_remote_checkpoint_is_compared_and_exported(server: Server, tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.arange(6.0).view(2, 3).t()}, "step": 1}, tmp_path / "w.pt")
    weigh.export(server.url("w.pt"), tmp_path / "out")
    found = weigh.diff(server.url("w.pt"), tmp_path / "out")
    assert (found.equal, found.changes) == (1, ())


def test_a_config_is_read_from_a_url(server: Server, root: Path) -> None:
    server.directory = root / "models/gpt2"
    assert weigh.params(server.url("config.json")).parameters == 124_439_808


def test_what_a_server_can_refuse(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(errors.NotFound, match=r"none\.safetensors"):
        weigh.inspect(server.url("none.safetensors"))
    for nowhere in (server.url("Caps/none"), "http://127.0.0.1:9/Caps/none"):
        with pytest.raises(errors.NotFound, match=rf"^{nowhere}: not found, or its server does not answer; check "):
            weigh.inspect(nowhere)
    with pytest.raises(errors.NotFound, match="lists no directories"):
        weigh.inspect(server.url("models/"))
    with pytest.raises(errors.NotFound, match="no URL"):
        weigh.inspect("nonsense://model.safetensors")
    with pytest.raises(SystemExit) as exit:
        main(["inspect", "http://127.0.0.1:1/model.safetensors"])
    assert exit.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("weigh: http://127.0.0.1:1/model.safetensors: ") and error.count("\n") == 1


def test_a_server_without_ranges_does_not_send_it_all(server: Server, tmp_path: Path) -> None:
    sparse(tmp_path / "big.safetensors", 3)
    server.ranges = False
    with pytest.raises(errors.Unreachable, match="ranges"):
        weigh.inspect(server.url("big.safetensors"))
    assert server.sent < 2**27  # what the sockets between the two hold


def test_other_file_systems_have_directories(tmp_path: Path) -> None:
    save_file({"a": torch.ones(3)}, tmp_path / "model.safetensors")
    MemoryFileSystem().pipe("/models/x/model.safetensors", (tmp_path / "model.safetensors").read_bytes())
    contents = weigh.inspect("memory://models/x")
    assert contents.parameters == 3 and contents.artifacts["weights"] == ["model.safetensors"]


def test_without_the_packages_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "upath", None)
    with pytest.raises(errors.MissingPackage, match="pip install"):
        weigh.inspect("https://example.org/model.safetensors")
