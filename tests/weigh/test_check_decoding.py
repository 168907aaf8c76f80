"""The check of decoding, against transformers itself, against arithmetic, and on faults that were put there."""

import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from click.testing import CliRunner
from torch import Tensor

import weigh
from weigh.checks.decoding.drift import continuations, next_token
from weigh.checks.decoding.engines import KNOWN, NEUTRAL
from weigh.checks.decoding.language_models import CausalModel, contexts_of
from weigh.checks.decoding.settings import FILTERS, _canonical
from weigh.cli import weigh as command
from weigh.errors import InvalidSetting, WeighError

ROOT = Path(__file__).parents[2]
QUILL = ROOT / "models" / "quill"
SAMPLED = {"do_sample": True, "temperature": 0.7, "top_p": 0.9, "max_new_tokens": 50}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that nobody trained, with Quill's tokenizer and config of generation."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    config = transformers.LlamaConfig(
        vocab_size=2048, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=64, bos_token_id=0, eos_token_id=0, initializer_range=1.0,
    )  # fmt: skip
    where = tmp_path_factory.mktemp("model")
    transformers.LlamaForCausalLM(config).save_pretrained(where)
    for name in ("tokenizer.json", "generation_config.json"):
        shutil.copy(QUILL / name, where)
    return where


def difference(a: Any, b: Any, engine_a: str = "transformers", engine_b: str | None = None) -> dict[str, Any]:
    """The settings that differ, with both values."""
    one, other = weigh.effective_settings(a, engine_a), weigh.effective_settings(b, engine_b or engine_a)
    result = weigh.decoding_difference(one, other)
    assert result.figure.value == len(result.evidence) and (result.finding == "yes") == bool(result.evidence)
    return {row["setting"]: (row["A"], row["B"]) for row in result.evidence}


# What differs


def test_one_file_in_two_engines() -> None:
    assert difference(QUILL, QUILL, "transformers", "vllm") == {
        "top_k": (50, "off"),
        "order": ("temperature → top_k → top_p", "temperature → top_p"),
    }


def test_an_update_that_changes_a_default() -> None:
    found = difference({"temperature": 0.7}, {"temperature": 0.7}, "ollama-0.32.8", "ollama")
    assert found["repetition_penalty"] == (1.1, "off")
    assert found.keys() == {"repetition_penalty", "penalised text"}
    pinned = {"temperature": 0.7, "repeat_penalty": 1.1}
    assert not difference(pinned, pinned, "ollama-0.32.8", "ollama"), "what is written does not change"


def test_the_order_of_the_filters() -> None:
    every = {"temperature": 0.7, "top_k": 0, "top_p": 0.9, "min_p": 0, "seed": 1, "stop": ["."], "max_tokens": 9}
    assert difference(every, every, "vllm", "llama.cpp") == {"order": ("temperature → top_p", "top_p → temperature")}
    for alike in ({"temperature": 1}, {"top_p": 1}, {"temperature": 0}):
        assert not difference(every | alike, every | alike, "vllm", "llama.cpp")


def test_a_name_that_the_engine_does_not_read() -> None:
    found = difference(SAMPLED, {"max_tokens" if n == "max_new_tokens" else n: v for n, v in SAMPLED.items()})
    assert found == {"max_new_tokens": (50, 20)}
    assert weigh.effective_settings({"max_tokens": 5}).unread == ("max_tokens",)


def test_a_field_that_nobody_knows_is_compared_as_written() -> None:
    assert difference(SAMPLED, SAMPLED | {"watermark": {"b": 1, "a": 2}}) == {"watermark": (None, '{"a": 2, "b": 1}')}
    assert not difference(SAMPLED | {"watermark": 1}, SAMPLED | {"watermark": 1})


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({"do_sample": False}, {"method", "temperature", "top_k", "top_p", "min_p", "typical_p", "order"}),
        ({"temperature": 0.71}, {"temperature"}),
        ({"top_p": 1}, {"top_p", "order"}),
        ({"min_p": 0.1}, {"min_p", "order"}),
        ({"repetition_penalty": 1.1}, {"repetition_penalty", "penalised text"}),
        ({"no_repeat_ngram_size": 3}, {"no_repeat_ngram_size"}),
        ({"max_new_tokens": 51}, {"max_new_tokens"}),
        ({"stop_strings": ["\n"]}, {"stop"}),
        ({"eos_token_id": [0, 1]}, {"eos_token_id"}),
        ({"pad_token_id": 1}, {"pad_token_id"}),
    ],
)
def test_each_setting_is_seen(changed: dict[str, Any], names: set[str]) -> None:
    assert difference(SAMPLED, SAMPLED | changed).keys() == names


