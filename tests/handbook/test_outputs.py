"""Recorded outputs: what is kept of a page, and that a change is seen."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from handbook.__main__ import main
from handbook.fences import Fence
from handbook.outputs import differences, path_of, record, records, renew
from handbook.runs import Run
from handbook.store import Entry
from handbook.worker import Outcome

FIGURE = '<figure class="plot"><svg role="img" aria-label="a &lt; b">\n<path d="M 1 2"/></svg></figure>\n'


def run(*blocks: tuple[Fence, str], formulas: dict[tuple[str, str], str] | None = None) -> Run:
    formulas = formulas or {}
    outcome = Outcome([output for _, output in blocks], formulas={text: value for (_, text), value in formulas.items()})
    lines = [line for _ in blocks for line in ("```python exec", '--8<-- "snippets/page.py:part"', "```")]
    places = [3 * number + 1 + 4 for number in range(len(blocks))]
    entry = Entry(outcome, {}, {}, [], "", "", "", "")
    return Run(lines, [fence for fence, _ in blocks], places, tuple(formulas), entry, above=4)


def test_outputs_and_values_are_recorded() -> None:
    page = run((Fence(), "1 \n2\n\n"), (Fence(), ""), formulas={("", "f(\n  x)"): "3", ("", "y"): "4"})
    assert record(page) == (
        "[1] snippets/page.py:part\n1\n2\n\n[2] snippets/page.py:part\n\n[formulas]\n`=f( x)` 3\n`=y` 4\n"
    )


def test_what_depends_on_the_machine_is_not() -> None:
    page = run((Fence(varies=True), "0.123 s"), formulas={("~", "ratio"): "12.5"})
    assert "0.123" not in record(page) and "12.5" not in record(page)
    assert record(page).count("(depends on the machine)") == 2


@pytest.mark.parametrize("fence", [Fence(setup=True), Fence(output="hide")])
def test_what_nobody_sees_is_not(fence: Fence) -> None:
    assert record(run((fence, "0.123"))) == "[1] snippets/page.py:part\n"


def test_a_figure_is_what_it_says() -> None:
    page = run((Fence(output="figure"), FIGURE))
    assert record(page) == "[1] snippets/page.py:part\n(a figure) a < b\n"


def test_a_changed_a_new_and_a_lost_record_are_seen_and_renewed(tmp_path: Path) -> None:
    renew(tmp_path, {"same.md": "1\n", "a/changed.md": "2\n", "gone.md": "3\n"})
    now = {"same.md": "1\n", "a/changed.md": "4\n", "new.md": "5\n"}
    found = differences(tmp_path, now)
    assert set(found) == {str(path_of(page)) for page in ("a/changed.md", "gone.md", "new.md")}
    assert "-2\n+4" in found["tests/expected/a/changed.txt"]
    renew(tmp_path, now)
    assert differences(tmp_path, now) == {}
    assert not (tmp_path / path_of("gone.md")).exists()


def test_what_is_as_good_stays_as_it_was_recorded(tmp_path: Path) -> None:
    def now(loss: str, steps: str) -> dict[str, str]:
        page = run((Fence(), f"loss {loss}"), (Fence(tolerance=5), f"{steps} steps"), (Fence(), "3 files"))
        return {"page.md": record(page)}

    renew(tmp_path, first := now("0.50", "100"))
    assert "[2] snippets/page.py:part ±5 %\n" in first["page.md"]
    assert differences(tmp_path, now("0.51", "104")) == {}
    renew(tmp_path, now("0.51", "104"))
    assert (tmp_path / path_of("page.md")).read_text("utf-8") == first["page.md"]
    (found,) = differences(tmp_path, now("0.51", "110")).values()
    changed = [line for line in found.splitlines()[2:] if line[0] in "+-"]
    assert changed == ["-100 steps", "+110 steps"]


def test_a_changed_tolerance_is_seen(tmp_path: Path) -> None:
    renew(tmp_path, {"page.md": record(run((Fence(tolerance=1), "100 steps")))})
    assert differences(tmp_path, {"page.md": record(run((Fence(tolerance=2), "100 steps")))})
    assert differences(tmp_path, {"page.md": record(run((Fence(), "100 steps")))})


def test_a_page_may_go_unrecorded(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("# Page\n", "utf-8")
    (tmp_path / "docs" / "reference.md").write_text("---\nrecorded: false\n---\n\n# Reference\n", "utf-8")
    runs = {"page.md": run((Fence(), "1")), "reference.md": run((Fence(), "2"))}
    assert set(records(tmp_path, runs)) == {"page.md"}


def test_the_command_compares(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("handbook.__main__.load_config", lambda _: None)
    monkeypatch.setattr("handbook.__main__.run_pages", lambda _: {"page.md": run((Fence(), "1"))})
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("# Page\n", "utf-8")
    checked = CliRunner().invoke(main, ["outputs", "--check"])
    assert checked.exit_code == 1 and "+1" in checked.output and "make outputs" in checked.output
    assert CliRunner().invoke(main, ["outputs"]).exit_code == 0
    assert CliRunner().invoke(main, ["outputs", "--check"]).exit_code == 0
