"""`weigh export`: what comes out loads in transformers and gives the logits of what went in."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint as dcp
from safetensors.torch import load_file
from torch.utils._pytree import tree_leaves
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

import weigh
from weigh import errors
from weigh.cli import main

LLAMA = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2,
)  # fmt: skip
GPT2 = GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=16)


def trained(tmp_path: Path, config: Any, wrapper: str = "") -> tuple[torch.nn.Module, Path]:
    """A model after one step, and its training checkpoint beside its config."""
    torch.manual_seed(0)
    model = (LlamaForCausalLM if isinstance(config, LlamaConfig) else GPT2LMHeadModel)(config)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.arange(8)[None]).logits.square().mean().backward()
    optimizer.step()
    state = {f"{wrapper}{name}": tensor for name, tensor in model.state_dict().items()}
    tmp_path.mkdir(exist_ok=True)
    torch.save(
        {"model": state, "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "step": 1},
        tmp_path / "step-1.pt",
    )
    config.save_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    return model.eval(), tmp_path / "step-1.pt"


@pytest.mark.parametrize("shard", [10**9, 10_000], ids=["one file", "shards"])
@pytest.mark.parametrize("config", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_the_logits_are_equal(config: Any, shard: int, tmp_path: Path) -> None:
    model, checkpoint = trained(tmp_path / "run", config)
    done = weigh.export(checkpoint, tmp_path / "served", shard_bytes=shard)
    assert len([name for name in done.files if name.endswith(".safetensors")]) > (shard == 10_000)
    assert {"config.json", "tokenizer.json"} <= set(done.files)
    served = AutoModelForCausalLM.from_pretrained(tmp_path / "served", dtype=torch.float32).eval()
    ids = torch.arange(8)[None]
    assert torch.equal(model(ids).logits, served(ids).logits)
    contents = weigh.inspect(tmp_path / "served")
    assert contents.notes == () and contents.parameters == done.parameters == weigh.params(tmp_path / "run").parameters
    assert contents.by_component["optimizer"] == 0 < done.stripped["optimizer"]


def test_casting_says_what_it_lost(tmp_path: Path) -> None:
    weights = torch.tensor([1.0, 1e-9, 65_520.0, -0.1, 0.0])
    torch.save({"w": weights, "n": torch.tensor([7])}, tmp_path / "w.pt")
    done = weigh.export(tmp_path / "w.pt", tmp_path / "half", dtype="fp16")
    assert (done.overflowed, done.underflowed, done.dtype) == (1, 1, "float16")
    assert done.largest_relative_error == 1.0  # of the weight that became 0
    found = load_file(tmp_path / "half/model.safetensors")
    assert torch.equal(found["w"], weights.half()) and torch.equal(found["n"], torch.tensor([7]))
    torch.save({"w": torch.randn(1000)}, tmp_path / "w.pt")
    assert 2**-10 < weigh.export(tmp_path / "w.pt", tmp_path / "b", dtype="bfloat16").largest_relative_error <= 2**-8


def test_the_config_says_the_new_dtype(tmp_path: Path) -> None:
    _, checkpoint = trained(tmp_path / "run", LLAMA)
    weigh.export(checkpoint, tmp_path / "served", dtype="bfloat16")
    assert weigh.params(tmp_path / "served").dtype == "bfloat16"
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "served").dtype == torch.bfloat16


@pytest.mark.parametrize("wrapper", ["", "module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("with_config", [True, False])
def test_wrappers_are_taken_off(wrapper: str, with_config: bool, tmp_path: Path) -> None:
    model, checkpoint = trained(tmp_path / "run", GPT2, wrapper)
    if not with_config:
        (tmp_path / "run/config.json").unlink()
    done = weigh.export(checkpoint, tmp_path / "served")
    # GPT-2's weights are all below "transformer", but for the head, which is tied to the embedding.
    assert done.prefix == f"model.{wrapper}"
    assert "transformer.wte.weight" in load_file(tmp_path / "served/model.safetensors")
    assert set(model.state_dict()) - set(load_file(tmp_path / "served/model.safetensors")) == {"lm_head.weight"}


def test_a_model_without_a_wrapper_keeps_its_names(tmp_path: Path) -> None:
    state = {"encoder.0.weight": torch.ones(2), "encoder.1.weight": torch.zeros(2)}
    torch.save(state, tmp_path / "w.pt")
    assert weigh.export(tmp_path / "w.pt", tmp_path / "a").prefix == ""
    assert weigh.export(tmp_path / "w.pt", tmp_path / "b", prefix="encoder.").tensors == 2
    assert set(load_file(tmp_path / "b/model.safetensors")) == {"0.weight", "1.weight"}


def test_views_are_written_as_they_are(tmp_path: Path) -> None:
    big = torch.randn(100, 8)
    torch.save({"few": big[:3], "turned": big[:5].t(), "none": torch.zeros(0, 3)}, tmp_path / "w.pt")
    weigh.export(tmp_path / "w.pt", tmp_path / "out")
    found = load_file(tmp_path / "out/model.safetensors")
    assert torch.equal(found["few"], big[:3]) and torch.equal(found["turned"], big[:5].t())
    assert found["none"].shape == (0, 3)


def test_a_moving_average_beside_the_model_is_no_guess(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3))
    average = torch.optim.swa_utils.AveragedModel(model)
    sets = {"model": model.state_dict(), "ema": average.module.state_dict()}
    torch.save({**sets, "n_averaged": average.n_averaged}, tmp_path / "w.pt")
    with pytest.raises(errors.AmbiguousWeights, match=r"--key: model, ema"):
        weigh.export(tmp_path / "w.pt", tmp_path / "out")
    for choice in ({"prefix": "ema."}, {"key": "ema"}):
        folder = tmp_path / min(choice)
        assert weigh.export(tmp_path / "w.pt", folder, **choice).tensors == len(model.state_dict())
        found = load_file(folder / "model.safetensors")
        assert found.keys() == model.state_dict().keys()
    contents = weigh.inspect(tmp_path / "w.pt")
    assert contents.by_component["ema"] == contents.by_component["weights"]
    assert contents.parameters == 3 * 4 + 4 * 3  # the model's, and not those of its average
    assert found["1.num_batches_tracked"].shape == ()


def test_what_cannot_be_exported_leaves_nothing(tmp_path: Path) -> None:
    _, checkpoint = trained(tmp_path / "run", LLAMA)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("keep")
    torch.save({"model": {"w": torch.ones(2)}}, tmp_path / "other.pt")
    cases: list[tuple[Any, Any, dict[str, Any], type[errors.WeighError], str]] = [
        (checkpoint, full, {}, errors.AlreadyThere, "not empty"),
        (checkpoint, "x", {"dtype": "int8"}, errors.UnknownDtype, "cast to"),
        (checkpoint, "x", {"prefix": "none."}, errors.NothingToExport, "--prefix"),
        (tmp_path / "other.pt", "x", {"config": tmp_path / "run"}, errors.MissingTensors, "is not there"),
        (tmp_path / "none.pt", "x", {}, errors.NotFound, "none.pt"),
    ]
    before = sorted(os.listdir(tmp_path))
    for source, target, options, error, message in cases:
        with pytest.raises(error, match=message):
            weigh.export(source, tmp_path / target, **options)
        assert sorted(os.listdir(tmp_path)) == before and (full / "mine.txt").read_text() == "keep"


def test_a_shape_that_the_config_does_not_describe_is_refused(tmp_path: Path) -> None:
    _, checkpoint = trained(tmp_path / "run", LLAMA)
    fields = json.loads((tmp_path / "run/config.json").read_text())
    (tmp_path / "run/config.json").write_text(json.dumps(fields | {"vocab_size": 65}))
    with pytest.raises(errors.MissingTensors, match=r"\[64, 32\].*\[65, 32\]"):
        weigh.export(checkpoint, tmp_path / "served")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"w": torch.tensor([1e6, 1.0])}, tmp_path / "w.pt")
    for arguments, code in (
        (["a", "--json"], 0),
        (["b", "--dtype", "float16"], 1),
        (["a"], 2),
        (["c", "--shard", "5G"], 2),
    ):
        with pytest.raises(SystemExit) as exit:
            main(["export", str(tmp_path / "w.pt"), str(tmp_path / arguments[0]), *arguments[1:]])
        assert exit.value.code == code
        output = capsys.readouterr()
        assert "Traceback" not in output.err
        if arguments[-1] == "--json":
            assert json.loads(output.out)["parameters"] == 2
        if code == 1:
            assert "1 became infinite" in output.out


NET = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4))
ADAM = torch.optim.Adam(NET.parameters())
NET(torch.ones(3, 8)).sum().backward()
ADAM.step()
STATE = NET.state_dict()
BEHIND = {f"module.{name}": tensor for name, tensor in STATE.items()}
KTH = {
    "ModelCheckpoint{'monitor': None}": {"kth_value": torch.tensor(torch.inf), "best": {"a.ckpt": torch.tensor(1.0)}}
}
LIGHTNING = {"pytorch-lightning_version": "2.6.6", "epoch": 0, "loops": {}, "callbacks": KTH, "lr_schedulers": []}
LOOPS: dict[str, tuple[Any, str]] = {
    "nanoGPT": ({"model": STATE, "optimizer": ADAM.state_dict(), "best_val_loss": torch.tensor(3.1)}, "model."),
    "ImageNet example": (
        {"state_dict": BEHIND, "best_acc1": torch.tensor(76.1), "optimizer": ADAM.state_dict(), "arch": "resnet18"},
        "state_dict.module.",
    ),
    "Lightning": ({"state_dict": STATE, "optimizer_states": [ADAM.state_dict()], **LIGHTNING}, "state_dict."),
    "a module of Lightning's that holds the model": (
        {"state_dict": {f"model.{name}": tensor for name, tensor in STATE.items()}, **LIGHTNING}, "state_dict.model.",
    ),
    "a step as a tensor": ({"net": STATE, "opt": ADAM.state_dict(), "step": torch.tensor(3)}, "net."),
    "class weights beside it": ({"model": STATE, "class_weights": torch.ones(10), "args": {"lr": 0.1}}, "model."),
    "a lone key": ({"state_dict": STATE}, "state_dict."),
    "a key of no fixed name": ({"weights_at_end": STATE, "epoch": 3}, "weights_at_end."),
    "nothing around it": (STATE, ""),
    "an average of swa_utils": (torch.optim.swa_utils.AveragedModel(NET).state_dict(), "module."),
}  # fmt: skip


AVERAGE = {name: tensor.clone() for name, tensor in STATE.items()}
RNG = torch.get_rng_state()
NESTED = {"language_model": {"embedding": {"word": {"w": torch.ones(4, 4)}}, "encoder": {"l.w": torch.ones(4)}}}
PARTS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "timm": ({"state_dict": STATE, "state_dict_ema": AVERAGE, "optimizer": ADAM.state_dict()},
             {"weights": STATE, "ema": AVERAGE, "optimizer": ADAM.state_dict()}, "--key: state_dict, state_dict_ema"),
    "torch_ema": ({"model": STATE, "ema": {"decay": 0.9, "shadow_params": [*AVERAGE.values()]}},
                  {"weights": STATE, "ema": AVERAGE}, "--key: model, ema.shadow_params"),
    "ESRGAN": ({"params": STATE, "params_ema": AVERAGE}, {"weights": STATE, "ema": AVERAGE}, "--key: params, params_e"),
    "an averaged model of torch's": ({"model": STATE, "ema": torch.optim.swa_utils.AveragedModel(NET).state_dict()},
                                     {"weights": STATE, "ema": [AVERAGE, torch.tensor(1)]}, "--key: model, ema"),
    "an average alone": ({"params_ema": STATE, "step": torch.tensor(3)}, {"weights": STATE}, "params_ema."),
    "Lightning's average": ({"state_dict": STATE, "current_model_state": AVERAGE, "averaging_state":
                             {"n_averaged": torch.tensor(3)}, **LIGHTNING}, {"weights": STATE, "ema": AVERAGE},
                            "--key: state_dict, current_model_state"),
    "an average in a callback": ({"state_dict": STATE, "callbacks": {"SWA": {"average_model_state": AVERAGE}}},
                                 {"weights": STATE, "ema": AVERAGE}, "--key: state_dict, callbacks.SWA.average_model"),
    "Stable Diffusion": ({"state_dict": {"model.w": torch.ones(9), "model_ema.w": torch.ones(9)}},
                         {"weights": [torch.ones(9)], "ema": [torch.ones(9)]}, "state_dict."),
    "Composer": ({"state": {"model": STATE, "optimizers": {"Adam": ADAM.state_dict()}}, "rng": [{"torch": RNG}]},
                 {"weights": STATE, "optimizer": ADAM.state_dict(), "rng": [RNG]}, "state.model."),
    "fairseq": ({"model": STATE, "extra_state": {"loss": torch.tensor(1.0)}, "last_optimizer_state": ADAM.state_dict()},
                {"weights": STATE, "optimizer": ADAM.state_dict()}, "model."),
    "Megatron": ({"model": NESTED, "rng_state": [{"cuda": RNG}]}, {"weights": NESTED, "rng": [RNG]}, "model."),
    "accelerate's random states": ({"step": 0, "torch_manual_seed": RNG}, {"rng": [RNG]}, "holds no weights"),
    "a generator's state": (RNG, {"rng": [RNG]}, "holds no weights"),
    "an optimizer's state": (ADAM.state_dict(), {"optimizer": ADAM.state_dict()}, "holds no weights"),
    "a pair": ((STATE, ADAM.state_dict()), {"weights": STATE, "optimizer": ADAM.state_dict()}, "0."),
    "nested weights": ({"w": torch.ones(3), "sub": {"w": torch.ones(2)}}, {"weights": [torch.ones(5)]}, ""),
}  # fmt: skip


@pytest.mark.parametrize("tool", PARTS)
def test_the_parts_of_a_checkpoint_are_told_apart(tool: str, tmp_path: Path) -> None:
    saved, parts, found = PARTS[tool]
    torch.save(saved, tmp_path / "w.pt")
    by_component = weigh.inspect(tmp_path / "w.pt").by_component
    for part in ("weights", "ema", "optimizer", "rng"):
        assert by_component[part] == sum(
            tensor.nbytes for tensor in tree_leaves(parts.get(part)) if hasattr(tensor, "nbytes")
        )
    if found.startswith(("--key", "holds")):
        with pytest.raises((errors.AmbiguousWeights, errors.NothingToExport), match=re.escape(found)):
            weigh.export(tmp_path / "w.pt", tmp_path / "out")
    else:
        assert weigh.export(tmp_path / "w.pt", tmp_path / "out").prefix == found


@pytest.mark.parametrize("loop", LOOPS)
def test_the_state_dict_of_a_training_loop_is_found(loop: str, tmp_path: Path) -> None:
    checkpoint, prefix = LOOPS[loop]
    torch.save(checkpoint, tmp_path / "w.pt")
    contents = weigh.inspect(tmp_path / "w.pt")
    assert contents.parameters == sum(tensor.numel() for tensor in STATE.values() if tensor.is_floating_point())
    moments = 2 * sum(tensor.nbytes for tensor in NET.parameters()) + 4 * len(list(NET.parameters()))
    assert contents.by_component["optimizer"] in (0, moments)
    assert (contents.by_component["optimizer"] > 0) == ("opt" in str(checkpoint.keys()))
    assert weigh.export(tmp_path / "w.pt", tmp_path / "out").prefix == prefix
    torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4)).load_state_dict(
        load_file(tmp_path / "out/model.safetensors")
    )


def test_which_of_several_models_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"generator": STATE, "critic": torch.nn.Linear(2, 1).state_dict()}, tmp_path / "gan.pt")
    for options, code in (([], 2), (["--key", "critic"], 0)):
        with pytest.raises(SystemExit) as exit_:
            main(["export", str(tmp_path / "gan.pt"), str(tmp_path / "out"), *options])
        assert exit_.value.code == code
    assert "--key: generator, critic" in capsys.readouterr().err
    assert load_file(tmp_path / "out/model.safetensors").keys() == {"weight", "bias"}
    assert weigh.export(tmp_path / "gan.pt", tmp_path / "all", key="").tensors == len(STATE) + 2
    with pytest.raises(errors.NothingToExport, match="'generator', 'critic'"):
        weigh.export(tmp_path / "gan.pt", tmp_path / "none", key="judge")


def test_a_pickled_module_is_exported_by_the_names_of_its_state_dict(tmp_path: Path) -> None:
    inner = torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.BatchNorm1d(4))
    model = torch.nn.DataParallel(torch.nn.ModuleDict({"a": inner, "b": torch.nn.GRU(4, 4)}))
    inner.register_buffer("mask", torch.ones(7), persistent=False)
    inner.note = torch.ones(5)  # type: ignore[assignment]
    for name, saved, key in (("w.pt", model, ""), ("yolo.pt", {"epoch": 3, "model": model, "ema": None}, "model.")):
        torch.save(saved, tmp_path / name)
        contents = weigh.inspect(tmp_path / name)
        assert contents.parameters == sum(parameter.numel() for parameter in model.parameters())
        assert contents.buffers == sum(tensor.numel() for tensor in model.buffers()) - 7
        done = weigh.export(tmp_path / name, tmp_path / f"{name}.out")
        assert done.prefix == f"{key}module." and "torch.nn.modules.rnn.GRU" in contents.imports
        model.module.load_state_dict(load_file(tmp_path / f"{name}.out/model.safetensors"))


def test_what_weights_share_with_another_part_is_theirs(tmp_path: Path) -> None:
    torch.save({"ema": STATE, "callbacks": {"best": [STATE["0.weight"]]}, "model": STATE}, tmp_path / "w.pt")
    contents = weigh.inspect(tmp_path / "w.pt")
    assert contents.parameters == sum(tensor.numel() for tensor in STATE.values() if tensor.is_floating_point())
    assert contents.by_component["ema"] == 0


def test_the_average_of_an_averaged_model_is_exported_without_its_counter(tmp_path: Path) -> None:
    torch.save({"model": STATE, "ema": torch.optim.swa_utils.AveragedModel(NET).state_dict()}, tmp_path / "w.pt")
    assert weigh.export(tmp_path / "w.pt", tmp_path / "out", key="ema").prefix == "ema.module."
    assert load_file(tmp_path / "out/model.safetensors").keys() == STATE.keys()


def test_what_wrappers_put_into_names_is_taken_out(tmp_path: Path) -> None:
    compiled = {
        name.replace("0.", "0._orig_mod."): tensor for name, tensor in STATE.items()
    }  # as torch.compile(net[0])
    torch.save({"model": compiled}, tmp_path / "w.pt")
    assert weigh.export(tmp_path / "w.pt", tmp_path / "out").inserted == ("_orig_mod",)
    assert load_file(tmp_path / "out/model.safetensors").keys() == STATE.keys()


LORA = "base_model.model.layers.0.self_attn.q_proj."


def test_an_adapter_is_written_as_one_or_refused(tmp_path: Path) -> None:
    pair = {f"{LORA}lora_A.weight": torch.ones(8, 64), f"{LORA}lora_B.weight": torch.ones(64, 8)}
    torch.save(pair, tmp_path / "alone.bin")
    with pytest.raises(errors.NothingToExport, match=r"adapter_config\.json"):
        weigh.export(tmp_path / "alone.bin", tmp_path / "out")
    base = {f"{LORA}base_layer.weight": torch.ones(64, 64), f"{LORA}lora_A.default.weight": torch.ones(8, 64)}
    torch.save(base, tmp_path / "unmerged.bin")
    with pytest.raises(errors.NothingToExport, match="merge_and_unload"):
        weigh.export(tmp_path / "unmerged.bin", tmp_path / "out")
    folder = tmp_path / "adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 8}')
    torch.save({name.replace(".weight", ".default.weight"): pair[name] for name in pair}, folder / "step.pt")
    done = weigh.export(folder / "step.pt", tmp_path / "out", shard_bytes=100, dtype="bfloat16")
    assert done.files == ("adapter_model.safetensors", "adapter_config.json")
    assert load_file(tmp_path / "out/adapter_model.safetensors").keys() == pair.keys()
    torch.save({"w": torch.ones(3)}, folder / "other.pt")  # no adapter, though the config of one is there
    assert weigh.export(folder / "other.pt", tmp_path / "other").files == ("model.safetensors",)


@pytest.mark.parametrize(
    ("saved", "said"),
    [
        ({"w": torch.eye(2).to_sparse(), "b": torch.ones(2)}, "such as a sparse one"),
        ({"": torch.ones(2), "b": torch.ones(2)}, "without a name"),
        (torch.ones(2), "without a name"),
    ],
)
def test_tensors_without_a_name_that_loads_are_refused(saved: Any, said: str, tmp_path: Path) -> None:
    torch.save(saved, tmp_path / "saved.pt")
    with pytest.raises(errors.NothingToExport, match=said):
        weigh.export(tmp_path / "saved.pt", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_expanded_tensor_has_the_elements_that_it_has_when_loaded(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(100, 100), "v": torch.arange(9.0).unfold(0, 3, 1)}, tmp_path / "w.pt")
    contents = weigh.inspect(tmp_path / "w.pt")
    done = weigh.export(tmp_path / "w.pt", tmp_path / "out")
    assert contents.parameters == done.parameters == weigh.inspect(tmp_path / "out").parameters == 10_000 + 21
    assert contents.by_component["weights"] == 4 + 36
    assert weigh.diff(tmp_path / "w.pt", tmp_path / "out").changes == ()
    torch.save({"w": torch.zeros(1).expand(10**6, 10**6)}, tmp_path / "large.pt")
    assert weigh.inspect(tmp_path / "large.pt").parameters == 10**12
    for use in (weigh.export, weigh.diff):
        with pytest.raises(errors.UnsupportedField, match="repeats 4 bytes"):
            use(tmp_path / "large.pt", tmp_path / "large.pt" if use is weigh.diff else tmp_path / "huge")


def test_the_parts_of_a_distributed_checkpoint_are_those_that_were_saved(tmp_path: Path) -> None:
    state = {"net": STATE, "opt": ADAM.state_dict(), "ema": AVERAGE, "step": torch.tensor(3), "epoch": 2}
    dcp.save(state, checkpoint_id=tmp_path / "ckpt", no_dist=True)
    contents = weigh.inspect(tmp_path / "ckpt")
    assert contents.by_component["weights"] == contents.by_component["ema"] == sum(t.nbytes for t in STATE.values())
    assert contents.by_component["optimizer"] == sum(
        t.nbytes for t in tree_leaves(state["opt"]) if hasattr(t, "nbytes")
    )
    assert contents.metadata == {"epoch": 2}
    with pytest.raises(errors.AmbiguousWeights, match="--key: net, ema"):
        weigh.export(tmp_path / "ckpt", tmp_path / "out")
    weigh.export(tmp_path / "ckpt", tmp_path / "out", key="net")
    found = load_file(tmp_path / "out/model.safetensors")
    assert found.keys() == STATE.keys() and all(torch.equal(found[name], STATE[name]) for name in STATE)
