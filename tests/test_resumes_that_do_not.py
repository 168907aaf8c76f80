"""What the page *Resumes that do not* says and its program does not run, since no build needs the package."""

from __future__ import annotations

import copy

import pytest
import torch


def test_kron_in_bfloat16_stops_at_its_first_step_after_loading() -> None:
    from pytorch_optimizer import Kron

    def step(weight: torch.nn.Parameter, optimizer: torch.optim.Optimizer) -> None:
        weight.grad = torch.ones_like(weight)
        optimizer.step()

    for dtype in (torch.float32, torch.bfloat16):
        weight = torch.nn.Parameter(torch.ones(8, 8, dtype=dtype))
        optimizer = Kron([weight], lr=1e-3)
        for _ in range(2):
            step(weight, optimizer)
        loaded = Kron([weight], lr=1e-3)
        loaded.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        step(weight, optimizer)  # without a stop it goes on
        if dtype == torch.float32:
            step(weight, loaded)
        else:
            with pytest.raises(RuntimeError, match="expected scalar type Float but found BFloat16"):
                step(weight, loaded)
