#!/usr/bin/env bash
# A size is text in many arguments, and whoever writes 10mb for 10MB expects the same size or an error. transformers takes
# `save_pretrained(max_shard_size="10mb")` as ten megabytes. The same argument of datasets' `save_to_disk`, and the
# `max_memory` by which accelerate places a model, take the small b for bits, even behind a small m: an eighth, without a
# word. So a model that fits its budget is sent to disk in part, and a data set is cut into six times as many files.
#
# Seen with accelerate 1.15.0, datasets 5.2.0, transformers 5.23.0, huggingface_hub 2.4.0, torch 2.13.0. A capital M in
# "10Mb" changes nothing; behind an i the b is no bit: "10mib" and "10Mib" are mebibytes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 accelerate==1.15.0 datasets==5.2.0 transformers==5.23.0 numpy==2.3.5
cd "$folder"
HF_HUB_DISABLE_PROGRESS_BARS=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 TRANSFORMERS_VERBOSITY=error env/bin/python - <<'PY'
from collections import Counter
from pathlib import Path

from accelerate import infer_auto_device_map
from datasets import Dataset
from transformers import GPT2Config, GPT2LMHeadModel

model = GPT2LMHeadModel(GPT2Config(vocab_size=1000, n_positions=64, n_embd=256, n_layer=8, n_head=4))
rows = Dataset.from_dict({"text": ["x" * 1000] * 20_000})
print(f"a model of {model.get_memory_footprint():,} bytes, a data set of {rows.data.nbytes:,}")


def asked(size: str) -> dict[str, object]:
    """What becomes of a model and of a data set by a size in two ways of writing it."""
    model.save_pretrained(f"model-{size}", max_shard_size=size)
    rows.save_to_disk(f"rows-{size}", max_shard_size=size)
    budget = f"4{size[1:]}"  # 40MB or 40mb
    limits = {"cpu": budget, "disk": "1GB"}
    places = infer_auto_device_map(model, max_memory=limits, no_split_module_classes=["GPT2Block"])
    found = {
        "files of the model": len([*Path(f"model-{size}").glob("*.safetensors")]),
        "files of the data set": len([*Path(f"rows-{size}").glob("*.arrow")]),
        f"places of modules by {budget}": dict(Counter(places.values())),
    }
    print(size, found)
    return found


large, small = (list(asked(size).values()) for size in ("10MB", "10mb"))
assert large[0] == small[0] == 3, "transformers takes both for ten million bytes"
assert (large[1], small[1]) == (3, 17), "datasets takes mb for megabits"
assert set(large[2]) == {"cpu"} and "disk" in small[2], "accelerate sends to disk what fits"
PY
