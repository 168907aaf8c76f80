"""Memory to train: published figures, real allocations of a real step, and the command."""

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.profiler import ProfilerActivity, profile

import weigh
from weigh.memory.lora import Lora
from weigh.memory.training import training
from weigh.models.layers import Weight
from weigh.models.parameters import Model

logging.getLogger("transformers").setLevel(logging.ERROR)


@pytest.fixture(scope="module")
def eight() -> Model:
    return weigh.params("models/llama-3-8b")


@pytest.fixture
def billions() -> Model:
    """A model of 7.5 billion parameters in one tensor, of a family whose activations are left out."""
    count, like = 7_500_000_000, weigh.params("models/mamba-130m")
    one = (Weight("w", (count,), "scale"),)
    return replace(like, dtype="float16", specified=one, find_weights=lambda names: one)


def states(model: Model, precision: str, **options: Any) -> int:
    """What grows with the parameters, with Adam."""
    return training(model, "adam", precision, batch=1, sequence=1, **options).state_bytes


@pytest.mark.parametrize(("zero", "published"), [(0, "120"), (1, "31.4"), (2, "16.6"), (3, "1.9")])
def test_the_figure_of_the_zero_paper(billions: Model, zero: int, published: str) -> None:
    """Figure 1: 7.5 billion parameters on 64 devices with Adam in mixed precision, in GB."""
    size = states(billions, "bf16-master", zero=zero, devices=64) / weigh.GB
    assert f"{size:.{len(published.partition('.')[2])}f}" == published


@pytest.mark.parametrize(
    ("precision", "whole", "fixed", "divided"),
    [("fp32", 16, 8, 8), ("bf16-megatron", 18, 6, 12), ("fp16-megatron", 20, 4, 16)],
)
def test_the_table_of_megatron(billions: Model, precision: str, whole: int, fixed: int, divided: int) -> None:
    """Bytes per parameter with Adam, and with its distributed optimizer, from its page of that name: 16, 18, 20.

    Megatron divides the fp16 gradients' float32 copy, and not the gradients themselves: ZeRO's stage 1.
    """
    P = billions.parameters
    assert states(billions, precision) // P == whole
    assert states(billions, precision, zero=1, devices=8) == pytest.approx((fixed + divided / 8) * P, abs=8)


