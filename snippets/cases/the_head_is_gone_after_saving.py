"""The program of the case "The head is gone after saving": a head that repeats the embedding, and one that does not."""

# --8<-- [start:copies]
import json
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
folder = tempfile.TemporaryDirectory()
root = Path(folder.name)


def copy(name, head, tied):
    """Quill as another directory: with this head beside the embedding, and what the config says of it."""
    to = shutil.copytree("models/quill", root / name)
    weights = load_file(to / "model.safetensors")
    if head is not None:
        weights[HEAD] = head(weights[EMBEDDING])
    save_file(weights, to / "model.safetensors", {"format": "pt"})
    config = json.loads((to / "config.json").read_text())
    (to / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": tied}))
    return to


published = copy("published", head=torch.clone, tied=True)  # as Qwen1.5-0.5B was: the head is there twice
saved_again = copy("saved-again", head=None, tied=True)  # as save_pretrained writes it
told_apart = copy("told-apart", head=None, tied=False)  # the same file, and a config that says untied
# --8<-- [end:copies]

# --8<-- [start:loss]
import transformers

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.manual_seed(0)
tokenizer = transformers.AutoTokenizer.from_pretrained("models/quill")
text = Path("models/quill/held-out.txt").read_text("utf-8")[20_000:20_600]
ids = torch.tensor([tokenizer.encode(text)[:128]])


@torch.no_grad()
def loss(directory):
    """Nats per token of 128 tokens of Macbeth."""
    model = transformers.AutoModelForCausalLM.from_pretrained(directory)
    return float(model(ids, labels=ids).loss), model


losses = {}
for directory in (published, saved_again, told_apart):
    losses[directory.name], model = loss(directory)
    if directory == published:
        model.save_pretrained(root / "by-transformers")
# --8<-- [end:loss]

# --8<-- [start:table]
import weigh

rows = {}
for directory in (published, saved_again, told_apart):
    contents = weigh.inspect(directory)
    rows[directory.name] = contents.parameters, HEAD in {tensor.name for tensor in contents.named}
print("| Directory | Config | Head in the file | Numbers in the file | Loss, nats |")
print("| --- | --- | --- | ---: | ---: |")
for name, says in (("published", "tied"), ("saved-again", "tied"), ("told-apart", "untied")):
    numbers, there = rows[name]
    print(f"| {name} | {says} | {'yes' if there else 'no'} | {numbers:,} | {losses[name]:.2f} |")
# --8<-- [end:table]

# --8<-- [start:claims]
import math

assert abs(losses["published"] - losses["saved-again"]) < 1e-4
uniform = math.log(model.config.vocab_size)
assert losses["told-apart"] > uniform - 0.5 > losses["published"] + 1
again = {tensor.name for tensor in weigh.inspect(root / "by-transformers").named}
assert HEAD not in again and EMBEDDING in again, "transformers drops the second copy when it saves"
extra = rows["published"][0] - rows["saved-again"][0]
# --8<-- [end:claims]

# --8<-- [start:own]
import contextlib

from weigh.cli import weigh as command

with contextlib.chdir(root):
    command.main(["diff", "published/model.safetensors", "saved-again/model.safetensors"], standalone_mode=False)
# --8<-- [end:own]

# --8<-- [start:back]
weights = load_file(saved_again / "model.safetensors")
weights[HEAD] = weights[EMBEDDING].clone()  # safetensors refuses two names of one storage
save_file(weights, root / "model.safetensors", {"format": "pt"})
assert weigh.diff(root / "model.safetensors", published / "model.safetensors").same
# --8<-- [end:back]

# --8<-- [start:problem]
qwen = {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 1024, "num_hidden_layers": 24,
        "num_attention_heads": 16, "num_key_value_heads": 16, "intermediate_size": 2816, "vocab_size": 151936,
        "tie_word_embeddings": True}  # fmt: skip
(root / "qwen.json").write_text(json.dumps(qwen))
tied = weigh.params(root / "qwen.json")
head = 151_936 * 1024
folder.cleanup()
# --8<-- [end:problem]
