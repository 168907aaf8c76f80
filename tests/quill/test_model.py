"""The model: the same logits as transformers, with a cache and without, and none that has seen what comes after."""

import json
from pathlib import Path

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor

from quill import adapter, tokenizer
from quill.model import Config, Quill, rotate

MODELS = Path(__file__).parents[2] / "models"
TINY = Config(50, 32, 48, 2, 4, 2, max_position_embeddings=16)


@pytest.fixture(scope="module", params=["quill", "quill-draft"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def quill(name: str) -> Quill:
    return Quill.read(MODELS / name)


@pytest.fixture(scope="module")
def ids(name: str) -> Tensor:
    """Four windows of a play that it has not read."""
    play = (MODELS / "quill" / "held-out.txt").read_text("utf-8")
    return torch.tensor(tokenizer.read(MODELS / name).encode(play[20_000:26_000]).ids[:1024]).view(4, 256)


@torch.no_grad()
def test_transformers_gives_the_same_logits(name: str, quill: Quill, ids: Tensor) -> None:
    stock = transformers.AutoModelForCausalLM.from_pretrained(MODELS / name).eval()
    assert isinstance(stock, transformers.LlamaForCausalLM)
    torch.testing.assert_close(quill(ids)[0], stock(ids).logits, rtol=0, atol=1e-4)


@torch.no_grad()
def test_any_model_of_its_shape_loads_in_transformers_with_the_same_logits() -> None:
    """The weights of an untrained one are small and alike: these are not."""
    torch.manual_seed(0)
    model = Quill(TINY).eval()
    for weight in model.parameters():
        weight.normal_(std=0.3)
    sizes = {field: getattr(TINY, field) for field in TINY.__dataclass_fields__}
    stock = transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, tie_word_embeddings=True)).eval()
    missing, unexpected = stock.load_state_dict(model.state_dict(), strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])
    ids = torch.randint(TINY.vocab_size, (3, 16))
    torch.testing.assert_close(model(ids)[0], stock(ids).logits, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("chunks", [[255, 1], [1, 127, 128], [100, 100, 56]])
def test_a_cache_changes_no_logit(quill: Quill, ids: Tensor, chunks: list[int]) -> None:
    expected, whole = quill(ids)
    cache, parts = None, []
    for chunk in ids.split(chunks, dim=1):
        logits, cache = quill(chunk, cache)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, dim=1), expected, rtol=0, atol=1e-4)
    assert cache is not None
    for grown, made in zip(cache, whole, strict=True):
        torch.testing.assert_close(grown, made, rtol=0, atol=1e-4)
        E = quill.config.hidden_size // quill.config.num_attention_heads
        assert grown[0].shape == (4, quill.config.num_key_value_heads, 256, E)


@torch.no_grad()
@pytest.mark.parametrize("place", [0, 1, 100, 255])
def test_a_token_changes_no_logit_before_it(quill: Quill, ids: Tensor, place: int) -> None:
    changed = ids.clone()
    changed[:, place] = (changed[:, place] + 1) % quill.config.vocab_size
    before, after = quill(ids)[0], quill(changed)[0]
    assert torch.equal(before[:, :place], after[:, :place])
    assert (before != after)[:, place].any(-1).all()


@torch.no_grad()
def test_sequences_of_a_batch_do_not_meet(quill: Quill, ids: Tensor) -> None:
    torch.testing.assert_close(quill(ids)[0][2:3], quill(ids[2:3])[0], rtol=0, atol=1e-4)


def test_a_rotation_keeps_lengths_and_knows_distances_alone() -> None:
    torch.manual_seed(0)
    model = Quill(TINY)
    cos, sin = model.model.angles(0, 100, torch.device("cpu"))
    assert torch.equal(torch.stack(model.model.angles(7, 5, torch.device("cpu"))), torch.stack((cos, sin))[:, 7:12])
    q, k = torch.randn(2, 8).unbind()
    assert torch.equal(rotate(q, cos[0], sin[0]), q)
    torch.testing.assert_close(rotate(q, cos, sin).norm(dim=-1), q.norm().expand(100))
    products = rotate(q, cos, sin) @ rotate(k, cos, sin).T
    for distance in (-3, 0, 40):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[0].expand_as(along), rtol=1e-4, atol=1e-4)


