#!/usr/bin/env bash
# A symmetric quantizer takes its scale from the largest weight of a group, so one expects that weight to come back as it
# was, 1 and -1 alike, and a second quantization of what came back to change nothing. torchao's default divides the range
# from -1 to 1 into 15 steps at four bits, but has seven codes above zero: the largest weight, if positive, is always cut.
#
# Seen with torchao 0.18.0 and torch 2.13.0: a layer of ones comes back from int4 as 0.9333, from int2 as 0.6667, and one
# of minus ones from int2 as -1.3333. Quantized again and again, ones lose a fifteenth each time: after ten rounds 0.50.
# Int8WeightOnlyConfig does it too, by a 255th. MappingType.SYMMETRIC_NO_CLIPPING_ERR, which has to be asked for, gives
# 1 and -1, every time.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 torchao==0.18.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY' 2>/dev/null
import torch
from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig, quantize_
from torchao.quantization.granularity import PerGroup
from torchao.quantization.quant_primitives import MappingType

torch.set_num_threads(1)


def back(value, config):
    """The weight that a layer of equal weights comes back with."""
    layer = torch.nn.Linear(64, 4, bias=False)
    torch.nn.init.constant_(layer.weight, value)
    quantize_(layer, config)
    weight = layer.weight.dequantize()
    assert (weight == weight[0, 0]).all()
    return round(float(weight[0, 0]), 4)


def bits(count, mapping=None):
    chosen = {} if mapping is None else {"mapping_type": mapping}
    return IntxWeightOnlyConfig(getattr(torch, f"int{count}"), PerGroup(32), **chosen)


for count in (4, 3, 2):
    print(f"int{count}:", {value: back(value, bits(count)) for value in (1.0, -1.0)})
print("int8:", {value: back(value, Int8WeightOnlyConfig()) for value in (1.0, -1.0)})
assert back(1.0, bits(4)) == 0.9333 and back(1.0, bits(2)) == 0.6667 and back(-1.0, bits(2)) == -1.3333
assert back(1.0, Int8WeightOnlyConfig()) == 0.9961

exact = {value: back(value, bits(4, MappingType.SYMMETRIC_NO_CLIPPING_ERR)) for value in (1.0, -1.0)}
print("SYMMETRIC_NO_CLIPPING_ERR, int4:", exact)
assert exact == {1.0: 1.0, -1.0: -1.0}

value = 1.0
for _ in range(10):
    value = back(value, bits(4))
print("ones after ten rounds of int4:", round(value, 2))
assert 0.49 < value < 0.52
PY
