"""The program of "Generation config": one small file opened, and every way to get it wrong, made and run."""

# --8<-- [start:open]
import json
from pathlib import Path

HOME = Path("models/quill").resolve()
own = json.loads((HOME / "generation_config.json").read_text())
print((HOME / "generation_config.json").read_text())
# --8<-- [end:open]

# --8<-- [start:fields]
MEANING = {
    "bos_token_id": ("the token that begins a text", "an empty prompt fails"),
    "eos_token_id": ("the token that ends one", "it never ends itself"),
    "do_sample": ("draw a token, or take the best", "the best is taken"),
    "temperature": ("divides the logits before the draw", "1.0"),
    "top_p": ("keeps the fewest tokens that add up to it", "1.0, no cut"),
    "max_new_tokens": ("the length limit, prompt not counted", "20"),
}
assert set(MEANING) == set(own), "every field of the file is explained"
print("| Field | Here | What it does | Without it |\n| --- | ---: | --- | --- |")
for name, value in own.items():
    does, without = MEANING[name]
    print(f"| `{name}` | {json.dumps(value)} | {does} | {without} |")
# --8<-- [end:fields]

# --8<-- [start:runner]
import io
import logging
import warnings
from tempfile import TemporaryDirectory

import torch
import transformers
from transformers import GenerationConfig, LlamaForCausalLM

from quill import tokenizer

torch.set_num_threads(1)
words = tokenizer.read(HOME)
play = words.encode((HOME / "held-out.txt").read_text(encoding="utf-8")).ids
prompts = torch.tensor([play[start : start + 8] for start in range(1000, 21_000, 400)])
config = json.loads((HOME / "config.json").read_text())

said = io.StringIO()
transformers.logging.disable_default_handler()
transformers.logging.disable_progress_bar()
transformers.logging.add_handler(logging.StreamHandler(said))


def answers(file, config=config, mask=True, prompts=prompts, **call):
    """Fifty answers of Quill beside this file (None: no file), each up to its end token, and what was logged."""
    said.seek(0)
    said.truncate()
    with TemporaryDirectory() as folder:
        Path(folder, "model.safetensors").symlink_to(HOME / "model.safetensors")
        Path(folder, "config.json").write_text(json.dumps(config))
        if file is not None:
            text = file if isinstance(file, str) else json.dumps(file)
            Path(folder, "generation_config.json").write_text(text)
        model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    if mask:
        call["attention_mask"] = torch.ones_like(prompts)
    torch.manual_seed(0)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        texts = model.generate(prompts, **call)[:, prompts.shape[1] :].tolist()
    end = model.generation_config.eos_token_id
    return [text[: text.index(end) + 1] if end in text else text for text in texts], said.getvalue() or warned


# --8<-- [end:runner]


# --8<-- [start:compare]
N = 8
right = own | {"max_new_tokens": N}
NEWLINE = words.encode("\n").ids[0]
COMMA = words.encode(",").ids[0]
line = right | {"eos_token_id": NEWLINE}  # a deployment whose answers are single lines
expected = {"right": answers(right)[0], "line": answers(line)[0]}


def without(file, *names):
    return {name: value for name, value in file.items() if name not in names}


def compare(cases, base):
    """A table: of each case what one sees, how many of 50 answers change, and how to tell."""
    print("| Mismatch | One sees | Changed | How to tell |\n| --- | --- | ---: | --- |")
    found = {}
    for name, (tell, file, call) in cases.items():
        try:
            texts, log = answers(file, **call)
            changed = sum(a != b for a, b in zip(texts, expected[base], strict=True))
            found[name] = ("a warning" if log else "nothing", changed)
        except (ValueError, TypeError, IndexError) as error:
            found[name] = (type(error).__name__, None)
        seen, changed = found[name]
        print(f"| {name} | {seen} | {'no answer' if changed is None else changed} | {tell} |")
    return found


# --8<-- [end:compare]

