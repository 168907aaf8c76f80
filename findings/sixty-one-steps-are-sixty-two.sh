#!/usr/bin/env bash
# A diffusion sampler asked for N steps is expected to make N, the last of them at the least noisy timestep, and more
# steps to follow the process more closely. With timestep_spacing="trailing", the spacing that a paper of 2023 (Common
# Diffusion Noise Schedules and Sample Steps are Flawed) proposes in place of the default, 62 of the first 1,000 values
# of N give N + 1 timesteps, and the last is -1. Python reads that as the end of the table: the noisiest level of all, at the very step that should clean up.
# With the default "leading", 501 steps start half-way: they hand pure noise to a model and say it is timestep 500.
#
# Seen with diffusers 0.42.1: on data whose best denoiser is known exactly (normal, spread 0.5), DDIM's samples have
# 0.97 or more of the right spread after 60 or 62 trailing steps and 0.00 after 61. Nothing warns.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.3.5 diffusers==0.42.1
cd "$folder"
env/bin/python - <<'PY' 2>/dev/null
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler

torch.set_num_threads(1)
SPREAD = 0.5


def sampler(kind, steps, spacing):
    made = kind(timestep_spacing=spacing)
    made.set_timesteps(steps)
    return made


def spread(steps):
    """Of 20,000 samples, beside the data's: the denoiser is exact, so all that is missing is the sampler's doing."""
    made = DDIMScheduler(timestep_spacing="trailing", clip_sample=False)
    made.set_timesteps(steps)
    x = torch.randn(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for t in made.timesteps:
        a = made.alphas_cumprod[int(t)].double()
        clean = a.sqrt() * SPREAD**2 / (a * SPREAD**2 + 1 - a) * x
        x = made.step((x - a.sqrt() * clean) / (1 - a).sqrt(), t, x).prev_sample
    return float(x.std()) / SPREAD


for kind in (DDIMScheduler, EulerDiscreteScheduler):
    made = {steps: sampler(kind, steps, "trailing").timesteps for steps in range(1, 1001)}
    odd = [steps for steps, times in made.items() if float(times[-1]) == -1]
    assert odd == [steps for steps, times in made.items() if len(times) == steps + 1]
    print(f"{kind.__name__}: {len(odd)} of 1,000 end at -1, one step late: {odd[:6]} ...")
    assert len(odd) == 62 and odd[0] == 61
found = {steps: spread(steps) for steps in (60, 61, 62)}
print("spread of the samples / of the data:", {steps: round(value, 2) for steps, value in found.items()})
assert found[61] < 0.1 and min(found[60], found[62]) > 0.9
first = {steps: int(sampler(DDIMScheduler, steps, "leading").timesteps[0]) for steps in (499, 500, 501)}
print("first timestep of the default spacing:", first)
assert first[500] == 998 and first[501] == 500
PY