def test_beams_are_seen_with_what_they_read() -> None:
    beams = {"num_beams": 4, "max_new_tokens": 50}
    names = {"method", "num_beams", "length_penalty", "early_stopping"}
    assert difference({"max_new_tokens": 50}, beams).keys() == names
    assert difference(beams, beams | {"length_penalty": 2.0}) == {"length_penalty": (1.0, 2.0)}
    assert weigh.effective_settings(beams | {"do_sample": True}).method == "beam sampling"


# What does not


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (SAMPLED, SAMPLED | {"top_k": 50, "repetition_penalty": 1.0, "num_beams": 1, "min_p": None}),
        (SAMPLED, dict(reversed(SAMPLED.items()))),
        (SAMPLED, SAMPLED | {"transformers_version": "4.1", "use_cache": False, "_from_model_config": True}),
        (SAMPLED, SAMPLED | {"max_length": 7}),
        (SAMPLED, SAMPLED | {"length_penalty": 2.0, "early_stopping": True}),
        ({}, {"do_sample": False, "temperature": 0.1, "top_p": 0.3, "max_new_tokens": 20}),
        ({"eos_token_id": 3}, {"eos_token_id": [3, 3]}),
        ({"stop_strings": "a"}, {"stop_strings": ["a", "a"]}),
        ({"temperature": 1}, {"temperature": 1.0}),
    ],
)
def test_the_same_written_differently(a: dict[str, Any], b: dict[str, Any]) -> None:
    assert not difference(a, b)
    assert weigh.decoding_manifest(a).id == weigh.decoding_manifest(b).id


def test_the_same_in_the_words_of_each_engine() -> None:
    common = {"temperature": 0.7, "top_p": 1, "min_p": 0}
    said = {
        "transformers": common | {"do_sample": True, "top_k": 40, "max_new_tokens": 99, "stop_strings": ["."]},
        "vllm": common | {"top_k": 40, "max_tokens": 99, "stop": "."},
        "llama.cpp": common | {"n_predict": 99, "max_tokens": 7, "stop": "."},
        "ollama": common | {"num_predict": 99, "stop": ["."]},
    }
    for one, other in itertools.combinations(said, 2):
        assert not difference(said[one], said[other], one, other), (one, other)
    assert len({weigh.decoding_manifest(said[name], name).id for name in said}) == 1
    hot = {"temperature": 0.7, "max_completion_tokens": 99, "stop": "."}
    assert not difference(hot, {**hot, "max_tokens": 99} | {"max_completion_tokens": None}, "openai", "vllm")


def test_temperature_0_is_greedy_where_it_is() -> None:
    for name in ("vllm", "llama.cpp", "ollama", "openai"):
        assert weigh.effective_settings({"temperature": 0, "top_p": 0.5}, name).method == "greedy"
    with pytest.raises(InvalidSetting, match="do_sample false"):
        weigh.effective_settings({"temperature": 0, "do_sample": True})


def test_orders_that_filter_alike_are_one() -> None:
    torch.manual_seed(0)
    values = {"temperature": 1.7, "top_k": 9, "top_p": 0.8, "min_p": 0.1}
    many = torch.randn(60, 40, dtype=torch.float64) * 2
    results: dict[tuple[str, ...], set[bytes]] = {}
    for order in itertools.permutations(values):
        left = [weigh.filter_logits(row, {name: values[name] for name in order}).logits for row in many]
        kept = torch.stack(left).isfinite().numpy().tobytes()
        results.setdefault(tuple(_canonical(list(order))), set()).add(kept)
    assert all(len(kept) == 1 for kept in results.values()), "one canonical order, one result"
    assert len(set().union(*results.values())) == len(results), "and another one for another"
    assert 1 < len(results) < 24


