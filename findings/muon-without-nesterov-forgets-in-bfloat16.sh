#!/usr/bin/env bash
# Muon averages gradients into a momentum buffer and steps along an orthogonal matrix made from it, in bfloat16. That the
# weights are bfloat16 too is taken to cost precision only. With nesterov=False it costs the momentum: the buffer is
# itself the matrix that is scaled in place to a norm of 1, since a cast of bfloat16 to bfloat16 copies nothing. From then
# on each gradient is averaged with a buffer of norm 1, however large gradients are: large ones are as good as alone,
# small ones hardly count. With float32 weights, or with Nesterov momentum (the default), the buffer is what it should be.
#
# Seen with torch 2.13.0: after one gradient of norm 282.8 the buffer's norm is 14.14 (a twentieth) in float32 and 1.00 in
# bfloat16; thirty steps with gradients that become smaller end 48 % apart, and 1 % apart with nesterov=True.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.3.5
cd "$folder"
env/bin/python - <<'PY'
import torch


def optimizer_of(dtype, nesterov):
    matrix = torch.nn.Parameter(torch.zeros(16, 16, dtype=dtype))
    return matrix, torch.optim.Muon([matrix], lr=1.0, weight_decay=0, nesterov=nesterov)


def buffer_norm(dtype, nesterov):
    matrix, optimizer = optimizer_of(dtype, nesterov)
    matrix.grad = torch.eye(16, dtype=dtype) * 70.7
    optimizer.step()
    return optimizer.state[matrix]["momentum_buffer"].float().norm().item()


def trained(dtype, nesterov):
    matrix, optimizer = optimizer_of(dtype, nesterov)
    noise = torch.Generator().manual_seed(0)
    for step in range(30):
        gradient = torch.randn(16, 16, generator=noise)
        matrix.grad = (gradient * (1 if step < 10 else 0.1)).to(dtype)
        optimizer.step()
    return matrix.detach().float()


print("torch", torch.__version__)
for nesterov in (True, False):
    norms = [buffer_norm(dtype, nesterov) for dtype in (torch.float32, torch.bfloat16)]
    wide, narrow = (trained(dtype, nesterov) for dtype in (torch.float32, torch.bfloat16))
    apart = ((wide - narrow).norm() / wide.norm()).item()
    print(f"nesterov={nesterov}: buffer {norms[0]:.2f} and {norms[1]:.2f}, {apart:.1%} apart after thirty steps")
    assert abs(norms[0] - 14.14) < 0.1
    if nesterov:
        assert abs(norms[1] - 14.14) < 0.2 and apart < 0.05
    else:
        assert abs(norms[1] - 1) < 0.05, "the buffer was scaled to a norm of 1"
        assert apart > 0.3, "and the run is another one"
PY
