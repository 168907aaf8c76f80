"""Checkpoints as trainers leave them: what each part is, to the byte, what is exported, and what is a trap."""

import inspect
from collections import deque
from enum import Enum
from pathlib import Path
from pydoc import locate
from typing import Any

import accelerate.utils.other
import numpy as np
import pytest
import pytorch_lightning as lightning
import pytorch_optimizer
import schedulefree
import torch
import torch.distributed.checkpoint as dcp
import transformers.trainer
from accelerate.state import AcceleratorState, GradientState
from accelerate.utils import DataLoaderConfiguration
from ema_pytorch import EMA
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, TensorDataset
from torchdata.stateful_dataloader import StatefulDataLoader
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

import weigh
from weigh import errors
from weigh.cli import main
from weigh.formats.torch import rebuilding

from .test_directories import Trap, inspected

LLAMA = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2,
)  # fmt: skip
GENERATOR = torch.get_rng_state().nbytes
TRAINER = ["rng_state.pth", "training_args.bin"]


def network() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.BatchNorm1d(16), torch.nn.Linear(16, 4))


NET = network()
ADAM = torch.optim.AdamW(NET.parameters())
AVERAGED = AveragedModel(NET, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
BOTH, ALONE = EMA(NET), EMA(NET, include_online_model=False)
NET(torch.randn(4, 8)).square().sum().backward()
ADAM.step()
AVERAGED.update_parameters(NET)
STATE, STEPPED = NET.state_dict(), ADAM.state_dict()
COPY = {name: tensor.clone() for name, tensor in STATE.items()}
WEIGHTS = sum(tensor.nbytes for tensor in STATE.values())
NUMBERS = sum(tensor.numel() for tensor in STATE.values() if tensor.is_floating_point())
GRADIENTS = {name: weight.grad for name, weight in NET.named_parameters()}


def held(value: Any) -> int:
    """Bytes of the tensors in a value, each storage once."""
    tensors = [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]
    return sum({tensor.untyped_storage().data_ptr(): tensor.nbytes for tensor in tensors}.values())


def exit_code(*arguments: Any) -> int:
    with pytest.raises(SystemExit) as ended:
        main([*map(str, arguments)])
    return int(ended.value.code or 0)


def exported(path: Path, **options: Any) -> set[str]:
    """The names of the weights that an export writes."""
    weigh.export(path, path.parent / "out", **options)
    return set(load_file(path.parent / "out/model.safetensors"))


# Optimizer state, under any name.


OPTIMIZERS: dict[str, Any] = {
    **{name: kind for name, kind in vars(torch.optim).items() if torch.optim.Optimizer in getattr(kind, "__mro__", ())},
    "ScheduleFree": schedulefree.AdamWScheduleFree,
    "Lookahead": lambda weights: pytorch_optimizer.Lookahead(torch.optim.SGD(weights, momentum=0.9)),
}
del OPTIMIZERS["Optimizer"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_of_an_optimizer_is_none_of_the_weights_under_any_name(name: str, tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Embedding(4, 8, sparse=True)) if name == "SparseAdam" else network()
    weights = [weight for weight in net.parameters() if name != "Muon" or weight.dim() == 2]
    optimizer = OPTIMIZERS[name](weights)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = net(torch.arange(4) if name == "SparseAdam" else torch.ones(4, 8)).square().sum()
        value.backward()
        return value

    if name == "ScheduleFree":
        optimizer.train()
    optimizer.step(loss)
    state = optimizer.state_dict()
    torch.save(state, tmp_path / "last.pt")
    contents = weigh.inspect(tmp_path / "last.pt")
    assert contents.parameters == 0 and contents.by_component["optimizer"] == held(state)
    with pytest.raises(errors.NothingToExport, match="holds no weights"):
        weigh.export(tmp_path / "last.pt", tmp_path / "out")
    torch.save({"model": net.state_dict(), "o": state}, tmp_path / "both.pt")
    contents = weigh.inspect(tmp_path / "both.pt")
    assert contents.by_component["optimizer"] == held(state)
    assert contents.by_component["weights"] == held(net.state_dict())
    assert exported(tmp_path / "both.pt") == net.state_dict().keys()


# Moving averages.

AVERAGES: dict[str, tuple[Any, int, dict[str, str]]] = {
    "ema_pytorch": (BOTH.state_dict(), WEIGHTS, {"online_model": "online_model.", "ema_model": "ema_model."}),
    "ema_pytorch in a checkpoint": ({"model": STATE, "ema": ALONE.state_dict(), "opt": STEPPED}, WEIGHTS,
                                    {"model": "model.", "ema": "ema.ema_model."}),
    "with the model in it": ({"model": COPY, "ema": BOTH.state_dict()}, 2 * WEIGHTS,
                             {"model": "model.", "ema.ema_model": "ema.ema_model."}),
    "ema_pytorch under any key": ({"model": STATE, "e": ALONE.state_dict()}, WEIGHTS, {"e": "e.ema_model."}),
    "torch's under any key": ({"model": STATE, "x": AVERAGED.state_dict()}, WEIGHTS + 8, {"x": "x.module."}),
    "two": ({"model": STATE, "ema": COPY, "ema2": AVERAGED.module.state_dict()}, 2 * WEIGHTS, {"ema2": "ema2."}),
    "several by their decay": ({"net": STATE, "emas": {"0.9": COPY}}, WEIGHTS, {"emas.0.9": "emas.0.9."}),
    "in half": ({"model": STATE, "ema": {name: each.half() for name, each in STATE.items()}},
                2 * sum(each.numel() for each in STATE.values()), {"ema": "ema."}),
    "below one key": ({"model": {"net": STATE, "ema": COPY}, "opt": STEPPED}, WEIGHTS, {"model.ema": "model.ema."}),
    "flat": ({"model": {f"{part}.{name}": tensor for part, each in (("net", STATE), ("net_ema", COPY))
                        for name, tensor in each.items()}}, WEIGHTS, {"model.net": "model.net."}),
}  # fmt: skip


@pytest.mark.parametrize("case", AVERAGES)
def test_a_moving_average_counts_once_and_export_asks(case: str, tmp_path: Path) -> None:
    saved, size, keys = AVERAGES[case]
    torch.save(saved, tmp_path / "w.pt")
    contents = weigh.inspect(tmp_path / "w.pt")
    assert (contents.parameters, contents.by_component["ema"]) == (NUMBERS, size)
    assert contents.by_component["weights"] == WEIGHTS
    with pytest.raises(errors.AmbiguousWeights, match=r"has \d sets of weights; say which"):
        weigh.export(tmp_path / "w.pt", tmp_path / "out")
    for key, prefix in keys.items():
        assert weigh.export(tmp_path / "w.pt", tmp_path / key, key=key).prefix == prefix
        assert load_file(tmp_path / key / "model.safetensors").keys() == STATE.keys()


@pytest.mark.parametrize(
    "saved", [ALONE.state_dict(), AVERAGED.state_dict(), {"ema": COPY, "at": {"step": torch.tensor(3)}}]
)
def test_an_average_alone_is_the_weights_without_its_counters(saved: Any, tmp_path: Path) -> None:
    torch.save(saved, tmp_path / "w.pt")
    contents = weigh.inspect(tmp_path / "w.pt")
    assert (contents.parameters, contents.by_component["ema"]) == (NUMBERS, 0)
    assert exported(tmp_path / "w.pt") == STATE.keys()


def test_a_layer_whose_name_could_be_an_average_is_none(tmp_path: Path) -> None:
    torch.save({"swa.weight": torch.ones(4, 4), "head.weight": torch.ones(2, 4)}, tmp_path / "w.pt")
    assert exported(tmp_path / "w.pt") == {"swa.weight", "head.weight"}


def test_layers_of_equal_names_are_one_model(tmp_path: Path) -> None:
    block = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)).state_dict()
    torch.save({f"{n}.{name}": tensor + n for n in range(2) for name, tensor in block.items()}, tmp_path / "w.pt")
    assert len(exported(tmp_path / "w.pt")) == 8