# --8<-- [start:whole]
another = right | {"temperature": 0.6, "top_p": 0.9, "bos_token_id": 128_000, "eos_token_id": 128_001}
cut_short = json.dumps(right)[:-10]
sampling = {name: right[name] for name in ("do_sample", "temperature", "top_p", "max_new_tokens")}
whole = compare(
    {
        "the right file, again": ("", right, {}),
        "missing": ("look for it", None, {"max_new_tokens": N}),
        "another model's": ("ids ≥ vocabulary", another, {}),
        "cut short, no JSON": ("parse it", cut_short, {"max_new_tokens": N}),
        "no file, settings in `config.json`": ("old, still read", None, {"config": config | sampling}),
        "`config.json` says otherwise": ("the file wins", right, {"config": config | {"temperature": 0.1}}),
        "caller's own config, greedy": (
            "print it after",
            right,
            {"generation_config": GenerationConfig(max_new_tokens=N)},
        ),
    },
    "right",
)
# --8<-- [end:whole]

# --8<-- [start:whole_claims]
SILENT = ("nothing", 0)
assert whole["the right file, again"] == SILENT, "the seed makes runs comparable"
assert whole["missing"][0] == whole["cut short, no JSON"][0] == "nothing", "neither is reported"
assert whole["missing"][1] > 40 and whole["missing"][1] == whole["cut short, no JSON"][1], "a broken file is no file"
assert whole["another model's"][0] == "nothing" and whole["another model's"][1] > 10
assert whole["no file, settings in `config.json`"] == SILENT, "fields in config.json count where no file is"
assert whole["`config.json` says otherwise"] == SILENT, "and not where one is"
assert whole["caller's own config, greedy"] == SILENT, "a config of one's own is filled up from the file"
# --8<-- [end:whole_claims]

# --8<-- [start:values]
values = compare(
    {
        "`do_sample` false, temperature kept": ("it is ignored", right | {"do_sample": False}, {}),
        "`do_sample` missing": ("two runs agree", without(right, "do_sample"), {}),
        '`do_sample`: `"false"`': ("type of the field", right | {"do_sample": "false"}, {}),
        '`temperature`: `"0.8"`': ("the error", right | {"temperature": "0.8"}, {}),
        "`temperature`: 0": ("the error", right | {"temperature": 0.0}, {}),
        "`temperture`": ("unknown field", without(right, "temperature") | {"temperture": 0.8}, {}),
        "`seed`: 1": ("unknown field", right | {"seed": 1}, {}),
        "`use_cache`: false": ("time it", right | {"use_cache": False}, {}),
        "`top_k`: 50": ("it was there unseen", right | {"top_k": 50}, {}),
        "`top_k`: 0, as the file means": ("", right | {"top_k": 0}, {}),
    },
    "right",
)
# --8<-- [end:values]

# --8<-- [start:values_claims]
assert values["`do_sample` missing"][0] == "nothing" and values["`do_sample` missing"][1] > 40
assert values['`do_sample`: `"false"`'] == SILENT, "a text is true: it goes on sampling"
assert values["`do_sample` false, temperature kept"][0] == "a warning"
for name in ("`temperature`: 0", '`temperature`: `"0.8"`'):
    assert values[name] == ("ValueError", None)
assert values["`temperture`"][0] == "nothing" and values["`temperture`"][1] > 15, "a typo in the file is not reported"
assert values["`seed`: 1"] == values["`use_cache`: false"] == values["`top_k`: 50"] == SILENT
assert values["`top_k`: 0, as the file means"][1] > 5, "the unseen cut decides many answers"
# --8<-- [end:values_claims]

# --8<-- [start:typo]
model = LlamaForCausalLM.from_pretrained(HOME, dtype=torch.float64).eval()
try:
    model.generate(prompts, temperture=0.8)
except ValueError as error:
    print(error)
# --8<-- [end:typo]

# --8<-- [start:unseen]
import weigh

with torch.no_grad():
    logits = model(prompts).logits[:, -1]
said_in_file = {name: own[name] for name in ("temperature", "top_p")}
kept = {}
for name, settings in {"the file": said_in_file, "and top-k 50": {"top_k": 50} | said_in_file}.items():
    left = [weigh.filter_logits(row, settings).logits for row in logits]
    kept[name] = sorted(int(row.isfinite().sum()) for row in left)
    print(f"{name:13} keeps {kept[name][0]} to {kept[name][-1]} tokens, {kept[name][25]} in the middle")
# --8<-- [end:unseen]

