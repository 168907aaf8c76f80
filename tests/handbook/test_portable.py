"""Running the pages as other machines would: which settings there are, that they take effect, and what is reported."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations

import pytest
from click.testing import CliRunner

from handbook import portable
from handbook.__main__ import main
from handbook.portable import Outcome, Setting, capability, check, settings

SETTING = Setting("default", 2, 1)
DIFF = "--- tests/expected/a.txt\n+++ this run\n@@ -1,3 +1,3 @@\n [1]\n-0.5\n-0.6\n+0.7\n+0.8\n"


def fake(monkeypatch: pytest.MonkeyPatch, returncode: int, stdout: str) -> None:
    monkeypatch.setattr(portable, "capability", lambda _: "default")
    done = subprocess.CompletedProcess([], returncode, stdout)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)


@pytest.mark.parametrize("best", ["avx2", "avx512"])
def test_any_two_values_meet_in_a_setting(monkeypatch: pytest.MonkeyPatch, best: str) -> None:
    monkeypatch.setattr(portable, "capability", lambda _: best)
    values = [(one.instructions, one.threads, one.hash_seed) for one in settings()]
    there = {place: {one[place] for one in values} for place in range(3)}
    assert {best, "default"} <= there[0] and there[1] == {1, 2} and there[2] == {0, 1}
    for a, b in combinations(range(3), 2):
        assert {(one[a], one[b]) for one in values} == {(x, y) for x in there[a] for y in there[b]}


def test_no_setting_asks_for_what_the_processor_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portable, "capability", lambda _: "avx2")
    assert {one.instructions for one in settings()} == {"default", "avx2"}
    monkeypatch.setattr(portable, "capability", lambda _: "sve256")
    assert {one.instructions for one in settings()} == {"default"}


def test_a_setting_reaches_a_process() -> None:
    assert capability(SETTING.environment) == "default"
    program = "import os, torch; print(torch.get_num_threads(), os.environ['PYTHONHASHSEED'])"
    done = subprocess.run([sys.executable, "-c", program], env=SETTING.environment, capture_output=True, text=True)
    assert done.stdout.split() == [str(min(2, os.cpu_count() or 1)), "1"]


def test_two_settings_share_no_cache() -> None:
    assert len({one.environment["HANDBOOK_CACHE"] for one in settings()}) == len(list(settings()))


def test_a_setting_that_takes_no_effect_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portable, "capability", lambda _: "avx2")
    outcome = check(SETTING)
    assert outcome.failed and "avx2" in outcome.output


def test_what_differs_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, 1, f"{DIFF}\n\n{DIFF}")
    outcome = check(SETTING)
    assert (outcome.pages, outcome.lines, outcome.failed, outcome.good) == (2, 4, False, False)


def test_a_program_that_fails_is_no_agreement(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, 1, "")
    assert check(SETTING).failed and not check(SETTING).good
    fake(monkeypatch, 0, "")
    assert check(SETTING).good


@pytest.mark.parametrize(
    ("second", "code", "row"),
    [
        (Outcome(0, 0, ""), 0, "0 0"),
        (Outcome(1, 2, DIFF), 1, "1 2"),
        (Outcome(0, 0, "no effect", failed=True), 1, "failed 0"),
    ],
)
def test_the_command_ends_with_a_table(monkeypatch: pytest.MonkeyPatch, second: Outcome, code: int, row: str) -> None:
    outcomes = {SETTING: Outcome(0, 0, ""), Setting("avx2", 1, 0): second}
    monkeypatch.setattr("handbook.__main__.settings", lambda: iter(outcomes))
    monkeypatch.setattr("handbook.__main__.check", outcomes.__getitem__)
    done = CliRunner().invoke(main, ["portable"])
    assert done.exit_code == code
    assert second.output in done.output
    rows = [" ".join(line.split()) for line in done.output.splitlines()]
    assert f"avx2, 1 thread, hash seed 0 {row}" in rows and "default, 2 threads, hash seed 1 0 0" in rows
