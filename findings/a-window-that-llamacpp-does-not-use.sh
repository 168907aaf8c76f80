#!/usr/bin/env bash
# Mistral 7B v0.1 looks back over a window of 4,096 tokens, and llama.cpp has caches that hold a window alone. So one
# expects the KV cache of a GGUF file that states its window to stop growing there, as it does for Gemma and gpt-oss. It
# does not: nobody reads the window of the architecture `llama`, which is Mistral's in GGUF, and every layer gets a cell
# for each token of the context. The same tiny model under the name `gemma3` gets the small cache.
#
# Seen with llama.cpp as packed in xllamacpp 2026.10.11549: with a window of 512 of 4,096 tokens, 4 layers of Mistral's
# kind take 8.00 MiB, all of them; of 8 layers of Gemma 3's kind 7 hold 1,024 cells and one 4,096. Files by gguf 0.19.0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet xllamacpp==2026.10.11549 gguf==0.19.0 numpy==2.2.6
cat > "$folder/write.py" <<'PY'
import sys

import gguf
import numpy as np

D, F, V, H, K, E, WINDOW = 256, 64, 300, 4, 2, 64, 512
for name, layers in (("llama", 4), ("gemma3", 8)):
    writer = gguf.GGUFWriter(f"{sys.argv[1]}/{name}.gguf", name)
    sizes = {
        "context_length": 8192, "embedding_length": D, "block_count": layers, "feed_forward_length": F,
        "attention.head_count": H, "attention.head_count_kv": K, "rope.dimension_count": E,
        "attention.key_length": E, "attention.value_length": E, "attention.sliding_window": WINDOW, "vocab_size": V,
    }
    for key, value in sizes.items():
        writer.add_uint32(f"{name}.{key}", value)
    writer.add_float32(f"{name}.attention.layer_norm_rms_epsilon", 1e-5)
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *(f"t{i}" for i in range(V - 259))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words)
    writer.add_token_scores([0.0] * V)
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * (V - 259))
    tensors = {"token_embd": (V, D), "output_norm": (D,), "output": (V, D)}
    for i in range(layers):
        layer = {
            "attn_norm": (D,), "attn_q": (H * E, D), "attn_k": (K * E, D), "attn_v": (K * E, D),
            "attn_output": (D, H * E), "ffn_norm": (D,), "ffn_gate": (F, D), "ffn_up": (F, D), "ffn_down": (D, F),
        }
        if name == "gemma3":
            layer |= {"post_attention_norm": (D,), "post_ffw_norm": (D,), "attn_q_norm": (E,), "attn_k_norm": (E,)}
        tensors |= {f"blk.{i}.{part}": shape for part, shape in layer.items()}
    for tensor, shape in tensors.items():
        writer.add_tensor(f"{tensor}.weight", np.full(shape, 0.01, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
PY
cat > "$folder/open.py" <<'PY'
import os
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path, params.n_ctx, params.n_parallel, params.verbosity = sys.argv[1], 4096, 1, 4
params.warmup = params.fit_params = False
params.port = 18377
server = xllamacpp.Server(params)
os._exit(0)
PY
"$folder/venv/bin/python" "$folder/write.py" "$folder"
cat > "$folder/compare.py" <<'PY'
import re
import sys

seen = {}
for name in ("llama", "gemma3"):
    with open(f"{sys.argv[1]}/{name}.log") as log:
        said = log.read()
    assert re.search(r"sliding_window *u32 *= 512", said), "the file states its window"
    caches = re.findall(r"llama_kv_cache: size = *([\d.]+) MiB \( *(\d+) cells, *(\d+) layers", said)
    seen[name] = [(float(size), int(cells), int(layers)) for size, cells, layers in caches]
    print(name, *(f"{size} MiB: {cells} cells in {layers} layers" for size, cells, layers in seen[name]), sep="\n  ")
assert seen["llama"] == [(8.0, 4096, 4)]
assert seen["gemma3"] == [(2.0, 4096, 1), (3.5, 1024, 7)]
PY
for name in llama gemma3; do
    "$folder/venv/bin/python" "$folder/open.py" "$folder/$name.gguf" > "$folder/$name.log" 2>&1
done
"$folder/venv/bin/python" "$folder/compare.py" "$folder"