# Against transformers


def test_defaults_are_those_of_the_installed_transformers(directory: Path) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(directory)
    for said in ({}, SAMPLED, {"num_beams": 3, "top_k": 7}, {"do_sample": True, "top_k": 0, "typical_p": 0.9}):
        model.generation_config = transformers.GenerationConfig(**said)
        prepared, _ = model._prepare_generation_config(None)
        ours = weigh.effective_settings(said)
        assert ours.engine.version == transformers.__version__
        for name in ("temperature", "top_k", "top_p", "min_p", "typical_p"):
            theirs = getattr(prepared, name)
            idle = name != "temperature" and theirs in (None, NEUTRAL[name])
            assert name not in ours.values or ours.values[name] == ("off" if idle else theirs), name
        assert ours.method.startswith("beam") == (prepared.num_beams > 1)
    table = weigh.ENGINES["transformers"]
    assert {name: table.default(name) for name in NEUTRAL} == {
        name: weigh.effective_settings({}).engine.default(name) for name in NEUTRAL
    }, "the table says what the installed release does"
    pipeline = transformers.TextGenerationPipeline._default_generation_config.to_diff_dict()
    pipeline.pop("transformers_version")
    own = weigh.ENGINES["transformers-pipeline"].defaults
    assert {name: value for name, value in own.items() if value != table.default(name)} == pipeline


@pytest.mark.parametrize(
    "settings",
    [
        {"do_sample": True},
        {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "top_k": 0, "repetition_penalty": 1.2},
        {"do_sample": True, "temperature": 1.4, "min_p": 0.05, "no_repeat_ngram_size": 2, "eos_token_id": 5},
        {"repetition_penalty": 1.3},
        {"num_beams": 3, "length_penalty": 0.5},
    ],
)
def test_texts_are_those_of_generate(directory: Path, settings: dict[str, Any]) -> None:
    model = transformers.AutoModelForCausalLM.from_pretrained(directory).double()
    contexts = torch.randint(1, 2048, (3, 6), generator=torch.Generator().manual_seed(1))
    config = transformers.GenerationConfig(**settings, max_new_tokens=8, pad_token_id=0, bos_token_id=0)
    model.generation_config = config
    ours = continuations(CausalModel(directory), contexts, weigh.effective_settings(config), 32, seed=7)
    for place, row in enumerate(contexts):
        torch.manual_seed(7 + place)
        theirs = model.generate(row[None], attention_mask=torch.ones(1, 6, dtype=torch.int64))[0, 6:].tolist()
        assert list(ours[place]) == theirs[: len(ours[place])]
        assert len(theirs) == len(ours[place]) or set(theirs[len(ours[place]) :]) == {0}


# Drift


def probabilities(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64).log()


def test_total_variation_by_hand() -> None:
    plain, cut = ({"temperature": 1, "top_p": p} for p in (1, 0.7))
    one, other = (weigh.effective_settings(settings, "vllm") for settings in (plain, cut))
    logits = probabilities([0.5, 0.3, 0.15, 0.05], [0.7, 0.1, 0.1, 0.1])
    result = weigh.output_drift(logits, one, other)
    # The cut keeps 0.5 and 0.3, then 0.7 alone: what it leaves out is what moves.
    assert [round(row["total variation"], 6) for row in result.evidence] == [0.3, 0.2]
    assert result.figure.value == pytest.approx(0.25) and result.finding == "undecided", "two contexts are too few"
    many = weigh.output_drift(logits.repeat(20, 1), one, other)
    assert many.finding == "yes" and many.figure.low < 0.25 < many.figure.high
    greedy = weigh.effective_settings({"temperature": 0}, "vllm")
    assert weigh.output_drift(logits, one, greedy).figure.value == pytest.approx((0.5 + 0.3) / 2)


