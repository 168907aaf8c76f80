#!/usr/bin/env bash
# A model card has a perplexity on Macbeth and one on Paradise Lost. Loaded and saved by huggingface_hub, as
# metadata_update and push_to_hub do before they write, it should still say so: nothing was changed in between.
#
# Seen with huggingface_hub 2.4.0: both perplexities are on Macbeth then. Results are grouped by task type, dataset type,
# config, split and revision; the dataset's name is not among them, nor its args, so that the 5-shot score of a benchmark
# becomes a second 0-shot one. Results of two models come out under the name of the last. Nothing warns. Yet
# `is_equal_except_value`, which decides in metadata_update which result is replaced, does tell the names apart.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet huggingface_hub==2.4.0
cd "$folder"
env/bin/python -W error - <<'PY'
from huggingface_hub import ModelCard

CARD = """---
model-index:
- name: {first}
  results:
  - task: {{type: text-generation}}
    dataset: {{type: text, name: Macbeth, args: {{shots: 0}}}}
    metrics: [{{type: perplexity, value: 39.1}}]
{second}  - task: {{type: text-generation}}
    dataset: {{type: text, name: Paradise Lost, {more}args: {{shots: 5}}}}
    metrics: [{{type: perplexity, value: 67.0}}]
---
"""


def saved(first="quill", second="", more=""):
    """The results of a card, before and after it is saved: model, dataset, shots, value."""
    card = ModelCard(CARD.format(first=first, second=second, more=more))
    for each in (card, ModelCard(str(card))):
        yield each.data.model_name, [(r.dataset_name, r.dataset_args["shots"], r.metric_value) for r in each.data.eval_results]


(_, before), (_, after) = saved()
print("written:", *before)
print("saved:  ", *after)
assert before == [("Macbeth", 0, 39.1), ("Paradise Lost", 5, 67.0)]
assert after == [("Macbeth", 0, 39.1), ("Macbeth", 0, 67.0)]

(_, before), (_, after) = saved(more="config: milton, ")
assert before == after, "another config keeps them apart"

(name, _), (_, after) = saved("quill", "- name: other\n  results:\n")
print("two models, quill and other, are saved as:", name, "with", len(after), "results")
assert name == "other" and len(after) == 2
PY