# What lies beside the weights.


def loader(**options: Any) -> dict[str, Any]:
    loader: Any = StatefulDataLoader(range(100), batch_size=4, **options)
    batches = iter(loader)
    next(batches)
    state: dict[str, Any] = loader.state_dict()
    return state


TRANSITIONS = {"obs": torch.randn(50, 8), "act": torch.zeros(50, dtype=torch.long), "reward": torch.randn(50)}
BESIDE: dict[str, tuple[Any, int]] = {
    "a scaler of numbers": ({"scaler": torch.amp.GradScaler("cpu").state_dict()}, 0),
    "a scaler of tensors": ({"amp_scaler": {"scale": torch.tensor(65536.0), "growth": torch.tensor(0)}}, 0),
    "counters, losses": ({"step": torch.tensor(3), "losses": torch.ones(50), "log": [{"l": torch.ones(())}] * 3}, 0),
    "metrics": ({"val_metrics": {"per_class": torch.ones(4)}, "confusion": {"m": torch.eye(4).long()}}, 0),
    "a loader": (lambda: {"dl": loader(shuffle=True)}, GENERATOR),
    "workers": (lambda: {"data": loader(shuffle=True, num_workers=1)}, GENERATOR),
    "an order": ({"train_sampler": {"order": torch.randperm(100)}, "data_state": {"at": torch.randperm(9)}}, 0),
    "generators": ({"g": torch.get_rng_state(), "cuda": [torch.zeros(16, dtype=torch.uint8)] * 2}, GENERATOR + 16),
    "gradients": ({"grads": GRADIENTS}, 0),
    "a replay buffer": ({"replay_buffer": TRANSITIONS}, 0),
}  # fmt: skip


