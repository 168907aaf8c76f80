"""What the trainers that people use keep and write, against the policies that have their names, to the byte."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from pytorch_lightning import LightningModule
from pytorch_lightning import Trainer as Lightning

import weigh
from handbook.zoo.recipes.bitsandbytes import forget_overrides

torch.compiler.set_stance("force_eager")  # torchao would compile its step for a minute

SIZES: dict[str, Any] = {
    "vocab_size": 200, "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True,
}  # fmt: skip
ROWS = [{"input_ids": torch.arange(8), "labels": torch.arange(8)}] * 8

TRAINER: dict[str, tuple[torch.dtype, dict[str, Any]]] = {
    "trainer": (torch.float32, {}),
    "trainer-bf16": (torch.bfloat16, {"bf16": True}),
    "trainer-bf16-mixed": (torch.float32, {"bf16": True}),
    "trainer-fp16": (torch.float32, {"fp16": True}),
}
LIGHTNING: dict[str, Any] = {
    "lightning": "32-true",
    "lightning-bf16-mixed": "bf16-mixed",
    "lightning-16-mixed": "16-mixed",
    "lightning-bf16-true": "bf16-true",
    "lightning-16-true": "16-true",
}
ACCELERATE: dict[str, tuple[torch.dtype, str]] = {
    "accelerate": (torch.float32, "no"),
    "accelerate-bf16": (torch.bfloat16, "bf16"),
    "accelerate-bf16-mixed": (torch.float32, "bf16"),
    "accelerate-fp16": (torch.float32, "fp16"),
}


class Tuned(LightningModule):
    """The model as Lightning trains one; it notes the formats of the gradients."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model, self.gradients = model, set[torch.dtype]()

    def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return self.model(**batch).loss  # type: ignore[no-any-return]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        self.gradients |= formats(self.model)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters())


class Noting(transformers.TrainerCallback):
    """Notes the formats of the gradients."""

    def __init__(self) -> None:
        self.gradients = set[torch.dtype]()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        self.gradients |= formats(given["model"])


def formats(model: torch.nn.Module) -> set[torch.dtype]:
    return {weight.grad.dtype for weight in model.parameters() if weight.grad is not None}


def model(dtype: torch.dtype) -> torch.nn.Module:
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES)).to(dtype)


def batches() -> Any:
    return torch.utils.data.DataLoader(ROWS, batch_size=1)


def train(folder: Path, dtype: torch.dtype, **settings: Any) -> set[torch.dtype]:
    """Two steps of the Trainer, and its checkpoint."""
    arguments = transformers.TrainingArguments(
        output_dir=str(folder), max_steps=2, save_steps=2, per_device_train_batch_size=1, use_cpu=True, report_to=[],
        disable_tqdm=True, **settings,
    )  # fmt: skip
    noting = Noting()
    transformers.Trainer(model(dtype), arguments, train_dataset=ROWS, callbacks=[noting]).train()  # type: ignore[arg-type]
    return noting.gradients


def compare(path: Path, folder: Path, optimizer: str, precision: str) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", **SIZES}))
    predicted = weigh.checkpoint(weigh.params(folder).distinct, optimizer, precision)
    measured = weigh.inspect(path).by_component
    assert measured["weights"] == predicted.weight_bytes
    assert measured["optimizer"] == predicted.master_weight_bytes + predicted.optimizer_state_bytes


def same(gradients: set[torch.dtype], precision: str) -> None:
    assert gradients == {getattr(torch, weigh.TRAINERS[precision].gradients)}


def test_every_policy_of_a_trainer_is_measured() -> None:
    """DeepSpeed is no package of the tests: of the 16 bytes of a parameter in its paper, it saves all but gradients."""
    deepspeed = set(weigh.TRAINERS) - {*TRAINER, *LIGHTNING, *ACCELERATE}
    assert deepspeed == {"deepspeed-bf16", "deepspeed-fp16"}
    described = weigh.params("models/llama-2-7b")
    for precision in deepspeed:
        saved = weigh.checkpoint(described.distinct, "adam", precision).total_bytes
        assert saved / described.parameters == pytest.approx(14, abs=1e-5)


@pytest.mark.parametrize("precision", TRAINER)
def test_the_trainer(precision: str, tmp_path: Path) -> None:
    dtype, settings = TRAINER[precision]
    same(train(tmp_path, dtype, **settings), precision)
    compare(tmp_path / "checkpoint-2", tmp_path, "trainer:adamw_torch_fused", precision)


@pytest.mark.parametrize("precision", ["trainer-bf16", "trainer-bf16-mixed"])
@pytest.mark.parametrize("optim", ["adafactor", "adamw_torch_8bit", "adamw_torch_4bit", "adamw_bnb_8bit"])
def test_the_trainers_optimizers(optim: str, precision: str, tmp_path: Path) -> None:
    """Adafactor is float32 for bfloat16 weights; torchao's rates are tensors; bitsandbytes leaves tables whole."""
    forget_overrides()
    dtype, settings = TRAINER[precision]
    train(tmp_path, dtype, optim=optim, **settings)
    compare(tmp_path / "checkpoint-2", tmp_path, f"trainer:{optim}", precision)


@pytest.mark.parametrize("precision", LIGHTNING)
def test_lightning(precision: str, tmp_path: Path) -> None:
    """On a CPU, 16-mixed computes in bfloat16, as Lightning says; what it keeps and writes is the same."""
    tuned = Tuned(model(torch.float32))
    trainer = Lightning(
        max_steps=2, accelerator="cpu", precision=LIGHTNING[precision], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(tuned, batches())
    trainer.save_checkpoint(tmp_path / "two-steps.ckpt")
    same(tuned.gradients, precision)
    compare(tmp_path / "two-steps.ckpt", tmp_path, "adamw", precision)


@pytest.fixture
def no_accelerator() -> Iterator[None]:
    """Accelerate keeps its settings for the whole process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.mark.parametrize("precision", ACCELERATE)
@pytest.mark.usefixtures("no_accelerator")
def test_accelerate(precision: str, tmp_path: Path) -> None:
    dtype, mixed = ACCELERATE[precision]
    accelerator, tuned = Accelerator(mixed_precision=mixed, cpu=True), model(dtype)
    tuned, optimizer = accelerator.prepare(tuned, torch.optim.AdamW(tuned.parameters()))
    for batch, _ in zip(batches(), range(2), strict=False):
        optimizer.zero_grad()
        accelerator.backward(tuned(**batch).loss)
        optimizer.step()
    same(formats(tuned), precision)
    accelerator.save_state(str(tmp_path / "state"))
    compare(tmp_path / "state", tmp_path, "adamw", precision)


def test_the_trainer_writes_no_master_weights(tmp_path: Path) -> None:
    """The default policy is that of no run of the Trainer: it says so, and predicts 2.33 times what one writes."""
    train(tmp_path, torch.bfloat16, bf16=True)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama", **SIZES}))
    described = weigh.params(tmp_path)
    written = sum(weigh.inspect(tmp_path / "checkpoint-2").by_component[part] for part in ("weights", "optimizer"))
    assert weigh.checkpoint(described.distinct, "adamw", "bf16-master").total_bytes / written == pytest.approx(
        14 / 6, rel=0.001
    )
    said = weigh.training(described, batch=1, sequence=8).assumptions
    assert any("trainer-bf16" in line for line in said)