def test_no_drift_where_nothing_differs() -> None:
    logits = torch.randn(20, 200, generator=torch.Generator().manual_seed(0))
    same = [weigh.effective_settings(SAMPLED), weigh.effective_settings(SAMPLED | {"top_k": 50})]
    result = weigh.output_drift(logits, *same)
    assert (result.finding, result.figure.value, result.figure.interval) == ("no", 0, "exact")
    wider = weigh.effective_settings(SAMPLED | {"top_k": 0})
    below = weigh.output_drift(logits, same[0], wider, threshold=0.5)
    assert below.finding == "no" and below.figure.value > 0
    just = weigh.output_drift(logits, same[0], wider, threshold=weigh.output_drift(logits, same[0], wider).figure.value)
    assert just.finding == "undecided", "the interval holds the threshold"


def alphabet(ids: Tensor) -> Tensor:
    """A model that mostly says the next letter, and now and then the one after."""
    nearly = torch.nn.functional.one_hot((ids[:, -1] + 2) % 26, 26) * 2.0
    return torch.nn.functional.one_hot((ids[:, -1] + 1) % 26, 26) * 4.0 + nearly


def spell(ids: Any) -> str:
    return "".join("abcdefghijklmnopqrstuvwxyz"[token] * 2 for token in ids)


def test_texts_see_what_the_next_token_does_not() -> None:
    contexts = torch.arange(20)[:, None]
    base = weigh.effective_settings({"max_new_tokens": 10})
    assert weigh.text_drift(alphabet, contexts, base, base).finding == "no"
    for changed in ({"max_new_tokens": 9}, {"max_new_tokens": 10, "stop_strings": ["lm"]}, {"max_length": 5}):
        other = weigh.effective_settings(changed)
        assert weigh.output_drift(alphabet(contexts), base, other).figure.value == 0
        result = weigh.text_drift(alphabet, contexts, base, other, decode=spell)
        assert result.figure.value > 0.2 and result.finding == "yes"
    unseen = weigh.effective_settings({"max_new_tokens": 40})
    beyond = weigh.text_drift(
        alphabet, contexts, weigh.effective_settings({"max_new_tokens": 33}), unseen, threshold=0.2
    )
    assert beyond.figure.value == 0 and beyond.finding == "no" and "beyond that" in beyond.notes[0]


def test_one_seed_is_one_text_and_two_are_two() -> None:
    contexts = torch.arange(20)[:, None]
    sampled = weigh.effective_settings({"do_sample": True, "max_new_tokens": 10})
    first, again, other = (continuations(alphabet, contexts, sampled, 10, seed) for seed in (0, 0, 100))
    assert first == again != other
    assert first[3] == continuations(alphabet, contexts[3:4], sampled, 10, 3)[0], "a text is the same in a batch"


def test_a_stop_string_over_the_border_of_a_token_ends_the_text() -> None:
    stopped = weigh.effective_settings({"stop_strings": ["cd"], "max_new_tokens": 10})
    assert continuations(alphabet, torch.tensor([[0], [5]]), stopped, 10, decode=spell) == [
        (1, 2, 3), tuple(range(6, 16)),
    ]  # fmt: skip
    with pytest.raises(InvalidSetting, match="decode"):
        continuations(alphabet, torch.tensor([[0]]), stopped, 10)


def test_penalties_fall_on_what_the_engine_counts() -> None:
    logits = probabilities([0.6, 0.4])[0]
    punished = {"temperature": 1, "frequency_penalty": 1.0, "top_k": 0, "top_p": 1, "min_p": 0}
    for name, share in (("vllm", 0.6), ("llama.cpp", 0.6 / 2.718281828 / (0.6 / 2.718281828 + 0.4))):
        settings = weigh.effective_settings(punished, name)
        assert float(next_token(logits, settings, [0], 1)[0]) == pytest.approx(share), name
    window = weigh.effective_settings({"temperature": 1, "repeat_penalty": 2.0, "repeat_last_n": 1}, "llama.cpp")
    assert window.values["penalised text"] == "the last 1 tokens, with the prompt"
    assert float(next_token(logits, window, [0, 1], 2)[0]) > 0.6 > float(next_token(logits, window, [1, 0], 2)[0])


def test_beams_have_no_next_token() -> None:
    beams = weigh.effective_settings({"num_beams": 2})
    with pytest.raises(InvalidSetting, match="beam"):
        weigh.output_drift(torch.zeros(1, 4), beams, beams)
    for refused in ({"num_beams": 2, "do_sample": True}, {"num_beams": 2, "repetition_penalty": 1.1}):
        with pytest.raises(InvalidSetting, match="not measured"):
            continuations(alphabet, torch.tensor([[0]]), weigh.effective_settings(refused), 4)


