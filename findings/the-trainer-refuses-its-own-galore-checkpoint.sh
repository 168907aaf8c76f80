#!/usr/bin/env bash
# One expects the Trainer to go on from a checkpoint that it wrote itself, with any optimizer that it offers by name. With
# GaLore or APOLLO it does not: each matrix's state has a projector among its tensors, an object of the optimizer's
# package, and the Trainer loads optimizer.pt with weights_only=True, which refuses it. That is seen at the first resume.
# The 8-bit AdamW of torchao has classes of its own in its state too, and goes on: torchao registers them.
#
# Seen with transformers 5.23.0, galore-torch 1.0, apollo-torch 1.0.3, torchao 0.18.0 and torch 2.13.0: adamw_torch_8bit
# resumed, galore_adamw and apollo_adamw UnpicklingError.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet transformers==5.23.0 accelerate==1.15.0 galore-torch==1.0 apollo-torch==1.0.3 torchao==0.18.0 torch==2.13.0 bitsandbytes==0.50.2 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import pickle

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

CONFIG = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4)
ROWS = [{"input_ids": torch.arange(8), "labels": torch.arange(8)}] * 8


def train(optim, steps, resume):
    arguments = TrainingArguments(
        optim, optim=optim, max_steps=steps, save_steps=1, use_cpu=True, report_to=[], disable_tqdm=True,
        optim_target_modules=["mlp"] if optim != "adamw_torch_8bit" else None,
    )
    trainer = Trainer(model=LlamaForCausalLM(CONFIG), args=arguments, train_dataset=ROWS)
    return trainer.train(resume_from_checkpoint=resume).global_step


ends = {}
for optim in ("adamw_torch_8bit", "galore_adamw", "apollo_adamw"):
    train(optim, 1, None)
    try:
        ends[optim] = f"resumed, and ended at step {train(optim, 2, True)}"
    except pickle.UnpicklingError:
        ends[optim] = "UnpicklingError"
    print(f"{optim}: {ends[optim]}")
assert list(ends.values()) == ["resumed, and ended at step 2", "UnpicklingError", "UnpicklingError"]
PY
