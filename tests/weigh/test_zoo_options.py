"""Options of optimizers, at and beyond their ends, and the command that lists them."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

import weigh
from weigh.cli.group import weigh as weigh_command
from weigh.memory.optimizers import find
from weigh.tensors import Tensor

SHAPES = {"embed.weight": (32_000, 4096), "layers.0.q_proj.weight": (4096, 4096), "layers.0.bias": (4096,), "one": ()}
TENSORS = [Tensor(name, shape, "float32", name, 0, 0) for name, shape in SHAPES.items()]
NUMBERS = [(key, name) for key, each in weigh.OPTIMIZERS.items() for name in each.options
           if type(each.options[name]) in (int, float)]  # fmt: skip


@pytest.mark.parametrize("value", ["0", "1", str(2**63 - 1)])
def test_any_number_has_an_answer_or_is_refused(value: str) -> None:
    """None of them divides by zero, or counts blocks one by one."""
    for key, name in NUMBERS:
        text = f"{key}:{name}={value}"
        try:
            chosen = find(text)
        except weigh.WeighError as refused:
            assert f"option {name} is '{value}', and takes a" in str(refused)
            continue
        assert weigh.checkpoint(TENSORS, chosen).optimizer_state_bytes >= 0, text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("galore:rank=-4", "option rank is '-4', and takes a whole number from 0"),
        ("galore:rank=1e3", "option rank is '1e3', and takes a whole number"),
        ("sgd:momentum", "option momentum has no value, and takes a number"),
        ("sgd:momentum=nan", "option momentum is 'nan', and takes a number"),
        ("pytorch_optimizer:DASH:block_size=0", "takes a whole number from 1"),
        ("pytorch_optimizer:SaRA:density=7", "takes a number from 0 to 1"),
        ("heavyball:AdamW:storage_dtype=q4_0", "takes a number format: "),
        ("adamw:lr=1e-3", "option 'lr' is not known: torch:AdamW has amsgrad"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(text: str, said: str) -> None:
    with pytest.raises(weigh.WeighError) as refused:
        find(text)
    assert said in str(refused.value)


@pytest.mark.parametrize("text", ["ADAMW:AMSGRAD", "Torch:AdamW:amsgrad=True", "torch:adamw: amsgrad,"])
def test_capitals_do_not_matter(text: str) -> None:
    assert find(text).meant == "torch:AdamW:amsgrad=true"


def test_an_option_overrides_that_of_a_short_name() -> None:
    assert find("momentum:momentum=0").options == {"momentum": 0.0}


def listed(text: str) -> dict[str, Any]:
    """What `weigh optimizers TEXT --json` says."""
    done = CliRunner().invoke(weigh_command, ["optimizers", text, "--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.output)
    return found


def test_a_library_lists_its_own_and_other_text_all_that_have_it() -> None:
    assert {key.partition(":")[0] for key in listed("torch")} == {"torch"}
    assert {"torch:Adafactor", "optax:adafactor", "galore-torch:GaLoreAdafactor"} <= set(listed("ADAFACTOR"))
    assert listed("paged-adamw-8bit").keys() == {"bitsandbytes:PagedAdamW8bit"}


def test_the_listed_matrix_is_one_inside_a_layer() -> None:
    """Of which Muon keeps momentum alone."""
    muon = listed("torch:Muon")["torch:Muon"]
    assert muon["matrix_bytes"] == 4 * 4096**2
    assert "Jordan" in muon["about"]
    assert "AdamW for everything else" in muon["assumed"]


def test_text_in_no_name_is_refused_with_names_that_are_like_it() -> None:
    with pytest.raises(weigh.WeighError, match="did you mean galore"):
        listed("gallore")
