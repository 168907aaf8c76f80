#!/usr/bin/env bash
# An optimizer's state is halved by casting all of it to bfloat16, which costs the averages a little precision. Loading is
# taken to undo the cast, since it brings state to the dtype of the weights. It does so for the averages alone. The step
# counter stays bfloat16, in which 256 + 1 is 256: Adam's clock stops there, its bias correction with it, and from then
# on every step is less than half as large as it should be. There is no error and no warning.
#
# Seen with torch 2.13.0: state of step 100, cast, loaded and trained on to step 4,000 under a constant gradient ends with
# the counter at 256 and steps of 0.48 of the learning rate; without the cast the counter is 4,000 and a step the rate.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import torch


def train(cast):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.AdamW([weight], lr=1e-3, weight_decay=0)
    weight.grad = torch.ones(1)
    for step in range(4000):
        if step == 100:
            state = optimizer.state_dict()
            for one in state["state"].values():
                one.update({name: cast(tensor) for name, tensor in one.items()})
            optimizer.load_state_dict(state)
        with torch.no_grad():
            weight.zero_()  # so that the weight is the last step
        optimizer.step()
    state = optimizer.state[weight]
    print({name: str(tensor.dtype) for name, tensor in state.items()})
    return float(state["step"]), -weight.item() / 1e-3


print("torch", torch.__version__)
step, move = train(torch.clone)
print(f"as saved:         counter {step:.0f}, last step {move:.2f} x the learning rate")
assert step == 4000 and abs(move - 1) < 0.01
step, move = train(torch.Tensor.bfloat16)
print(f"through bfloat16: counter {step:.0f}, last step {move:.2f} x the learning rate")
assert step == 256, "the counter stops where bfloat16 can count no further"
assert move < 0.5, "and every step is less than half of what it should be"
PY