# --8<-- [start:ends]
ends = compare(
    {
        "the right file, again": ("", line, {}),
        "`eos_token_id` missing": ("answers reach the limit", without(line, "eos_token_id"), {}),
        "… but in `config.json`": (
            "the same", without(line, "eos_token_id"), {"config": config | {"eos_token_id": NEWLINE}},
        ),
        "`eos_token_id` of another vocabulary": ("id ≥ vocabulary", line | {"eos_token_id": 128_001}, {}),
        "`eos_token_id` as text": ("the error", line | {"eos_token_id": "\n"}, {}),
        '`stop`: `["\\n"]` in its place': ("unknown field", without(right, "stop") | {"stop": ["\n"]}, {}),
        "`stop_strings` in its place": ("the error", right | {"stop_strings": ["\n"]}, {}),
        "`pad_token_id` of another vocabulary": ("the error", line | {"pad_token_id": 128_001}, {}),
        "`pad_token_id` a word, no mask": ("pass the mask", line | {"pad_token_id": COMMA}, {"mask": False}),
    },
    "line",
)  # fmt: skip
# --8<-- [end:ends]

# --8<-- [start:ends_claims]
stopped = sum(text[-1] == NEWLINE for text in expected["line"])
assert stopped > 20
assert ends["`eos_token_id` missing"][0] == ends["… but in `config.json`"][0] == "nothing"
assert ends["`eos_token_id` missing"][1] == ends["… but in `config.json`"][1] > 20, (
    "config.json's end token does not help"
)
assert ends["`eos_token_id` of another vocabulary"] == ends["`eos_token_id` missing"], "nor does an id that cannot come"
assert ends["`eos_token_id` as text"][0] == "TypeError"
assert ends["`pad_token_id` of another vocabulary"][0] == "IndexError"
assert ends["`stop_strings` in its place"][0] == "ValueError"
with_comma = int((prompts == COMMA).any(1).sum())
hidden = ends["`pad_token_id` a word, no mask"]
assert 0 < hidden[1] <= with_comma, "only prompts that hold the word can change"
# --8<-- [end:ends_claims]


# --8<-- [start:lengths]
def longest(file, **call):
    texts, log = answers(file, prompts=prompts[:5], **call)
    return max(map(len, texts)), "a warning" if log else "nothing"


lengths = {
    "`max_new_tokens`: 8": longest(right),
    "no limit": longest(without(right, "max_new_tokens")),
    "`max_tokens`: 8": longest(without(right, "max_new_tokens") | {"max_tokens": N}),
    "`max_length`: 12": longest(without(right, "max_new_tokens") | {"max_length": 12}),
    "8, and the caller `max_length=12`": longest(right, max_length=12),
    "8, and the caller `max_new_tokens=4`": longest(right, max_new_tokens=4),
}
print("| The file says | One sees | New tokens |\n| --- | --- | ---: |")
for name, (length, seen) in lengths.items():
    print(f"| {name} | {seen} | {length} |")
# --8<-- [end:lengths]

# --8<-- [start:lengths_claims]
assert [length for length, _ in lengths.values()] == [8, 20, 20, 4, 8, 4]
assert kept["and top-k 50"][-1] <= 50 < kept["the file"][-1], "the unseen 50 cuts where the file would not"
model.generation_config.bos_token_id = None
try:
    model.generate(max_new_tokens=1)
except ValueError as error:
    assert "bos_token_id" in str(error), "with no prompt, the beginning has to be said"
else:
    raise AssertionError("no error")
# --8<-- [end:lengths_claims]


# --8<-- [start:own]
def unread(path):
    """The fields of a generation_config.json that transformers does not know, and texts where none belongs."""
    file = json.loads(Path(path).read_text(encoding="utf-8"))
    known = GenerationConfig().to_dict()
    numbers = [name for name, value in file.items() if name in known and isinstance(value, str)]
    return [name for name in file if name not in known], numbers


print(unread(HOME / "generation_config.json"))
# --8<-- [end:own]

# --8<-- [start:problems]
rows = [row for table in (whole, values, ends) for row in table.values()]
errors = sum(changed is None for _, changed in rows)
silent = sum(bool(changed) and seen == "nothing" for seen, changed in rows)
no_cache = sum(range(8, 8 + N))
with_cache = 8 + N - 1
unstopped = ends["… but in `config.json`"][1]
# --8<-- [end:problems]