def test_the_config_of_the_committed_model_is_the_default_one() -> None:
    assert Config.read(MODELS / "quill") == Config()
    assert Config.read(MODELS / "quill-draft") != Config()


def test_a_config_that_lacks_a_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"vocab_size": 10}')
    with pytest.raises(KeyError, match="hidden_size"):
        Config.read(tmp_path)


# The adapter


@torch.no_grad()
def test_an_untrained_adapter_changes_nothing(quill: Quill, name: str, ids: Tensor) -> None:
    adapted = Quill.read(MODELS / name)
    weights = adapter.adapt(adapted)
    assert len(weights) == 2 * 7 * adapted.config.num_hidden_layers
    assert torch.equal(adapted(ids)[0], quill(ids)[0])


@torch.no_grad()
def test_the_committed_adapter_changes_the_logits_and_not_the_model() -> None:
    plain, adapted = Quill.read(MODELS / "quill"), Quill.read(MODELS / "quill")
    adapter.read(adapted, MODELS / "quill-milton")
    ids = torch.tensor([tokenizer.read(MODELS / "quill").encode("Of Man's first disobedience, and the fruit").ids])
    assert (adapted(ids)[0] - plain(ids)[0]).abs().max() > 0.1
    kept = {name.replace(".base.", "."): tensor for name, tensor in adapted.state_dict().items() if "lora" not in name}
    assert kept.keys() == plain.state_dict().keys()
    assert all(torch.equal(kept[name], tensor) for name, tensor in plain.state_dict().items())


@torch.no_grad()
def test_the_adapter_says_the_same_merged_into_transformers_model() -> None:
    """By the names of its file alone: W + (alpha / r) · B A, as PEFT has it."""
    directory = MODELS / "quill-milton"
    settings = json.loads((directory / "adapter_config.json").read_text())
    state = load_file(directory / "adapter_model.safetensors")
    stock = transformers.AutoModelForCausalLM.from_pretrained(MODELS / "quill").eval()
    for name, weight in stock.named_parameters():
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        if (A := state.pop(f"{stem}.lora_A.weight", None)) is not None:
            weight += settings["lora_alpha"] / settings["r"] * state.pop(f"{stem}.lora_B.weight") @ A
    assert not state, "each tensor of the file has its place"
    ids = torch.randint(2048, (2, 64), generator=torch.Generator().manual_seed(0))
    adapted = adapter.read(Quill.read(MODELS / "quill"), directory)
    torch.testing.assert_close(adapted(ids)[0], stock(ids).logits, rtol=0, atol=1e-3)


def test_an_adapter_comes_back_from_its_file(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = Quill(TINY)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    weights = adapter.adapt(model, rank=4, alpha=2.0)
    with torch.no_grad():
        for weight in weights:
            weight.normal_()
    adapter.write(model, tmp_path, "base", rank=4, alpha=2.0)
    again = Quill(TINY)
    again.load_state_dict(state)
    adapter.read(again, tmp_path)
    ids = torch.randint(TINY.vocab_size, (1, 10))
    assert torch.equal(again(ids)[0], model(ids)[0])


def test_an_adapter_for_a_deeper_model_is_refused(tmp_path: Path) -> None:
    model = Quill(TINY)
    adapter.adapt(model)
    adapter.write(model, tmp_path, "base")
    with pytest.raises(ValueError, match="another model"):
        adapter.read(Quill(Config(50, 32, 48, 1, 4, 2, max_position_embeddings=16)), tmp_path)


def test_half_precision_runs_and_is_close() -> None:
    model, ids = Quill.read("models/quill"), torch.arange(40)[None]
    with torch.no_grad():
        exact, rounded = model(ids)[0], model.bfloat16()(ids)[0]
    assert rounded.dtype == torch.bfloat16 and 0 < (rounded - exact).abs().max() < 1
