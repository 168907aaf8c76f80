"""The optimizers of transformers' Trainer, made by a real one: with two parameter groups, and a scheduler."""

from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from handbook.zoo.measuring import Recipe, Weights
from handbook.zoo.recipes.bitsandbytes import forget_overrides

NAMES = (
    "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop", "adamw_torch_8bit",
    "adamw_torch_4bit", "adamw_bnb_8bit", "adamw_8bit", "ademamix", "ademamix_8bit", "lion_32bit", "lion_8bit",
    "rmsprop_bnb", "rmsprop_bnb_8bit", "rmsprop_bnb_32bit", "paged_adamw_32bit", "paged_adamw_8bit",
    "paged_ademamix_32bit", "paged_ademamix_8bit", "paged_lion_32bit", "paged_lion_8bit", "schedule_free_adamw",
    "schedule_free_radam", "schedule_free_sgd", "stable_adamw",
)  # fmt: skip


class _Mixed(torch.nn.Module):
    """The mixed model as modules, of which the Trainer asks the kind."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(1, 1)
        self.up, self.down, self.norm = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1), torch.nn.LayerNorm(1)
        for name, weight in weights.items():
            module, _, attribute = name.rpartition(".")
            setattr(self.get_submodule(module), attribute, weight)


def made_by_trainer(name: str, **settings: Any) -> Recipe:
    """The optimizer that `TrainingArguments(optim=name)` gives; of PyTorch's, with `foreach`, as on a GPU."""

    def make(weights: Weights) -> Any:
        forget_overrides()
        with TemporaryDirectory() as folder:
            arguments = TrainingArguments(output_dir=folder, optim=name, use_cpu=True, report_to=[], **settings)
            trainer = Trainer(_Mixed(weights), arguments)
            optimizer = trainer.create_optimizer()
            trainer.create_scheduler(10)
        if hasattr(optimizer, "train"):  # schedulefree's, which otherwise refuses to step
            optimizer.train()
        for group in optimizer.param_groups:
            if name == "schedule_free_radam":
                group["k"] = 10  # before, it steps without its second moment
            if "foreach" in group and not group.get("fused"):
                group["foreach"] = True
        return optimizer

    return make


RECIPES: dict[str, Recipe] = {f"trainer:{name}": made_by_trainer(name) for name in NAMES}
RECIPES["trainer:sgd:momentum=0.9"] = made_by_trainer("sgd", optim_args="momentum=0.9")
RECIPES |= {
    f"trainer:{name}:rank=16": made_by_trainer(name, optim_args="rank=16", optim_target_modules="all-linear")
    for name in ("galore_adamw", "galore_adafactor", "apollo_adamw")
}