def test_the_stages_divide_more_and_more(eight: Model) -> None:
    stages = [training(eight, batch=1, sequence=2048, zero=zero, devices=8) for zero in range(4)]
    whole = stages[0]
    share = [
        [getattr(stage, figure) == -(-getattr(whole, figure) // 8) for stage in stages]
        for figure in ("optimizer_state_bytes", "master_weight_bytes", "gradient_bytes", "weight_bytes")
    ]
    assert share == [[False, True, True, True]] * 2 + [[False, False, True, True], [False, False, False, True]]
    assert len({stage.checkpoint_bytes for stage in stages}) == len({stage.activation_bytes for stage in stages}) == 1


def test_the_parts_add_up(eight: Model) -> None:
    for options in ({}, {"zero": 3, "devices": 3}, {"lora": Lora(8)}, {"recompute": "full"}, {"accumulate": 2}):
        found = training(eight, batch=2, sequence=512, **options)  # type: ignore[arg-type]
        assert sum(part.value for part in found.steps) == found.total_bytes
        assert found.range.low <= found.total_bytes <= found.range.high
        assert found.checkpoint_bytes == training(eight, batch=1, sequence=1, lora=options.get("lora")).checkpoint_bytes


def test_stage_3_gathers_the_largest_layer_or_table(eight: Model) -> None:
    """Of Llama 3 8B, with its many words, that is the table of embeddings, and of Mistral 7B a layer."""
    layer = 4096 * (2 * 4096 + 2 * 1024 + 3 * 14336 + 2)
    for model, size in ((eight, 128_256 * 4096), (weigh.params("models/mistral-7b"), layer)):
        parts = training(model, precision="bf16", batch=1, sequence=4096, zero=3, devices=8)
        divided = training(model, precision="bf16", batch=1, sequence=4096, zero=2, devices=8)
        assert parts.range.high == parts.total_bytes + 4 * size
        assert divided.range.high == divided.total_bytes
        assert any(f"{4 * size:,} bytes" in said for said in parts.assumptions)
        assert not any("gathered" in said for said in divided.assumptions)
    alone = training(eight, batch=1, sequence=4096, zero=3, devices=1)
    assert not any("gathered" in said for said in alone.assumptions)


def test_stage_3_gathers_frozen_layers_in_their_own_format() -> None:
    model, options = weigh.params("models/mistral-7b"), {"batch": 1, "sequence": 64, "zero": 3, "devices": 8}
    said = [
        next(said for said in training(model, lora=Lora(8, nf4=nf4), **options).assumptions if "gathered" in said)  # type: ignore[arg-type]
        for nf4 in (False, True)
    ]
    sides = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336)
    assert f"{2 * 4096 * (2 * 4096 + 2 * 1024 + 3 * 14336 + 2) + 8 * 8 * sides:,} bytes" in said[0]
    assert f"embed_tokens.weight, the largest layer or table, while it is at work: {2 * 32_000 * 4096:,}" in said[1]


@pytest.mark.parametrize(
    ("precision", "said"),
    [("bf16-master", "float32, as PEFT keeps them"), ("bf16", "bfloat16, as PEFT does with autocast_adapter_dtype=")],
)
def test_the_format_of_adapters_is_said(precision: str, said: str, eight: Model) -> None:
    found = training(eight, precision=precision, batch=1, sequence=16, lora=Lora(8))
    size = 4 if precision == "bf16-master" else 2
    assert found.gradient_bytes == size * found.trainable_parameters
    assert any(f"adapters, their gradients and their state in {said}" in one for one in found.assumptions)


def test_the_checkpoint_is_that_of_weigh_checkpoint(eight: Model) -> None:
    found = training(eight, "adamw", "bf16-master", batch=1, sequence=16)
    assert found.checkpoint_bytes == weigh.checkpoint(eight.distinct, "adamw", "bf16-master").total_bytes
    assert found.checkpoint_bytes == found.state_bytes - found.gradient_bytes


def peak(train: Callable[[], None]) -> int:
    """The most bytes that a call has allocated at once."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        train()
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())))


@pytest.mark.parametrize(
    ("model_type", "precision"), [("gpt2", "fp32"), ("llama", "fp32"), ("gpt2", "trainer-bf16-mixed"),
    ("llama", "lightning-bf16-mixed")],
)  # fmt: skip
def test_a_real_step_needs_what_is_predicted(model_type: str, precision: str, tmp_path: Path) -> None:
    """Every allocation of a training step on a CPU: the peak is the lower end of the range, within one percent.

    Under autocast, it is inside of a range that is wide enough for what is kept in either format.
    """
    small = {
        "gpt2": {"n_embd": 128, "n_layer": 4, "n_head": 8, "attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0},
        "llama": {
            "hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 352,
            "num_key_value_heads": 2,
        },
    }[model_type]  # fmt: skip
    config = {"model_type": model_type, "vocab_size": 1024, **small}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = training(weigh.params(tmp_path), "adamw", precision, batch=4, sequence=128)

    settings = transformers.AutoConfig.for_model(**config, use_cache=False)
    model = transformers.AutoModelForCausalLM.from_config(settings, attn_implementation="sdpa").train()
    optimizer = torch.optim.AdamW(model.parameters())
    ids = torch.randint(0, 1024, (4, 128))
    mixed = "mixed" in precision

    def train() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    train()
    weights = sum(weight.nbytes for weight in model.parameters())
    state = sum(part.nbytes for parts in optimizer.state.values() for part in parts.values())
    assert (weights, state) == (found.weight_bytes, found.optimizer_state_bytes)
    needed = weights + state + peak(train)
    if mixed:
        assert found.range.low < needed < found.range.high
    else:
        assert needed == pytest.approx(found.range.low, rel=0.01)


def test_adapters_are_float32_where_peft_makes_them_so(eight: Model) -> None:
    """PEFT casts adapters of a bfloat16 model; Lightning's bf16-true casts everything."""
    found = {
        precision: training(eight, precision=precision, batch=1, sequence=8, lora=Lora(16))
        for precision in ("trainer-bf16", "lightning-bf16-true")
    }
    assert found["trainer-bf16"].gradient_bytes == 4 * 41_943_040
    assert found["lightning-bf16-true"].gradient_bytes == 2 * 41_943_040
    assert found["trainer-bf16"].master_weight_bytes == 0


def test_lora_of_llama_3_8b(eight: Model) -> None:
    """Rank 16 on all matrices of the layers: 41.9 million parameters, 83.9 MB in bfloat16, 503 MB to resume."""
    lora = Lora(16)
    found = training(eight, "adamw", "bf16-master", batch=1, sequence=2048, lora=lora)
    assert found.trainable_parameters == 41_943_040
    assert 2 * found.trainable_parameters == 83_886_080
    assert found.checkpoint_bytes == pytest.approx(503e6, rel=0.001)
    assert found.weight_bytes == eight.bytes_as("bfloat16") + 4 * 41_943_040
    assert found.gradient_bytes == 4 * 41_943_040
    assert found.master_weight_bytes == 0
    some = training(eight, batch=1, sequence=2048, lora=Lora(16, ("q_proj", "v_proj"))).trainable_parameters
    assert some == 32 * 16 * (4096 + 4096 + 4096 + 1024)


class Adapted(torch.nn.Module):
    """PEFT's adapter in six lines: in its own number format, beside a frozen linear layer."""

    def __init__(self, base: torch.nn.Linear, rank: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.base = base
        self.lora_A = torch.nn.Linear(base.in_features, rank, bias=False, dtype=dtype)
        self.lora_B = torch.nn.Linear(rank, base.out_features, bias=False, dtype=dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        frozen = self.base(x)
        return (frozen + 2.0 * self.lora_B(self.lora_A(x.to(self.lora_A.weight.dtype)))).to(frozen.dtype)


def adapted(model: torch.nn.Module, rank: int, dtype: torch.dtype) -> torch.nn.Module:
    model.requires_grad_(False)
    for name, module in list(model.named_modules()):
        if isinstance(module, torch.nn.Linear) and ".layers." in name:
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, Adapted(module, rank, dtype))
    return model


@pytest.mark.parametrize("precision", ["fp32", "bf16", "bf16-master"])
def test_lora_on_a_real_model(precision: str, tmp_path: Path) -> None:
    """Parameters and checkpoint to the byte. Activations are too much by up to a quarter, and inside the range."""
    config = {
        "model_type": "llama", "vocab_size": 512, "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 8,
        "intermediate_size": 352, "num_key_value_heads": 2,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = training(weigh.params(tmp_path), "adamw", precision, batch=2, sequence=96, lora=Lora(4))
    settings = transformers.AutoConfig.for_model(**config, use_cache=False)
    model = transformers.AutoModelForCausalLM.from_config(settings, attn_implementation="sdpa").train()
    keeps = weigh.PRECISIONS[precision]
    model = adapted(model.to(getattr(torch, keeps.weights)), 4, getattr(torch, keeps.state))
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    assert sum(weight.numel() for weight in trained) == found.trainable_parameters

    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    ids = torch.randint(0, 512, (2, 96))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(input_ids=ids, labels=ids).loss
    optimizer = torch.optim.AdamW(trained)
    loss.backward()
    optimizer.step()
    torch.save({"model": [w.data for w in trained], "optimizer": optimizer.state_dict()}, tmp_path / "resume.pt")
    assert weigh.inspect(tmp_path / "resume.pt").bytes_in_tensors == found.checkpoint_bytes
    measured = sum(storage.nbytes() for storage in kept.values())
    logits = next(part.value for part in found.steps if part.name.startswith("logits"))
    assert found.activation_bytes is not None
    assert 1 <= (found.activation_bytes - logits) / measured <= 1.25


def test_qlora_keeps_the_frozen_matrices_in_four_bits(eight: Model) -> None:
    """Section 3 of Dettmers et al. 2023: double quantization makes 0.127 bits of 0.5."""
    found = training(eight, batch=1, sequence=2048, lora=Lora(16, nf4=True))
    matrices = 32 * 4096 * (2 * 4096 + 2 * 1024 + 3 * 14336)
    rest = eight.parameters - matrices
    packed = found.weight_bytes - 2 * rest - 4 * 41_943_040
    tables = 224 * (64 + 1024)
    assert 8 * (packed - tables) / matrices == pytest.approx(4 + 0.127, abs=0.001)
    # 5.7 GB; the embeddings and the head, which stay in bfloat16, are more than a third of it.
    assert packed + 2 * rest == pytest.approx(5.70e9, rel=0.001)


def test_accumulation_divides_activations_and_keeps_gradients(eight: Model) -> None:
    whole, parts = (training(eight, batch=8, sequence=512, accumulate=n) for n in (1, 4))
    assert whole.activation_bytes == 4 * parts.activation_bytes  # type: ignore[operator]
    assert parts.range.low == parts.total_bytes
    assert whole.range.low == whole.total_bytes - min(whole.gradient_bytes, whole.activation_bytes or 0)


def test_without_known_activations_the_total_says_so() -> None:
    found = training(weigh.params("models/resnet-50"), precision="fp32", batch=1, sequence=1)
    assert found.activation_bytes is None
    assert found.total_bytes == found.state_bytes
    assert any(said.startswith("no activations") for said in found.assumptions)


def test_every_model_in_the_repository_has_an_answer() -> None:
    for path in sorted(Path("models").glob("*/config.json")):
        found = training(weigh.params(path), "muon", batch=2, sequence=64, recompute="full")
        assert found.total_bytes >= found.checkpoint_bytes, path


@pytest.mark.parametrize(
    "wrong",
    [
        {"optimizer": "adamw2"}, {"precision": "fp17"}, {"zero": 4}, {"devices": 0}, {"batch": 0}, {"sequence": 0},
        {"accumulate": 2}, {"accumulate": 0}, {"recompute": "all"}, {"lora": Lora(0)}, {"lora": Lora(8, ("query",))},
    ],
)  # fmt: skip
def test_impossible_input_is_refused(wrong: dict[str, Any], eight: Model) -> None:
    with pytest.raises(weigh.WeighError):
        training(eight, **{"batch": 1, "sequence": 8, **wrong})


def command(*args: object) -> subprocess.CompletedProcess[str]:
    program = "import sys; from weigh.cli import main; main(sys.argv[1:])"
    return subprocess.run([sys.executable, "-c", program, *map(str, args)], capture_output=True, text=True)


def test_the_command_prints_the_contract() -> None:
    done = command("training", "models/llama-3-8b", "--optimizer", "adamw", "--precision", "bf16-master", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    sizes = [
        "weight_bytes", "gradient_bytes", "master_weight_bytes", "optimizer_state_bytes", "activation_bytes",
        "total_bytes", "checkpoint_bytes",
    ]  # fmt: skip
    assert all(type(facts[size]) is int for size in sizes)
    assert facts["total_bytes"] == sum(facts[size] for size in sizes[:5])
    assert (facts["batch"], facts["sequence"]) == (1, 2048)
    assert facts["checkpoint_bytes"] == 112_423_658_636


def test_the_command_shows_its_work() -> None:
    done = command("training", "models/gpt2", "--zero", 2, "--devices", 4, "--show-work")
    assert done.returncode == 0
    for said in (
        "(P · b) / N = (124,439,808 · 2) / 4",
        "sequence",
        "1,024",
        "assumed: ZeRO stage 2",
        "total on a device",
    ):
        assert said in done.stdout


@pytest.mark.parametrize(("name", "rows"), [("gpt2", 1024), ("roberta-base", 512), ("whisper-tiny", 448)])
def test_the_command_takes_as_many_tokens_as_there_are_positions(name: str, rows: int) -> None:
    facts = json.loads(command("training", f"models/{name}", "--json").stdout)
    assert facts["sequence"] == rows
    refused = command("training", f"models/{name}", "--sequence", rows + 1)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"ask for at most {rows:,}" in refused.stderr


def test_the_command_plans_a_run() -> None:
    line = ["--bandwidth", "5GB/s", "--mtbf", "8h", "--run", "30d", "--keep", 3]
    done = command("plan", "models/llama-3-8b", *line)
    assert (done.returncode, done.stderr) == (0, "")
    assert "112.4 GB" in done.stdout
    facts = json.loads(command("plan", "--checkpoint", "112423658636 bytes", *line, "--json").stdout)
    assert facts["kept_bytes"] == 4 * 112_423_658_636


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("training", "models/gpt2", "--optimizer", "adamw2"), "adamw2"),
        (("training", "models/gpt2", "--precision", "fp17"), "fp17"),
        (("training", "models/gpt2", "--zero", 4), "zero"),
        (("training", "models/gpt2", "--nf4"), "--lora"),
        (("training", "models/gpt2", "--lora", 8, "--targets", "q_proj"), "c_attn"),
        (("training", "absent"), "absent: no such file"),
        (("plan", "--bandwidth", "1GB", "--mtbf", "8h", "--run", "1d"), "CONFIG"),
        (("plan", "--checkpoint", "", "--bandwidth", "1GB", "--mtbf", "8h", "--run", "1d"), "size '': needs a unit"),
        (("plan", "models/gpt2", "--bandwidth", "1", "--mtbf", "8h", "--run", "1d"), "unit"),
        (("plan", "models/gpt2", "--bandwidth", "1GB", "--mtbf", "8x", "--run", "1d"), "8x"),
        (("plan", "models/gpt2", "--bandwidth", "1kB", "--mtbf", "1s", "--run", "1d"), "time between failures"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(args: tuple[str, ...], said: str) -> None:
    done = command(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_help_has_an_example() -> None:
    for name in ("training", "plan"):
        assert f"weigh {name} config.json" in command(name, "--help").stdout
