"""What `weigh params` says of a config that no page here names, field by field and refusal by refusal."""

# --8<-- [start:terminal]
import json
import os
import shlex
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

folder = Path(tempfile.mkdtemp())


def terminal(line: str) -> subprocess.CompletedProcess[str]:
    """Run a `weigh` command beside the files of this page, and print what a terminal of 84 columns shows."""
    command = [sys.executable, "-P", "-c", "from weigh.cli import main; main()", *shlex.split(line)[1:]]
    environment = os.environ | {"PYTHONUTF8": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8")
    assert "Traceback" not in done.stderr
    print(f"$ {line}")
    for text in (done.stdout + done.stderr).splitlines():
        print(textwrap.fill(text, 84) if len(text) > 84 else text.rstrip())
    print()
    return done


def config(**fields) -> None:
    """Write the `config.json` that the commands read."""
    (folder / "config.json").write_text(json.dumps(fields))


# --8<-- [end:terminal]

# --8<-- [start:constructed]
config(model_type="qwen3_next", num_hidden_layers=4, num_experts=8, architectures=["Qwen3NextForCausalLM"])
answered = terminal("weigh params config.json")
assert "counted by: constructors of transformers" in answered.stdout
# --8<-- [end:constructed]

# --8<-- [start:json]
answer = subprocess.run(
    [sys.executable, "-P", "-c", "from weigh.cli import main; main()", "params", "config.json", "--json"],
    cwd=folder, capture_output=True, encoding="utf-8",
)  # fmt: skip
facts = json.loads(answer.stdout)
print(facts["counted_by"])
print(sorted(facts["assumed"])[:4], "…")
# --8<-- [end:json]

# --8<-- [start:unread]
config(model_type="llama", architectures=["LlamaForCausalLM"], num_hidden_layers=2, num_memory_layers=3)
plain = terminal("weigh params config.json")
strict = terminal("weigh params config.json --strict")
assert (plain.returncode, strict.returncode) == (0, 2)
assert "num_memory_layers" in plain.stdout and "num_memory_layers" in strict.stderr
# --8<-- [end:unread]

# --8<-- [start:code]
config(model_type="my_model", auto_map={"AutoModelForCausalLM": "modeling_my.MyModel"}, hidden_size=64)
own = terminal("weigh params config.json")
assert own.returncode == 2
# --8<-- [end:code]

# --8<-- [start:weights]
import numpy as np
from safetensors.numpy import save_file

weights = {"embedding.weight": np.zeros((1000, 64), np.float32), "memory.bias": np.zeros(64, np.float32)}
save_file(weights, folder / "model.safetensors")
wrong = terminal("weigh params model.safetensors")
right = terminal("weigh inspect model.safetensors")
assert (wrong.returncode, right.returncode) == (2, 0)
# --8<-- [end:weights]

# --8<-- [start:problems]
in_weights = sum(array.size for array in weights.values())
layers, hidden, inner, vocabulary = 2, 4096, 11008, 32000
own_layers = layers * (4 * hidden**2 + 3 * hidden * inner + 2 * hidden)
tables = 2 * vocabulary * hidden
counted = own_layers + tables + hidden
# --8<-- [end:problems]
