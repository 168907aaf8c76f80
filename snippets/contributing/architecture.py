"""The rooms of the sources, which room imports which, and one change of each kind, made and used."""

# --8<-- [start:rooms]
import ast
from collections import Counter
from pathlib import Path

LIBRARY = Path("src/weigh")


def room(module):
    """The room of a module, by its dotted name: the first part below `weigh`."""
    return module.split(".")[1] if "." in module else ""


sources = {}  # dotted names, and their syntax trees
for path in sorted(LIBRARY.rglob("*.py")):
    name = ".".join(path.relative_to("src").with_suffix("").parts).removesuffix(".__init__")
    sources[name] = ast.parse(path.read_text("utf-8"))


def imported(tree):
    """The modules of weigh that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "weigh":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in sources else node.module


below = {}  # rooms, and the rooms that they import
for name, tree in sources.items():
    found = {room(other) for other in imported(tree)} - {room(name), ""}
    below.setdefault(room(name), set()).update(found)
# --8<-- [end:rooms]

# --8<-- [start:table]
FLOORS = (
    ("cli",),
    ("checks",),
    ("artifacts",),
    ("memory", "files"),
    ("models", "formats", "decoding", "tokenizers"),
    ("tensors", "formulas"),
    ("sources",),
    ("optional", "dtypes", "units", "groups"),
    ("errors",),
)
height = {each: -number for number, floor in enumerate(FLOORS) for each in floor}
assert set(height) == set(below) - {"", "__main__"}, "Every room has a floor"
for upper in height:
    assert all(height[lower] < height[upper] for lower in below[upper]), f"{upper} imports no room above or beside it"

modules = Counter(room(name) for name in sources)
print("| Floor | Room | What is in it | Modules | Imports |")
print("| ---: | --- | --- | ---: | --- |")
for number, floor in enumerate(FLOORS):
    for each in floor:
        words = " ".join(ast.get_docstring(sources[f"weigh.{each}"]).partition("\n\n")[0].split())
        others = ", ".join(sorted(below[each])) or "–"
        print(f"| {len(FLOORS) - number} | `{each}` | {words} | {modules[each]} | {others} |")
# --8<-- [end:table]

# --8<-- [start:format]
import tempfile

import weigh
from weigh import formats

scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)

READER = '''
"""Read the weights of llama2.c: seven numbers of 32 bits, then every weight in float32."""

from weigh.sources import File
from weigh.tensors import Contents, Tensor


def read(file: File) -> Contents:
    """The weights of a file, as one tensor."""
    weights = Tensor("weights", ((file.size - 28) // 4,), "float32", file.name, 28, file.size)
    return Contents(str(file), "llama2.c", (weights,), file.size, weights.nbytes, storages={file.name: file})
'''
LINE = formats.Format("llama2.c", "llama2c", suffixes=(".llama2c",), weights=("*.llama2c",))
# --8<-- [end:format]

# --8<-- [start:format_used]
(folder / "llama2c.py").write_text(READER)
formats.__path__.append(str(folder))  # as if the module lay in src/weigh/formats/
formats.FORMATS += (LINE,)

(folder / "stories.llama2c").write_bytes(bytes(28 + 4 * 1000))
seen = weigh.inspect(folder / "stories.llama2c")
assert (seen.format, seen.parameters, seen.bytes_in_tensors) == ("llama2.c", 1000, 4000)
(folder / "notes.md").write_text("# Notes")
try:
    weigh.inspect(folder / "notes.md")
except weigh.WeighError as error:
    assert "llama2.c" in str(error)
print(f"{seen.format}: {seen.parameters:,} parameters in {seen.bytes_on_disk:,} bytes")
# --8<-- [end:format_used]

# --8<-- [start:family]
FAMILY = '''
"""Models in the line of Llama, whose feed-forward network is two matrices and no gate."""

from weigh.models.config import Config
from weigh.models.decoders import DecoderSizes, attention, caches, decoder, norms
from weigh.models.family import Family
from weigh.models.layers import Tensors, linear


def read(config: Config) -> DecoderSizes:
    """The sizes that a config states."""
    return DecoderSizes.of(config, V=32000, D=512, F=2048, L=8, H=8, K=2, activation="gelu")


def tensors(s: DecoderSizes, architecture: str) -> Tensors:
    """The tensors of every layer: attention, two matrices, and a norm before each."""

    def layer(name: str, i: int) -> Tensors:
        yield from attention(f"{name}.self_attn", s)
        yield from linear(f"{name}.mlp.up_proj", s.D, s.F, "feed-forward up", bias=False)
        yield from linear(f"{name}.mlp.down_proj", s.F, s.D, "feed-forward down", bias=False)
        yield from norms(name, s.D)

    return decoder(architecture, s, layer)


FAMILY = Family(
    model_type="plain", architectures=("PlainForCausalLM",), read=read, tensors=tensors, caches=caches,
)
'''
# --8<-- [end:family]

# --8<-- [start:family_used]
import json

from weigh.models import families

(folder / "plain.py").write_text(FAMILY)
families.__path__.append(str(folder))  # as if the module lay in src/weigh/models/families/

(folder / "config.json").write_text(json.dumps({"model_type": "plain", "hidden_size": 256, "num_attention_heads": 4}))
plain = weigh.params(folder)
D, F, L, V = 256, 2048, 8, 32000
E = D // 4
in_a_layer = D * (4 + 2 + 2) * E + 4 * E * D + 2 * D * F + 2 * D
assert plain.parameters == 2 * V * D + L * in_a_layer + D
assert weigh.inference(plain, context=1000).kv_cache_bytes == L * 2 * 2 * E * 1000 * 2
assert weigh.stored(plain, "int8") and weigh.decode_bound(plain, bandwidth=1e12, flops=1e14)
print(f"{plain.parameters:,} parameters, {weigh.inference(plain).total_bytes:,} bytes to serve")
# --8<-- [end:family_used]

# --8<-- [start:optimizer]
from weigh.memory.optimizers.entries import State
from weigh.memory.optimizers.pytorch import LIBRARY
from weigh.tensors import Tensor


@LIBRARY.optimizer("Signum")
def signum(tensor: Tensor, dtype: str) -> State:
    """Bernstein et al. 2018 (arXiv 1802.04434): the sign of a mean of the gradient."""
    yield "momentum_buffer", tensor.shape, dtype


# --8<-- [end:optimizer]

# --8<-- [start:optimizer_used]
quill = weigh.params("models/quill")
added = weigh.training(quill, "torch:Signum", "fp32", batch=1, sequence=64)
assert added.optimizer_state_bytes == 4 * quill.parameters

from click.testing import CliRunner

from weigh.cli import weigh as command

listed = CliRunner().invoke(command, ["optimizers", "signum"]).output
assert "torch:Signum" in listed, "The command lists it"
print(f"state of Signum for Quill: {added.optimizer_state_bytes:,} bytes")
# --8<-- [end:optimizer_used]

# --8<-- [start:command]
import click

from weigh.cli.group import weigh as group


@group.command("bits")
@click.argument("config")
def bits_command(config: str) -> None:
    """Say how many bits the parameters of CONFIG take as they are saved.

    Example: weigh bits config.json
    """
    from weigh.models.parameters import params

    click.echo(f"{8 * params(config).bytes_in_tensors:,}")


# --8<-- [end:command]

# --8<-- [start:command_used]
answered = CliRunner().invoke(command, ["bits", "models/quill"]).output
assert answered == f"{8 * quill.bytes_in_tensors:,}\n"
print("weigh bits models/quill:", answered)
# --8<-- [end:command_used]