@pytest.mark.parametrize("optimizer", [True, False])
@pytest.mark.parametrize("case", BESIDE)
def test_what_lies_beside_the_weights_is_none_of_them(case: str, optimizer: bool, tmp_path: Path) -> None:
    beside, generators = BESIDE[case]
    beside = beside() if callable(beside) else beside
    torch.save({**beside, "model": STATE, **({"opt": STEPPED} if optimizer else {})}, tmp_path / "w.pt")
    contents = weigh.inspect(tmp_path / "w.pt")
    assert (contents.parameters, contents.by_component["weights"]) == (NUMBERS, WEIGHTS)
    assert contents.by_component["rng"] == generators
    assert contents.by_component["optimizer"] == (held(STEPPED) if optimizer else 0)
    arrays = held([leaf for leaf in tree_leaves(beside) if isinstance(leaf, torch.Tensor) and leaf.dim()])
    said = any("beside the weights" in note for note in contents.notes)
    assert said == (100 * (arrays - generators) > contents.bytes_in_tensors)
    assert exported(tmp_path / "w.pt") == STATE.keys()


def test_gradients_in_the_state_dict_are_left_out(tmp_path: Path) -> None:
    torch.save(STATE | {f"{name}.grad": each for name, each in GRADIENTS.items()}, tmp_path / "w.pt")
    assert weigh.inspect(tmp_path / "w.pt").parameters == NUMBERS and exported(tmp_path / "w.pt") == STATE.keys()


def test_what_may_be_weights_is_named_and_export_asks(tmp_path: Path) -> None:
    torch.save({"model": STATE, "memory": TRANSITIONS, "opt": STEPPED}, tmp_path / "w.pt")
    contents = weigh.inspect(tmp_path / "w.pt")
    assert contents.notes == (f"holds 2 sets of weights, whose numbers are added up: memory 450, model {NUMBERS}",)
    with pytest.raises(errors.AmbiguousWeights, match="--key: model, memory"):
        weigh.export(tmp_path / "w.pt", tmp_path / "out")