# The version id


def test_an_id_changes_with_setting_prompt_and_model(directory: Path, tmp_path: Path) -> None:
    prompts = {"system": "Answer in verse."}
    base = weigh.decoding_manifest(QUILL, prompts=prompts, model=directory)
    assert set(base.model) == {"config.json", "model.safetensors", "tokenizer.json"}
    assert base.id == weigh.decoding_manifest(QUILL, prompts=dict(prompts), model=directory).id and len(base.id) == 16
    assert json.loads(json.dumps(base.as_dict()))["settings"]["top_k"] == 50, "what was filled in is on record"
    other = tmp_path / "other"
    shutil.copytree(directory, other)
    (other / "generation_config.json").write_text('{"temperature": 2.0}')
    assert weigh.decoding_manifest(QUILL, prompts=prompts, model=other).id == base.id, "its settings are those given"
    (other / "tokenizer.json").write_text("{}")
    changes = [
        weigh.decoding_manifest(QUILL, prompts=prompts, model=other),
        weigh.decoding_manifest(QUILL, prompts={"system": "Answer in verse"}, model=directory),
        weigh.decoding_manifest(QUILL, prompts=prompts),
        weigh.decoding_manifest(QUILL, "vllm", prompts=prompts, model=directory),
        weigh.decoding_manifest(SAMPLED, prompts=prompts, model=directory),
    ]
    assert len({base.id, *(one.id for one in changes)}) == 6


# The command


def run(*args: object) -> tuple[int, str]:
    """Exit code and output, as a terminal has them."""
    result = CliRunner().invoke(command, ["check", "decoding", *map(str, args)], standalone_mode=False)
    if isinstance(result.exception, WeighError):
        return 2, str(result.exception)
    assert result.exception is None, result.exception
    return result.return_value or 0, result.output


def test_the_command_without_a_model(tmp_path: Path) -> None:
    same = tmp_path / "same.json"
    same.write_text(json.dumps({"top_k": 50} | json.loads((QUILL / "generation_config.json").read_text())))
    code, output = run(QUILL, same)
    assert code == 0 and "effective settings: no" in output
    assert output.count(weigh.decoding_manifest(QUILL).id) == 2, "of A and of B"
    code, output = run(QUILL, QUILL, "--engine-b", "vllm", "--json")
    found = json.loads(output)
    assert code == 1 and found["finding"] == "yes" and found["results"][0]["figure"]["value"] == 2
    assert found["results"][0]["evidence"][0] == {
        "setting": "top_k", "A": 50, "A is": "default", "B": "off", "B is": "default",
    }  # fmt: skip


