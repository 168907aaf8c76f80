"""Training: one loop for the model, its draft and its adapter. Interrupted, it goes on where it was, bit for bit."""

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from quill.evaluation import mean_loss
from quill.model import Quill


@dataclass(frozen=True)
class Plan:
    """How to train.

    Attributes:
        steps: Updates of the weights.
        batch: Windows in each.
        peak: The highest learning rate, after `warmup` steps; from there it falls to a tenth along a cosine.
        decay: Weight decay of the matrices.
        every: Steps between two looks at the validation text, and between two checkpoints.
    """

    steps: int
    batch: int = 16
    peak: float = 3e-3
    warmup: int = 100
    decay: float = 0.1
    every: int = 100
    seed: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.peak * (0.55 + 0.45 * math.cos(math.pi * done))


def batch_of(ids: Tensor, plan: Plan, step: int, tokens: int) -> tuple[Tensor, Tensor]:
    """The windows of a step, and the tokens that come next. They follow from the seed and the step alone, so that a
    resumed run needs no other memory of what it has read."""
    generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
    starts = torch.randint(len(ids) - tokens, (plan.batch, 1), generator=generator)
    windows = ids[starts + torch.arange(tokens + 1)]
    return windows[:, :-1], windows[:, 1:]


def train(
    model: Quill,
    ids: Tensor,
    validation: Tensor,
    plan: Plan,
    checkpoint: Path,
    report: Callable[[int, float, float], None] = lambda step, loss, validation: None,
    trained: Iterable[nn.Parameter] | None = None,
) -> list[dict[str, float]]:
    """Train, from the checkpoint if there is one.

    Args:
        model: Changed in place.
        ids: The tokens of the training text, one dimension.
        validation: Those of the validation text.
        plan: How.
        checkpoint: Where weights, optimizer state, step and history are kept.
        report: Called after every look at the validation text.
        trained: The weights to change; `None` is all.

    Raises:
        SystemExit: If the checkpoint is of another plan, or of other weights than those that are not to change.

    Returns:
        The history: step, loss on the training text since the last look, and on the validation text, in nats per token.
    """
    weights = list(model.parameters() if trained is None else trained)
    for weight in model.parameters():
        weight.requires_grad_(any(weight is one for one in weights))
    optimizer = torch.optim.AdamW(
        [
            {"params": [weight for weight in weights if weight.dim() == 2], "weight_decay": plan.decay},
            {"params": [weight for weight in weights if weight.dim() < 2], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
    )
    first, history, losses = 0, [], []
    if checkpoint.is_file():
        saved: dict[str, Any] = torch.load(checkpoint)
        frozen = {name: weight for name, weight in model.named_parameters() if not weight.requires_grad}
        if saved["plan"] != asdict(plan) or not all(saved["model"][name].equal(frozen[name]) for name in frozen):
            raise SystemExit(f"quill: {checkpoint} is of another plan or another model; remove it to train anew")
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        first, history = saved["step"], saved["history"]
    model.train()
    for step in range(first, plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)
        inputs, targets = batch_of(ids, plan, step, model.config.max_position_embeddings)
        logits, _ = model(inputs)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        losses.append(loss.item())
        if (step + 1) % plan.every == 0 or step + 1 == plan.steps:
            model.eval()
            history.append(
                {"step": step + 1, "loss": sum(losses) / len(losses), "validation": mean_loss(model, validation[:8192])}
            )
            model.train()
            losses = []
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "plan": asdict(plan)}
            torch.save({**state, "step": step + 1, "history": history}, checkpoint.with_suffix(".part"))
            os.replace(checkpoint.with_suffix(".part"), checkpoint)  # a checkpoint is there whole, or not at all
            report(step + 1, history[-1]["loss"], history[-1]["validation"])
    model.eval()
    return history
