#!/usr/bin/env bash
# A seed is taken to fix the weights that a model starts from. It does for torch's own layers, whose weights are uniform,
# and does not for GPT-2's and BERT's way, a normal distribution: torch draws normal numbers with another routine where
# the processor has AVX2, and rounds them differently. So one seed gives two models, on two processors of one kind.
#
# Seen with torch 2.13.0 on x86: torch.nn.Linear(64, 64) starts from the same bytes under ATEN_CPU_CAPABILITY=default and
# avx2. normal_ and trunc_normal_ of 64 x 64 do not: four in ten of their numbers differ, by at most two millionths.
set -euo pipefail
if [ "$(uname -m)" != x86_64 ] || ! grep -qw avx2 /proc/cpuinfo 2>/dev/null; then
    echo "needs an x86 processor with AVX2, to compare it with one that has none"
    exit 0
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.3.5
cd "$folder"
for capability in default avx2; do
    ATEN_CPU_CAPABILITY=$capability env/bin/python - "$capability.pt" <<'PY'
import sys

import torch

started = {
    "Linear": lambda: torch.nn.Linear(64, 64).weight.detach(),
    "normal_": lambda: torch.empty(64, 64).normal_(),
    "trunc_normal_": lambda: torch.nn.init.trunc_normal_(torch.empty(64, 64)),
}
weights = {}
for name, start in started.items():
    torch.manual_seed(0)
    weights[name] = start()
torch.save(weights | {"capability": torch.backends.cpu.get_cpu_capability()}, sys.argv[1])
PY
done
env/bin/python - <<'PY'
import torch

one, other = torch.load("default.pt"), torch.load("avx2.pt")
assert (one.pop("capability"), other.pop("capability")) == ("DEFAULT", "AVX2")
for name, weight in one.items():
    differ = (weight != other[name]).float().mean()
    print(f"{name:14} {differ:5.0%} of the weights differ, by at most {(weight - other[name]).abs().max():.1e}")
assert torch.equal(one["Linear"], other["Linear"]), "uniform numbers are the same"
for name in ("normal_", "trunc_normal_"):
    assert not torch.equal(one[name], other[name]), "normal numbers are not"
    assert torch.allclose(one[name], other[name], atol=1e-5), "and differ by rounding alone"
PY
