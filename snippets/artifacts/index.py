"""The program of "The six artifacts": Quill with each of its files taken away."""

# --8<-- [start:files]
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

scratch = TemporaryDirectory()
folder = Path(scratch.name)
HOME = Path("models/quill")


def without(name):
    """A copy of Quill that lacks a file."""
    copy = folder / f"without-{name}"
    shutil.copytree(HOME, copy, ignore=shutil.ignore_patterns(name, "held-out.txt", "training.json"))
    return copy


# --8<-- [end:files]

# --8<-- [start:load]
import transformers

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def outcome(load, path):
    """What a loader gives, or the name of its error."""
    try:
        return load(path)
    except Exception as error:  # whatever a reader would meet
        return type(error).__name__


model = transformers.AutoModelForCausalLM.from_pretrained
lost = {
    "config": outcome(model, without("config.json")),
    "weights": outcome(model, without("model.safetensors")),
    "tokenizer": outcome(transformers.AutoTokenizer.from_pretrained, without("tokenizer.json")),
    "generation": outcome(model, without("generation_config.json")),
}
whole = model(HOME).generation_config
# --8<-- [end:load]

# --8<-- [start:train]
from dataclasses import replace

import torch

from quill import tokenizer
from quill.model import Config, Quill
from quill.training import Plan, train

torch.set_num_threads(1)
ids = torch.tensor(tokenizer.read(HOME).encode((HOME / "held-out.txt").read_text("utf-8")).ids)
small = replace(
    Config(), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1
)
plan = Plan(steps=40, batch=2, every=20, warmup=10)


def run(checkpoint, kept=None):
    """The history of a small model trained on a play, and the steps after which it looked and saved in this run.

    What lay in its checkpoint half-way is kept, if asked for.
    """
    looks = []

    def keep(step, *_):
        looks.append(step)
        if kept and step == plan.steps // 2:
            shutil.copy(checkpoint, kept)

    torch.manual_seed(0)
    return train(Quill(small).double(), ids[:-512], ids[-512:], plan, checkpoint, keep), looks


straight, straight_looks = run(folder / "straight.pt", kept=folder / "half.pt")
# --8<-- [end:train]

# --8<-- [start:resume]
shutil.copy(folder / "half.pt", folder / "resumed.pt")
resumed, resumed_looks = run(folder / "resumed.pt")

saved = torch.load(folder / "half.pt")
for moments in saved["optimizer"]["state"].values():
    for name in moments:
        moments[name].zero_()  # as a fresh optimizer has it
torch.save(saved, folder / "no-state.pt")
run(folder / "no-state.pt")


def weights(checkpoint):
    """All weights of a checkpoint in a row."""
    return torch.cat([tensor.flatten() for tensor in torch.load(folder / checkpoint)["model"].values()])


trained = weights("straight.pt")
moved = (trained - weights("half.pt")).norm()  # how far the second half of training takes them
astray = {name: float((weights(name) - trained).norm() / moved) for name in ("resumed.pt", "no-state.pt")}
# --8<-- [end:resume]

# --8<-- [start:claims]
assert all(isinstance(lost[name], str) for name in ("config", "weights", "tokenizer")), "Three stop the loader"
assert whole.do_sample and not lost["generation"].generation_config.do_sample, "One changes how text is chosen, unseen"
assert resumed == straight, "A checkpoint goes on as if nothing had happened"
assert astray["resumed.pt"] == 0, "To the last bit"
assert astray["no-state.pt"] > 0.2, "Without the state another model comes out"
assert (resumed_looks, straight_looks) == ([40], [20, 40]), "Without a checkpoint it begins anew, and says nothing"
# --8<-- [end:claims]

# --8<-- [start:table]
import weigh
from weigh.units import format_bytes

half = weigh.inspect(folder / "half.pt")
state = half.by_component["optimizer"]
generation = lost["generation"].generation_config


def size(name):
    return format_bytes((HOME / name).stat().st_size)


def stops(artifact):
    return f"**Stops**: `{lost[artifact]}`"


ROWS = [
    ("Architecture config", "architecture-config", "Defines tensor shapes and the graph of layers",
     f"`config.json`, {size('config.json')}", stops("config")),
    ("Weights", "weights", "The learned parameters",
     f"`model.safetensors`, {size('model.safetensors')}", stops("weights")),
    ("Tokenizer / preprocessor", "tokenizer", "Converts raw input into ids or tensors that the model reads",
     f"`tokenizer.json`, {size('tokenizer.json')}", stops("tokenizer")),
    ("Checkpoint", "checkpoint", "Saved state of a model, for training or inference",
     f"`checkpoint.pt`, {format_bytes(half.bytes_on_disk)} for a model of {half.by_component['weights'] / 1e3:.0f} kB",
     "**Silent**: training begins anew"),
    ("Optimizer state", "optimizer-state", "Needed to resume training faithfully",
     f"in the checkpoint, {state / half.by_component['weights']:.2f} × the weights",
     "**Silent**: training goes on to other weights"),
    ("Generation config", "generation-config", "Sampling, temperature, top-p, most tokens, when to stop",
     f"`generation_config.json`, {size('generation_config.json')}",
     f"**Silent**: sampling at {whole.temperature} becomes greedy decoding"),
]  # fmt: skip
print("| Artifact | Without it | Why it matters | Here |\n| --- | --- | --- | --- |")
for title, page, why, where, absent in ROWS:
    print(f"| [{title}]({page}/) | {absent} | {why} | {where} |")
# --8<-- [end:table]

# --8<-- [start:own]
WANTED = ["config.json", "*.safetensors", "tokenizer.json", "generation_config.json"]


def lacking(directory):
    """The files that a served model needs and a directory has not."""
    return [name for name in WANTED if not list(Path(directory).glob(name))]


for directory in (HOME, folder / "without-generation_config.json"):
    print(f"{directory.name:<31} lacks {', '.join(lacking(directory)) or 'nothing'}")
# --8<-- [end:own]

# --8<-- [start:problems]
seven = 7e9
resume = seven * (4 + 4 + 4)
serve = seven * 2
# --8<-- [end:problems]
