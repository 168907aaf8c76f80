"""Predicted checkpoint sizes against files that real optimizers fill."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import torch
from torchao.optim import AdamW8bit

import weigh
from weigh.memory.optimizers import optimizer_state

torch.compiler.set_stance("force_eager")  # torchao would compile its step for a minute

Weights: TypeAlias = dict[str, torch.nn.Parameter]
Optimizers: TypeAlias = list[torch.optim.Optimizer]

CONFIG = {
    "model_type": "llama", "vocab_size": 500, "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip


class Lion(torch.optim.Optimizer):
    """Algorithm 2 of Chen et al. 2023 (arXiv 2302.06675), which PyTorch does not have."""

    def __init__(self, weights: Any) -> None:
        super().__init__(weights, {"lr": 1e-4, "betas": (0.9, 0.99), "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            fast, slow = group["betas"]
            for weight in group["params"]:
                mean = self.state[weight].setdefault("exp_avg", torch.zeros_like(weight))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(group["lr"] * torch.lerp(weight.grad, mean, fast).sign())
                mean.lerp_(weight.grad, 1 - slow)


def on_all(make: Callable[..., torch.optim.Optimizer], **settings: Any) -> Callable[[Weights], Optimizers]:
    """One optimizer for all weights."""
    return lambda weights: [make(weights.values(), **settings)]


def muon(weights: Weights) -> Optimizers:
    """As its authors use it: the matrices inside the layers, and AdamW for the rest."""
    hidden = {n for n, w in weights.items() if ".layers." in n and w.ndim == 2}
    return [
        torch.optim.Muon([w for n, w in weights.items() if n in hidden]),
        torch.optim.AdamW([w for n, w in weights.items() if n not in hidden]),
    ]


REAL: dict[str, Callable[[Weights], Optimizers]] = {
    "sgd": on_all(torch.optim.SGD),
    "momentum": on_all(torch.optim.SGD, momentum=0.9),
    "adam": on_all(torch.optim.Adam),
    "adamw": on_all(torch.optim.AdamW),
    "amsgrad": on_all(torch.optim.Adam, amsgrad=True),
    "rmsprop": on_all(torch.optim.RMSprop),
    "rmsprop-momentum": on_all(torch.optim.RMSprop, momentum=0.9),
    "rmsprop-centered": on_all(torch.optim.RMSprop, centered=True),
    "adagrad": on_all(torch.optim.Adagrad),
    "adafactor": on_all(torch.optim.Adafactor),
    "lion": on_all(Lion),
    "muon": muon,
    "adamw-8bit": on_all(AdamW8bit),
}


@pytest.mark.parametrize("precision", [*weigh.PRECISIONS, *weigh.MEGATRON])
@pytest.mark.parametrize("optimizer", REAL)
def test_a_checkpoint_has_the_predicted_bytes(optimizer: str, precision: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    model, policy = weigh.params(tmp_path), {**weigh.PRECISIONS, **weigh.MEGATRON}[precision]
    weights = {
        t.name: torch.nn.Parameter(torch.randn(t.shape, dtype=getattr(torch, policy.state))) for t in model.distinct
    }
    real = REAL[optimizer](weights)
    for weight in weights.values():
        weight.grad = torch.randn_like(weight)
    for part in real:
        part.step()
    state: dict[str, Any] = {"parts": [part.state_dict() for part in real]}
    if policy.master:
        state["master"] = {name: weight.data for name, weight in weights.items()}
    saved = {name: weight.data.to(getattr(torch, policy.weights)) for name, weight in weights.items()}
    torch.save({"model": saved, "optimizer": state}, tmp_path / "checkpoint.pt")

    measured = weigh.inspect(tmp_path / "checkpoint.pt").by_component
    predicted = weigh.checkpoint(model.distinct, optimizer, precision)
    assert measured["weights"] == predicted.weight_bytes
    assert measured["optimizer"] == predicted.master_weight_bytes + predicted.optimizer_state_bytes
    assert predicted.total_bytes == sum(measured[part] for part in ("weights", "optimizer"))


def test_bytes_per_parameter_at_7b() -> None:
    """Twelve for AdamW in float32, fourteen with bfloat16 weights and a float32 master; Adafactor's factors vanish."""
    model = weigh.params("models/llama-2-7b")
    per_parameter = {
        (optimizer, precision): weigh.checkpoint(model.distinct, optimizer, precision).total_bytes / model.parameters
        for optimizer in weigh.OPTIMIZER_ALIASES
        for precision in weigh.PRECISIONS
    }
    assert per_parameter["adamw", "fp32"] == pytest.approx(12, abs=1e-6)
    assert per_parameter["adamw", "bf16-master"] == pytest.approx(14, abs=1e-6)
    assert per_parameter["momentum", "bf16"] == 4
    assert per_parameter["adafactor", "fp32"] == pytest.approx(4.002, abs=1e-3)
    assert per_parameter["amsgrad", "fp32"] == pytest.approx(16, abs=1e-6)
    assert per_parameter["lion", "fp32"] == 8
    assert per_parameter["adamw-8bit", "fp32"] == pytest.approx(4 + 2 * (1 + 4 / 256), abs=1e-3)


def test_muon_leaves_embeddings_and_head_to_adamw() -> None:
    """Not 4 bytes of state for everything: 4.52 for Llama-3-8B, whose vocabulary is large (36.3 GB and not 32.1)."""
    model = weigh.params("models/llama-3-8b")
    state = weigh.checkpoint(model.distinct, "muon").optimizer_state_bytes
    assert state / model.parameters == pytest.approx(4.52, abs=0.005)
    assert state == pytest.approx(36.3e9, rel=0.001)


@pytest.mark.parametrize("name", ["gpt2", "bert-base", "t5-small", "mixtral-8x7b", "mamba-130m", "deepseek-v2-lite"])
def test_muon_never_gets_what_it_would_refuse_or_should_not_have(name: str) -> None:
    for tensor in weigh.params(f"models/{name}").distinct:
        state = [part for part, _, _ in optimizer_state(tensor, "muon")]
        table = any(
            part in tensor.name for part in ("embed", "wte", "wpe", "lm_head", "shared.weight", "relative", "norm")
        )
        assert not (state == ["momentum_buffer"] and (len(tensor.shape) != 2 or table)), tensor.name


@pytest.mark.parametrize(("optimizer", "precision"), [("adamw2", "fp32"), ("adamw", "fp17")])
def test_what_is_not_known_is_refused(optimizer: str, precision: str) -> None:
    with pytest.raises(weigh.WeighError, match="know"):
        weigh.checkpoint(weigh.params("models/gpt2").distinct, optimizer, precision)