def test_a_bias_as_long_as_a_generator_is_a_bias(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, GENERATOR).state_dict(), tmp_path / "w.pt")
    assert weigh.inspect(tmp_path / "w.pt").parameters == 3 * GENERATOR and len(exported(tmp_path / "w.pt")) == 2


# Directories of transformers, peft and accelerate.


class Tokens(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, at: int) -> dict[str, torch.Tensor]:
        ids = torch.arange(at, at + 8)
        return {"input_ids": ids, "labels": ids}


def fit(model: Any, home: Path) -> Path:
    arguments = TrainingArguments(
        str(home), max_steps=1, save_steps=1, per_device_train_batch_size=2, use_cpu=True, report_to=[],
        disable_tqdm=True,
    )  # fmt: skip
    Trainer(model=model, args=arguments, train_dataset=Tokens()).train()
    return home / "checkpoint-1"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(LlamaForCausalLM(LLAMA), tmp_path_factory.mktemp("full"))


def test_an_untouched_directory_of_the_trainer(full: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contents = inspected(full)
    optimizer = torch.load(full / "optimizer.pt")
    assert contents.parameters == LlamaForCausalLM(LLAMA).num_parameters()
    assert contents.by_component["optimizer"] == held(optimizer) and contents.by_component["rng"] == GENERATOR
    assert exit_code("inspect", full) == 0
    output = capsys.readouterr()
    assert all(f"note: {name}: " in output.out for name in TRAINER) and output.err == ""
    assert exit_code("export", full, full.parent / "served") == 0
    assert load_file(full.parent / "served/model.safetensors").keys() == load_file(full / "model.safetensors").keys()


def test_what_libraries_allow_is_what_they_load_with(full: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="numpy"):
        torch.load(full / "rng_state.pth", weights_only=True)
    with transformers.trainer_pt_utils.safe_globals():
        torch.load(full / "rng_state.pth", weights_only=True)
    allowed = weigh.inspect(full / "rng_state.pth").allowed
    theirs = {f"{each.__module__}.{each.__qualname__}" for each in accelerate.utils.other.TORCH_SAFE_GLOBALS}
    assert {"numpy.ndarray", "numpy.dtype"} < set(allowed) <= theirs
    kinds = [locate(name) for name in weigh.inspect(full).allowed if not name.startswith("numpy")]
    assert len(kinds) > 5
    for kind in kinds:
        assert isinstance(kind, type)
        assert issubclass(kind, Enum) or not hasattr(kind, "__setstate__")
    uses = [line for line in inspect.getsource(transformers.trainer).splitlines() if "TRAINING_ARGS_NAME" in line]
    assert len(uses) > 1 and not any("load(" in line for line in uses)


class Made:
    """A call of a class of the Trainer's with a text, which runs its constructor."""

    def __reduce__(self) -> Any:
        return TrainingArguments, ("elsewhere",)


@pytest.mark.parametrize(
    ("name", "value"),
    [("rng_state.pth", Trap()), ("rng_state.pth", np.random.default_rng()), ("training_args.bin", Trap()),
     ("training_args.bin", Made()), ("training_args.bin", deque([1])), ("optimizer.pt", np.ones(3))],
)  # fmt: skip
def test_what_nobody_allows_is_still_found(name: str, value: Any, full: Path, tmp_path: Path) -> None:
    for file in full.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    before = torch.load(tmp_path / name, weights_only=False)
    torch.save({"before": before, "more": value} if name.startswith("train") else before | {"more": value},
               tmp_path / name)  # fmt: skip
    assert exit_code("inspect", tmp_path) == 1
    assert any(note.startswith(f"{name}: loading it would import") for note in weigh.inspect(tmp_path).notes)


def test_an_adapter_of_the_trainer(tmp_path: Path) -> None:
    adapter = LoraConfig(r=4, target_modules=["q_proj", "v_proj"])
    home = fit(get_peft_model(LlamaForCausalLM(LLAMA), adapter), tmp_path)
    contents = inspected(home)
    assert contents.parameters == 2 * 4 * (32 + 32 + 32 + 16)
    assert contents.by_component["optimizer"] == held(torch.load(home / "optimizer.pt"))
    assert exit_code("inspect", home) == 0


def test_state_of_accelerate_with_its_loader_and_an_average(tmp_path: Path) -> None:
    stateful = DataLoaderConfiguration(use_stateful_dataloader=True)
    accelerator = accelerate.Accelerator(cpu=True, dataloader_config=stateful)
    try:
        net = network()
        averaged = AveragedModel(net)
        data = DataLoader(TensorDataset(torch.randn(16, 8)), batch_size=4, shuffle=True)
        net, optimizer, data = accelerator.prepare(net, torch.optim.AdamW(net.parameters()), data)
        accelerator.register_for_checkpointing(averaged)
        for (batch,) in data:
            accelerator.backward(net(batch).sum())
            optimizer.step()
            accelerator.save_state(str(tmp_path / "state"))
            break
    finally:
        AcceleratorState._reset_state(True)
        GradientState._reset_state()
    contents = inspected(tmp_path / "state")
    assert (contents.parameters, contents.not_read, contents.imports) == (NUMBERS, (), ())
    assert contents.by_component["ema"] == contents.by_component["weights"] == WEIGHTS
    generators = [tensor for tensor in contents.named if tensor.component == "rng"]
    assert contents.by_component["rng"] == GENERATOR * len(generators) > 0
    assert "dl_state_dict.bin" in contents.files
    with pytest.raises(errors.AmbiguousWeights, match=r"--key: '', module$"):
        weigh.export(tmp_path / "state", tmp_path / "out")
    for key in ("", "module"):
        weigh.export(tmp_path / "state", tmp_path / f"out{key}", key=key)
        assert load_file(tmp_path / f"out{key}/model.safetensors").keys() == STATE.keys()


# Lightning.


class Module(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.model = network()

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        loss = self.model(batch[0]).square().mean()
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.parameters())
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1)}


