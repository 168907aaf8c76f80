"""`weigh inference` as a person and a script meet it."""

import json
import re
from fractions import Fraction

import pytest

import weigh as library
from weigh.formulas import step

from .test_cli import weigh

CONTRACT = ("weight_bytes", "kv_cache_bytes", "kv_cache_bytes_per_token", "activation_bytes", "total_bytes")


def test_json_has_what_the_library_says() -> None:
    done = weigh("inference", "models/llama-3-8b", "--dtype", "Q4_K_M", "--context", 4096, "--batch", 2,
                 "--kv-dtype", "fp8", "--json")  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    model = library.params("models/llama-3-8b")
    found = library.inference(model, "q4_k_m", 4096, 2, "float8_e4m3fn")
    assert facts == found.as_dict() | model.provenance
    assert all(type(facts[name]) is int for name in CONTRACT)


def test_a_device_and_its_speed() -> None:
    args = ("inference", "models/mistral-7b", "--device", "24GiB", "--bandwidth", "1.008TB", "--flops", "165e12")
    facts = json.loads(weigh(*args, "--json").stdout)
    model = library.params("models/mistral-7b")
    assert facts["device_bytes"] == 24 * library.GiB
    assert facts["largest_context"] == library.largest_context(model, 24 * library.GiB)
    assert facts["largest_context_bound"] is None, "its windows keep the cache small, whatever the context"
    assert facts["largest_batch"] < facts["largest_batch_bound"]
    assert facts["decode_bound"]["limited_by"] == "memory"
    shown = weigh(*args).stdout
    assert f"{facts['largest_context']:,} with an engine's reserve, any at most" in shown
    assert "limited by memory" in shown


def test_the_table_and_the_work() -> None:
    done = weigh("inference", "models/llama-2-7b", "--context", 4096, "--show-work")
    assert done.returncode == 0
    for figure in ("13,476,831,232", "2.000 GiB", "524,288", "2 · 32 · 32 · 128 · 4,096 · 1 · 2 = 2,147,483,648 bytes"):
        assert figure in done.stdout
    assert "assumed: " in done.stdout
    assert "assumed: " not in weigh("inference", "models/llama-2-7b").stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("absent",), "absent: no such file"),
        (("models/gpt2", "--dtype", "int3"), "format 'int3'"),
        (("models/gpt2", "--kv-dtype", "nf4"), "KV cache format 'nf4'"),
        (("models/gpt2", "--context", "0"), "--context"),
        (("models/gpt2", "--context", "8192"), "gpt2 has learned 1,024 positions; ask for at most 1,024"),
        (("models/gpt2", "--device", "24G"), "size '24G': needs a unit"),
        (("models/gpt2", "--device", "24"), "size '24': needs a unit"),
        (("models/gpt2", "--device", ""), "size '': needs a unit"),
        (("models/gpt2", "--flops", "1e12"), "given together"),
        (("models/gpt2", "--bandwidth", "1TB", "--flops", "0"), "must be more than 0"),
        (("models/gpt2", "--bandwidth", "1TB", "--flops", "nan"), "must be more than 0"),
        (("models/gpt2", "--bandwidth", "", "--flops", "1e12"), "rate '': needs a unit"),
        (("models/vit-base",), "reads images"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(args: tuple[str, ...], said: str) -> None:
    done = weigh("inference", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("weigh: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_help_has_an_example() -> None:
    assert "weigh inference config.json" in weigh("inference", "--help").stdout


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("24GiB", 24 * 2**30), ("80 GB", 80 * 10**9), ("1.5 TB", 1_500_000_000_000), ("512 bytes", 512),
        ("0.5KiB", 512), ("1,024 MiB", 2**30), ("3 kB", 3000),
    ],
)  # fmt: skip
def test_a_size_is_read_as_it_is_written(text: str, size: int) -> None:
    assert library.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["24", "24G", "24gb", "GB", "", "-1 GB", "1e3 GB", "0.0001 kB", "1.2.3 GB", "24 GB x"])
def test_a_size_that_may_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(library.WeighError, match="size"):
        library.parse_bytes(text)


def test_numbers_in_formulas_have_thousands_separators() -> None:
    said = step("x", "min(T, W) · b · (n + N)", T=8192, W=1_000_000, b=Fraction(9, 16), n=999, N=Fraction(1089))
    assert said.substituted == "min(8,192, 1,000,000) · 9/16 · (999 + 1,089)"
    assert said.value == 8192 * 9 * (999 + 1089) // 16
    shown = weigh("inference", "models/llama-3-8b", "--dtype", "nf4-double", "--show-work").stdout
    assert "N · 1,088 = 6,979,321,856 · 1/2" in shown
    assert not re.search(r"(?<![\d,.])\d{4,}", shown.partition("total")[2])


def test_a_formula_without_a_number_is_a_mistake() -> None:
    said = step("x", "min(T, W) · b", T=3, W=5, b=2, L=1)
    assert (said.substituted, said.value) == ("min(3, 5) · 2", 6)
    with pytest.raises(KeyError):
        step("x", "T · b", T=3)


@pytest.mark.parametrize(
    ("formula", "value"),
    [("1,088 · N / 2", 2720), ("max(N, 7) - 2", 5), ("(N + 1) · (N - 1)", 24), ("33/65,536 · 65,536", 33)],
)
def test_a_formula_is_computed_as_it_is_written(formula: str, value: int) -> None:
    assert step("x", formula, N=5).value == value


@pytest.mark.parametrize("formula", ["N ** 2", "N.real", "abs(N)", "[N]", "0.5 · N", "N / 2"])
def test_a_formula_has_nothing_else_in_it_and_gives_whole_bytes(formula: str) -> None:
    with pytest.raises(ValueError, match=r"a formula cannot have|no whole number"):
        step("x", formula, N=5)


def test_more_tokens_than_the_model_is_made_for_are_said() -> None:
    assert "made for 256 tokens, and 600 are asked for" in weigh("inference", "models/quill", "--context", "600").stdout
    assert "made for" not in weigh("inference", "models/quill", "--context", "256").stdout
