"""A low-rank adapter (Hu et al. 2021, arXiv 2106.09685): a small change to each matrix, kept apart from it.

The file has PEFT's layout, so that PEFT loads it on the model.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from quill.model import Quill

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


class Adapted(nn.Module):
    """A matrix W that acts as W + (alpha / rank) · B A, of which A and B alone are trained."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base, self.scale = base, alpha / rank
        self.lora_A = nn.Linear(base.in_features, rank, bias=False)
        self.lora_B = nn.Linear(rank, base.out_features, bias=False)
        nn.init.zeros_(self.lora_B.weight)  # at first it changes nothing

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) → (…, outputs)."""
        y: Tensor = self.base(x) + self.scale * self.lora_B(self.lora_A(x))
        return y


def adapt(model: Quill, rank: int = 8, alpha: float = 16.0) -> list[nn.Parameter]:
    """Put adapters on the matrices of all layers, and return the weights to train."""
    torch.manual_seed(0)
    weights: list[nn.Parameter] = []
    for layer in model.model.layers:
        for part in (layer.self_attn, layer.mlp):
            for name in TARGETS:
                if isinstance(base := getattr(part, name, None), nn.Linear):
                    setattr(part, name, adapted := Adapted(base, rank, alpha))
                    weights += [*adapted.lora_A.parameters(), *adapted.lora_B.parameters()]
    return weights


def write(model: Quill, directory: Path, base: str, rank: int = 8, alpha: float = 16.0) -> None:
    """Write the adapters of a model."""
    directory.mkdir(parents=True, exist_ok=True)
    state = {f"base_model.model.{name}": tensor for name, tensor in model.state_dict().items() if ".lora_" in name}
    save_file(state, directory / "adapter_model.safetensors", metadata={"format": "pt"})
    (directory / "adapter_model.safetensors").chmod(0o644)
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "target_modules": list(TARGETS),
        "inference_mode": True,
    }
    (directory / "adapter_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def read(model: Quill, directory: str | Path) -> Quill:
    """Put the adapter of a directory on a model, in place, and return it."""
    settings = json.loads(Path(directory, "adapter_config.json").read_text(encoding="utf-8"))
    adapt(model, settings["r"], settings["lora_alpha"])
    state = load_file(Path(directory, "adapter_model.safetensors"))
    found = {name.removeprefix("base_model.model."): tensor for name, tensor in state.items()}
    wanted = {name for name in model.state_dict() if ".lora_" in name}
    if found.keys() != wanted:
        raise ValueError(f"{directory}: its adapter is for another model: {min(found.keys() ^ wanted)}")
    model.load_state_dict(found, strict=False)
    return model.eval()