def test_the_command_with_a_model(directory: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("To be, or not to be, that is the question. " * 40)
    measured = ("--model", directory, "--text", text, "--contexts", 16, "--context-tokens", 8, "--tokens", 4)
    code, output = run(QUILL, QUILL, *measured, "--prompt", text, "--json")
    found = json.loads(output)
    assert code == 0 and [result["finding"] for result in found["results"]] == ["no"] * 3
    assert "prompts and the model's files" in found["results"][0]["notes"][-1]
    colder = tmp_path / "colder.json"
    colder.write_text('{"do_sample": true, "temperature": 0.2, "top_p": 0.95, "eos_token_id": 0, "bos_token_id": 0}')
    code, output = run(QUILL, colder, *measured, "--json")
    found = json.loads(output)
    assert code == 1 and [result["check"] for result in found["results"]][1:] == ["output drift", "text drift"]
    assert found["results"][1]["finding"] == "yes" and found["results"][1]["cost"]["contexts"] == 16
    colder.write_text('{"num_beams": 2}')
    assert [result["check"] for result in json.loads(run(QUILL, colder, *measured, "--json")[1])["results"]] == [
        "effective settings", "text drift",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is not JSON"),
        ("[1]", "is not a JSON object"),
        ('{"temperature": "0.8"}', 'temperature: "0.8" is not a number from 0'),
        ('{"temperature": -1}', "is not a number from 0"),
        ('{"temperature": NaN}', "is not a number from 0"),
        ('{"temperature": true}', "is not a number from 0"),
        ('{"do_sample": "false"}', "without quotes"),
        ('{"top_k": 2.5}', "whole number"),
        ('{"do_sample": true, "top_k": -1}', "write 0 for no cut"),
        ('{"top_p": 0}', "above 0"),
        ('{"max_new_tokens": 0}', "-1 for no limit"),
        ('{"eos_token_id": "</s>"}', "token id"),
        ('{"stop_strings": [""]}', "not empty"),
        ("[" * 100_000, "is not JSON in UTF-8"),
        ('{"temperature": ' + "9" * 5000 + "}", "is not"),
        ('{"temperature": ' + "9" * 400 + "}", "is not a number from 0"),
        ('{"top_k": ' + "9" * 400 + "}", "whole number"),
        ('{"stop_strings": ["\\ud800"]}', "is not JSON in UTF-8"),
    ],
)
def test_bad_configs_are_one_line(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(content)
    code, line = run(QUILL, file)
    assert code == 2 and said in line and "bad.json" in line and "\n" not in line and len(line) < 300


def test_other_bad_input_is_one_line(directory: Path, tmp_path: Path) -> None:
    text, empty = tmp_path / "text.txt", tmp_path / "empty"
    text.write_bytes(b"\xff\xfe")
    empty.mkdir()
    large = tmp_path / "large.json"
    large.write_text(" " * (1 << 20) + "{}")
    for args, said in {
        (QUILL, "nowhere.json"): "cannot be opened",
        (QUILL, empty): "neither generation_config.json nor config.json",
        (QUILL, large): "larger than 1 MiB",
        (QUILL, QUILL, "--engine-b", "vlm"): "did you mean vllm",
        (QUILL, QUILL, "--engine-b", "abacus"): "there are transformers",
        (QUILL, QUILL, "--model", directory): "give a text",
        (QUILL, QUILL, "--model", directory, "--text", text): "UTF-8",
        (QUILL, QUILL, "--model", directory, "--text", QUILL / "README.md", "--contexts", 9999): "ask for fewer",
        (QUILL, QUILL, "--model", directory, "--text", QUILL / "README.md", "--tokens", 64): "room for",
        (QUILL, QUILL, "--model", empty, "--text", QUILL / "README.md"): "no file of a model",
        (QUILL, QUILL, "--prompt", "nowhere.txt"): "cannot be opened",
    }.items():
        code, line = run(*args)
        assert code == 2 and said in line and "\n" not in line, line
    with pytest.raises(WeighError, match="list is no generation config"):
        weigh.effective_settings([1])


def test_a_directory_without_the_file_takes_what_its_config_says(directory: Path, tmp_path: Path) -> None:
    shutil.copy(directory / "config.json", tmp_path)
    found = weigh.effective_settings(tmp_path)
    assert found.method == "greedy" and found.values["eos_token_id"] == (0,) and not found.unknown
    assert "no generation_config.json" in found.notes[0]
    assert "method" in difference(QUILL, tmp_path), "the file was left behind"


def test_a_model_that_needs_code_or_a_pickle_is_refused(directory: Path, tmp_path: Path) -> None:
    shutil.copytree(directory, tmp_path / "bin")
    (tmp_path / "bin" / "model.safetensors").unlink()
    torch.save({}, tmp_path / "bin" / "pytorch_model.bin")
    with pytest.raises(WeighError, match="no causal language model"):
        CausalModel(tmp_path / "bin")


def test_the_process(tmp_path: Path) -> None:
    call = [sys.executable, "-m", "weigh", "check", "decoding", str(QUILL), str(tmp_path / "nowhere.json")]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and not done.stdout and done.stderr.count("\n") == 1


def test_tables_of_engines() -> None:
    for engine in weigh.ENGINES.values():
        assert set(engine.reads.values()) | set(engine.defaults) <= set(NEUTRAL) and engine.version and engine.source
        assert set(engine.reads) <= KNOWN and set(FILTERS) >= {n for n in engine.order or () if n in FILTERS}
    assert contexts_of(QUILL, QUILL / "README.md", 3, 4, None).ids.shape == (3, 4)
