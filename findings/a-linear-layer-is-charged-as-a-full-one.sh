#!/usr/bin/env bash
# hf-mem estimates the KV cache from a config. Of a model with three linear-attention layers for each full one, such as
# Qwen3.6-27B, one expects it to count the full layers alone: the others keep a state of fixed size, and llama.cpp's log
# for this model says 16384.00 MiB on 16 layers at 262,144 tokens. Version 0.5.3 counted so. The fix for sliding windows
# in 0.5.4 takes every layer that is not full for one with a window, and a window that is missing for the whole context.
#
# Seen with hf-mem 0.5.3: 16 GiB; 0.5.4, 0.5.5 and 0.5.6: 64 GiB. A model whose every layer has a window, such as
# Mistral-7B v0.1, is charged for its full context in all four, 4 GiB at 32,768 tokens where its windows hold 0.5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/estimate.py" <<'PY'
import sys

from hf_mem.safetensors.kv_cache import compute_safetensors_kv_cache_size

shape = {"num_hidden_layers": 64, "hidden_size": 5120, "num_attention_heads": 24, "num_key_value_heads": 4, "head_dim": 256}
layer_types = (["linear_attention"] * 3 + ["full_attention"]) * 16
mistral = {
    "num_hidden_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "num_key_value_heads": 8,
    "sliding_window": 4096,
}
hybrid = compute_safetensors_kv_cache_size({**shape, "layer_types": layer_types}, "BF16", 262_144)
full = compute_safetensors_kv_cache_size(shape, "BF16", 262_144)
windows = compute_safetensors_kv_cache_size(mistral, "BF16", 32_768)
print(f"16 of 64 layers full: {hybrid / 2**30:.1f} GiB; all full: {full / 2**30:.1f}; all with a window: {windows / 2**30:.1f}")
assert full == 64 * 2**30 and windows == 4 * 2**30
assert hybrid == (16 if sys.argv[1] == "0.5.3" else 64) * 2**30
PY
for version in 0.5.3 0.5.4 0.5.5 0.5.6; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/python" -m pip install --quiet "hf-mem==$version" "httpx[http2]==0.28.1"
    echo "hf-mem $version"
    "$folder/$version/bin/python" -W error "$folder/estimate.py" "$version"
done