@pytest.mark.parametrize("averaging", [None, lightning.callbacks.WeightAveraging,
                                       lightning.callbacks.StochasticWeightAveraging])  # fmt: skip
def test_a_checkpoint_of_lightning(averaging: Any, tmp_path: Path) -> None:
    options = {"swa_lrs": 0.1, "swa_epoch_start": 0.0} if "Stochastic" in str(averaging) else {}
    callbacks = [
        lightning.callbacks.ModelCheckpoint(dirpath=tmp_path, monitor="loss"),
        lightning.callbacks.EarlyStopping("loss"),
        *([averaging(**options)] if averaging else []),
    ]
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, callbacks=callbacks, enable_progress_bar=False,
        enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Module(), DataLoader(TensorDataset(torch.randn(8, 8)), batch_size=4))
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    contents = weigh.inspect(tmp_path / "last.ckpt")
    saved = torch.load(tmp_path / "last.ckpt", weights_only=False)
    assert (contents.parameters, contents.by_component["weights"]) == (NUMBERS, WEIGHTS)
    assert contents.by_component["optimizer"] == held(saved["optimizer_states"])
    assert contents.by_component["ema"] == (WEIGHTS if averaging else 0)
    if averaging:
        with pytest.raises(errors.AmbiguousWeights, match="--key: state_dict, "):
            weigh.export(tmp_path / "last.ckpt", tmp_path / "out")
    else:
        assert exported(tmp_path / "last.ckpt") == STATE.keys()


# torch.distributed.


def test_an_average_in_a_distributed_checkpoint(tmp_path: Path) -> None:
    dcp.save({"model": STATE, "x": AVERAGED.state_dict(), "opt": STEPPED}, checkpoint_id=tmp_path / "c", no_dist=True)
    contents = inspected(tmp_path / "c")
    assert (contents.parameters, contents.by_component["ema"]) == (NUMBERS, WEIGHTS + 8)
    assert exported(tmp_path / "c", key="x") == STATE.keys()


def test_the_safe_names_do_not_grow_by_what_is_allowed() -> None:
    assert not any(name.startswith("numpy") for name in rebuilding.SAFE)
