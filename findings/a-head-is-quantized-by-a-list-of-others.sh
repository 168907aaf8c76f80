#!/usr/bin/env bash
# A model quantized on loading keeps its output matrix in full precision, unless asked otherwise. modules_to_not_convert
# (llm_int8_skip_modules of bitsandbytes) names further modules to keep. One expects that list to keep more than none
# does.
#
# Seen with transformers 5.23.0: it keeps less. The list takes the place of the usual one, so that naming q_proj has the
# output matrix quantized. With torchao 0.18.0 q_proj, and any other end of a name, is quantized as well: the names are
# looked for at the end of parameters, which end in .weight. Only a whole name from the start is kept. No word is said.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.23.0 torchao==0.18.0 accelerate==1.15.0 bitsandbytes==0.50.2
cd "$folder"
env/bin/python - <<'PY' 2>/dev/null
import torch
from torchao.quantization import Int8WeightOnlyConfig
from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM, TorchAoConfig

torch.set_num_threads(1)
sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 96}
LlamaForCausalLM(LlamaConfig(**sizes, tie_word_embeddings=False)).to(torch.bfloat16).save_pretrained("plain")


def kept(config):
    model = LlamaForCausalLM.from_pretrained("plain", quantization_config=config, dtype=torch.bfloat16, device_map="cpu")
    plain = [
        name
        for name, module in model.named_modules()
        if hasattr(module, "in_features") and type(module.weight.data) is torch.Tensor and module.weight.dtype == torch.bfloat16
    ]
    return [name.removeprefix("model.layers.0.") for name in plain]


def torchao(names):
    return TorchAoConfig(Int8WeightOnlyConfig(), modules_to_not_convert=names)


def bitsandbytes(names):
    return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=names)


seen = {}
for quantizer in (bitsandbytes, torchao):
    for names in (None, ["q_proj"], ["model.layers.0.self_attn.q_proj", "lm_head"]):
        seen[quantizer.__name__, str(names)] = kept(quantizer(names))
        print(f"{quantizer.__name__}, {names}: kept {', '.join(seen[quantizer.__name__, str(names)]) or 'nothing'}")
for quantizer in ("bitsandbytes", "torchao"):
    assert seen[quantizer, "None"] == ["lm_head"]
    assert seen[quantizer, "['model.layers.0.self_attn.q_proj', 'lm_head']"] == ["self_attn.q_proj", "lm_head"]
assert seen["bitsandbytes", "['q_proj']"] == ["self_attn.q_proj"]
assert seen["torchao", "['q_proj']"] == []
PY
