"""The committed files: each is what its tool expects, and says what the others say."""

import json
import math
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
import transformers

import weigh
from quill import adapter, card, evaluation, tokenizer
from quill.model import Config, Quill
from quill.training import Plan

MODELS = Path(__file__).parents[2] / "models"
QUILL = MODELS / "quill"


@pytest.fixture(scope="module")
def run() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((QUILL / "training.json").read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def play() -> str:
    return (QUILL / "held-out.txt").read_text("utf-8")


@pytest.fixture(scope="module")
def ids(play: str) -> list[int]:
    return tokenizer.encode_all(tokenizer.read(QUILL), [play])


# The weights


def test_the_file_is_small_and_holds_the_model_alone() -> None:
    path = QUILL / "model.safetensors"
    assert path.stat().st_size <= 8_000_000
    config, contents = weigh.params(QUILL), weigh.inspect(path)
    assert contents.parameters == config.parameters == sum(weight.numel() for weight in Quill(Config()).parameters())
    assert contents.by_dtype == {"float32": config.bytes_in_tensors}


@pytest.mark.parametrize("name", ["quill", "quill-draft"])
def test_the_weights_are_finite_and_trained(name: str) -> None:
    model = Quill.read(MODELS / name)
    assert all(weight.isfinite().all() for weight in model.parameters())
    assert all(layer.input_layernorm.weight.detach().std() > 0 for layer in model.model.layers)


# The tokenizer


def test_transformers_reads_the_same_ids(play: str, ids: list[int]) -> None:
    stock = transformers.AutoTokenizer.from_pretrained(QUILL)
    assert [stock.bos_token_id, *stock(play).input_ids] == ids
    assert stock.decode(ids[1:]) == play
    assert (stock.bos_token, stock.eos_token, stock.unk_token) == (tokenizer.END, tokenizer.END, None)
    assert (len(stock), stock.model_max_length) == (2048, 256)


@pytest.mark.parametrize("text", ["", " ", "\n\n", "Ünïcödé – ‘quotes’ 你好 🪶", "a\x00b", "  two  spaces\tand a tab"])
def test_any_text_comes_back(text: str) -> None:
    bpe = tokenizer.read(QUILL)
    assert bpe.decode(bpe.encode(text).ids) == text


def test_the_tokenizer_knows_every_byte_and_one_special_token() -> None:
    bpe = tokenizer.read(QUILL)
    assert bpe.get_vocab_size() == tokenizer.ENTRIES == Config().vocab_size
    assert bpe.token_to_id(tokenizer.END) == 0
    alphabet = {entry for entry in bpe.get_vocab() if len(entry) == 1}
    assert len(alphabet) == 256


def test_the_draft_has_the_same_tokenizer() -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (MODELS / "quill-draft" / name).read_bytes() == (QUILL / name).read_bytes()


def test_a_tokenizer_trained_anew_is_the_same_each_time(play: str) -> None:
    first, second = (tokenizer.train([play, play[:1000]], entries=400) for _ in range(2))
    assert first.to_str() == second.to_str()
    assert first.get_vocab_size() == 400


# What the run measured


def test_the_losses_are_those_of_the_committed_models(run: dict[str, Any], ids: list[int]) -> None:
    for name, directory in (("quill", "quill"), ("draft", "quill-draft")):
        loss = evaluation.mean_loss(Quill.read(MODELS / directory), torch.tensor(ids))
        assert loss == pytest.approx(run["losses"][name], abs=1e-4)


def test_the_loss_on_milton_is_that_of_the_committed_adapter(run: dict[str, Any]) -> None:
    poems = (QUILL.parent / "quill-milton" / "held-out.txt").read_text("utf-8")
    ids = torch.tensor(tokenizer.encode_all(tokenizer.read(QUILL), [poems]))
    adapted = adapter.read(Quill.read(QUILL), QUILL.parent / "quill-milton")
    assert evaluation.mean_loss(adapted, ids) == pytest.approx(run["milton"]["after"], abs=1e-4)


def test_the_results_agree_with_the_files(run: dict[str, Any], play: str, ids: list[int]) -> None:
    assert (run["held_out_tokens"], run["held_out_bytes"]) == (len(ids), len(play.encode()))
    losses = run["losses"]
    assert losses["uniform"] == pytest.approx(math.log(Config().vocab_size))
    assert losses["uniform"] > losses["unigram"] > losses["trigram"] > losses["quill"]
    assert losses["unigram"] > losses["draft"] > losses["quill"]
    assert run["milton"]["after"] < run["milton"]["before"], "the adapter has learned the other author"
    for name in ("model", "draft"):
        steps = [point["step"] for point in run["history"][name]]
        assert steps == sorted(set(steps)) and run["history"][name][-1]["validation"] < losses["unigram"]


# The card and the settings


def test_the_card_is_a_model_card_with_the_measured_perplexity(run: dict[str, Any]) -> None:
    model_card = huggingface_hub.ModelCard.load(QUILL / "README.md")
    data = model_card.data
    assert (data.language, data.license, data.pipeline_tag) == ("en", "mit", "text-generation")
    assert data.model_name == "quill"
    (result,) = data.eval_results
    assert result.metric_type == "perplexity"
    assert result.metric_value == pytest.approx(math.exp(run["losses"]["quill"]), abs=1e-4)
    for heading in ("Intended use", "Training data", "Metrics", "Limits", "Risks", "Operational constraints"):
        assert f"\n## {heading}\n" in model_card.text
    assert run["metrics"] == {"perplexity": math.exp(run["losses"]["quill"])}


def test_the_card_is_the_one_that_the_results_make(run: dict[str, Any]) -> None:
    plan = Plan(steps=run["history"]["model"][-1]["step"])
    made = card.text(run, (Config(), plan), weigh.params(QUILL).parameters, QUILL / "model.safetensors")
    assert (QUILL / "README.md").read_text("utf-8") == made


def test_the_adapters_card_is_the_one_that_the_results_make(run: dict[str, Any]) -> None:
    milton = QUILL.parent / "quill-milton"
    results = json.loads((milton / "training.json").read_text("utf-8"))
    assert results["losses"] == run["milton"]
    assert results["metrics"] == {"perplexity": math.exp(run["milton"]["after"])}
    poems = (milton / "held-out.txt").read_text("utf-8")
    assert results["held_out_tokens"] == len(tokenizer.encode_all(tokenizer.read(QUILL), [poems]))
    made = card.adapter_text(results, milton / "adapter_model.safetensors", Path("models/quill/model.safetensors"))
    assert (milton / "README.md").read_text("utf-8") == made


@pytest.mark.parametrize("name", ["quill", "quill-milton"])
def test_the_cards_pass_the_gate(name: str) -> None:
    home = QUILL.parent / name
    base = QUILL if name != "quill" else None
    report = weigh.check_card(home, metrics=home / "training.json", base=base)
    assert report.finding == "no", report.as_dict()


def test_the_generation_config_is_what_transformers_would_use() -> None:
    settings = transformers.GenerationConfig.from_pretrained(QUILL)
    assert {name: getattr(settings, name) for name in card.GENERATION} == card.GENERATION


def test_the_adapter_is_laid_out_as_peft_has_it() -> None:
    settings = json.loads((MODELS / "quill-milton" / "adapter_config.json").read_text())
    contents = weigh.inspect(MODELS / "quill-milton" / "adapter_model.safetensors")
    names = [tensor.name for tensor in contents.named]
    assert (settings["peft_type"], settings["task_type"]) == ("LORA", "CAUSAL_LM")
    assert len(names) == 2 * len(settings["target_modules"]) * Config().num_hidden_layers
    for name in names:
        assert name.startswith("base_model.model.model.layers.") and name.endswith(("lora_A.weight", "lora_B.weight"))
        assert any(f".{target}." in name for target in settings["target_modules"])
