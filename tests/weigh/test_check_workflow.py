"""The workflow that readers copy: what it may do, and that its commands pass on clean data and fail with a fault."""

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

import weigh
from weigh.cli import main

ROOT = Path(__file__).parents[2]
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / "snippets/gaps/checks.yml").read_text("utf-8"))
(JOB,) = WORKFLOW["jobs"].values()
COMMANDS = [step["run"] for step in JOB["steps"] if step.get("run", "").startswith("weigh ")]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository as the workflow expects one, with nothing wrong in it."""
    rows = [f"{number},{number * number % 97},{'test' if number % 5 == 0 else 'train'}" for number in range(200)]
    (tmp_path / "data").mkdir()
    (tmp_path / "data/rows.csv").write_text("\n".join(["a,b,part", *rows, ""]))
    (tmp_path / "serving").mkdir()
    for name in ("staging", "production"):
        (tmp_path / f"serving/{name}.json").write_text(json.dumps({"temperature": 0.7, "max_tokens": 256}))
    shutil.copytree(ROOT / "models/quill-milton", tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def exit_codes() -> list[int]:
    def ended(command: str) -> int:
        done = CliRunner().invoke(click.Command("weigh", callback=lambda: main(shlex.split(command)[1:])))
        return done.exit_code

    return [ended(command) for command in COMMANDS]


def test_it_runs_on_pull_requests_with_a_token_that_only_reads() -> None:
    assert WORKFLOW[True] == {"pull_request": None}, "YAML 1.1 reads the key `on` as true"
    assert WORKFLOW["permissions"] == {"contents": "read"} and "permissions" not in JOB
    assert JOB["timeout-minutes"] <= 30
    checkout = next(step for step in JOB["steps"] if step.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"] == {"persist-credentials": False}


def test_every_action_is_pinned_to_a_commit() -> None:
    text = (ROOT / "snippets/gaps/checks.yml").read_text("utf-8")
    uses = re.findall(r"uses: (\S+)(.*)", text)
    assert len(uses) == 2
    for action, comment in uses:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action) and re.fullmatch(r" # v\d+\.\d+\.\d+", comment)
    assert "secrets" not in text and "continue-on-error" not in text and "|| true" not in text


def test_each_check_runs_whatever_the_others_find() -> None:
    assert [command.split()[:3] for command in COMMANDS] == [
        ["weigh", "check", n] for n in ("splits", "decoding", "card")
    ]
    _first, *others = (step for step in JOB["steps"] if step.get("run") in COMMANDS)
    assert {step["if"] for step in others} == {"${{ !cancelled() }}"}


def test_all_pass_on_clean_data(here: Path) -> None:
    assert exit_codes() == [0, 0, 0]


def test_a_leaked_row_fails_the_first(here: Path) -> None:
    with (here / "data/rows.csv").open("a") as file:
        file.write("0,0,train\n")
    assert exit_codes() == [1, 0, 0]


def test_a_setting_fails_the_second(here: Path) -> None:
    (here / "serving/production.json").write_text(json.dumps({"temperature": 0.7}))
    assert exit_codes() == [0, 1, 0]


def test_other_weights_fail_the_third(here: Path) -> None:
    weights = here / "model/adapter_model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert exit_codes() == [0, 0, 1]
    assert weigh.unnamed_weights(weigh.read_card(here / "model"), here / "model").finding == "yes"


def test_what_cannot_be_checked_fails_too(here: Path) -> None:
    shutil.rmtree(here / "data")
    assert exit_codes() == [2, 0, 0]
