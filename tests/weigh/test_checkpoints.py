"""Predicted checkpoint sizes against files that real optimizers fill."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torchao.optim import AdamW8bit

import weigh

torch.compiler.set_stance("force_eager")  # torchao would compile its step for a minute

CONFIG = {
    "model_type": "llama", "vocab_size": 500, "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip

REAL: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=0.1),
    "momentum": lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9),
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "adafactor": torch.optim.Adafactor,
    "adamw-8bit": AdamW8bit,
}


def test_every_optimizer_is_measured() -> None:
    assert set(REAL) == set(weigh.OPTIMIZERS)


@pytest.mark.parametrize("precision", weigh.PRECISIONS)
@pytest.mark.parametrize("optimizer", REAL)
def test_a_checkpoint_has_the_predicted_bytes(optimizer: str, precision: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    model, policy = weigh.params(tmp_path), weigh.PRECISIONS[precision]
    weights = {
        t.name: torch.nn.Parameter(torch.randn(t.shape, dtype=getattr(torch, policy.state))) for t in model.distinct
    }
    real = REAL[optimizer](weights.values())
    for weight in weights.values():
        weight.grad = torch.randn_like(weight)
    real.step()
    state = real.state_dict()
    if policy.master:
        state["master"] = {name: weight.data for name, weight in weights.items()}
    saved = {name: weight.data.to(getattr(torch, policy.weights)) for name, weight in weights.items()}
    torch.save({"model": saved, "optimizer": state}, tmp_path / "checkpoint.pt")

    measured = weigh.inspect(tmp_path / "checkpoint.pt").by_component
    predicted = weigh.checkpoint(model.distinct, optimizer, precision)
    learning_rate = 4 if optimizer == "adamw-8bit" else 0  # torchao keeps it as a tensor, one for a parameter group
    assert measured["weights"] == predicted.weight_bytes
    assert measured["optimizer"] - learning_rate == predicted.master_weight_bytes + predicted.optimizer_state_bytes
    assert predicted.total_bytes == sum(measured[part] for part in ("weights", "optimizer")) - learning_rate


def test_bytes_per_parameter_at_7b() -> None:
    """Twelve for AdamW in float32, fourteen with bfloat16 weights and a float32 master; Adafactor's factors vanish."""
    model = weigh.params("models/llama-2-7b")
    per_parameter = {
        (optimizer, precision): weigh.checkpoint(model.distinct, optimizer, precision).total_bytes / model.parameters
        for optimizer in weigh.OPTIMIZERS
        for precision in weigh.PRECISIONS
    }
    assert per_parameter["adamw", "fp32"] == pytest.approx(12, abs=1e-6)
    assert per_parameter["adamw", "bf16-master"] == pytest.approx(14, abs=1e-6)
    assert per_parameter["momentum", "bf16"] == 4
    assert per_parameter["adafactor", "fp32"] == pytest.approx(4.002, abs=1e-3)
    assert per_parameter["adamw-8bit", "fp32"] == pytest.approx(4 + 2 * (1 + 4 / 256), abs=1e-3)


@pytest.mark.parametrize(("optimizer", "precision"), [("adamw2", "fp32"), ("adamw", "fp17")])
def test_what_is_not_known_is_refused(optimizer: str, precision: str) -> None:
    with pytest.raises(weigh.WeighError, match="knows"):
        weigh.checkpoint(weigh.params("models/gpt2").distinct, optimizer, precision)
