"""Problems that answer back: the field on a page, and all problems of the site."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser, expect

from .shared import Judge, Problem, dress, problem, violations

# ---------- The field on a page ----------

PAGE = """<!doctype html><html lang="en"><head><title>Problems</title>
<meta name="viewport" content="width=device-width">
<link rel="stylesheet" href="material.css"><link rel="stylesheet" href="assets/css/tokens.css">
<link rel="stylesheet" href="assets/css/site.css"><link rel="stylesheet" href="assets/css/study.css"></head>
<body data-md-color-scheme="SCHEME"><main class="md-typeset"><h1>Problems</h1><article>
<p><strong>1.</strong> How large is it?</p>
<div class="problem" data-answer="14" data-unit="GB" data-within="1" hidden>
<p class="mistake" data-value="7">That is &lt;one&gt; byte each.</p>
<p class="hint">Count the bytes of a number.</p>
<p class="hint">There are seven billion of them.</p>
</div>
<details class="success"><summary>Answer</summary><p>14 GB.</p></details>
<p><strong>2.</strong> What share is it?</p>
<div class="problem" data-answer="76.4706" data-unit="%" data-within="0" hidden>
</div>
<details class="success"><summary>Answer</summary><p>76%.</p></details>
<p><strong>3.</strong> And without an answer?</p>
<div class="problem" data-answer="5" data-unit="" data-within="0" hidden>
</div>
</article></main></body></html>"""
MOUNT = """async () => (await import(location.origin + "/assets/js/study/problems.js")).mountProblems(document)"""


def test_the_field(chromium: Browser, serve: Callable[[Path], str], tmp_path: Path) -> None:
    for scheme in ("default", "slate"):
        (tmp_path / f"{scheme}.html").write_text(PAGE.replace("SCHEME", scheme), "utf-8")
    home = serve(dress(tmp_path))
    context = chromium.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(f"{home}default.html")
    first, second, third = page.locator("div.problem").all()
    answers = page.locator("details.success")
    expect(first).to_be_hidden()
    page.evaluate(MOUNT)
    page.evaluate(MOUNT)  # another time changes nothing
    assert page.locator("form").count() == 3

    field = page.get_by_label("Your answer to problem 1, in GB (within 1 %)")
    status, check = first.get_by_role("status"), first.get_by_role("button", name="Check")
    expect(first.locator(".hint, .mistake").first).to_be_hidden()
    expect(status).to_be_empty()
    for typed, words in {
        "7": "Not quite. That is <one> byte each.",
        "28": "Off by a factor. Twice the answer.",
        "15.2": "Near. It is outside 1 %: it should be less.",
        "5 s": "Not read. “s” is another kind of unit.",
        "99": "Not yet. It should be less. The hint below helps.",
    }.items():
        field.fill(typed)
        field.press("Enter")
        expect(status).to_contain_text(words)
        expect(field).to_have_attribute("aria-invalid", str(typed == "5 s").lower())
    expect(first.locator(".problem__hints li")).to_have_text(["Count the bytes of a number."])
    assert [sign for sign in "✓✗≈?" if sign in status.inner_text()] == ["✗"]
    assert violations(page) == []
    first.get_by_role("button", name="Hint 2 of 2").click()
    expect(first.locator(".problem__hints li").nth(1)).to_have_text("There are seven billion of them.")
    field.fill("0.1")
    check.click()
    expect(status).to_contain_text("No hint is left")
    assert answers.first.get_attribute("open") is None
    first.get_by_role("button", name="Show the worked answer").click()
    expect(answers.first).to_have_attribute("open", "")
    expect(answers.first.locator("summary")).to_be_focused()
    check.click()
    expect(status).to_contain_text("Not yet. It should be more.")
    expect(status).not_to_contain_text("open the worked answer")
    assert first.locator("input").get_attribute("inputmode") is None  # a phone's number pad has no letters

    other = page.get_by_label("Your answer to problem 2, in % (exactly)")
    events = page.evaluate_handle(
        """() => {
            const seen = []
            const note = ({type, detail}) => seen.push([type.slice(8), detail.tries, detail.hints])
            for (const type of ["problem:verdict", "problem:opened"]) document.addEventListener(type, note)
            return seen
        }"""
    )
    other.fill("76.4706 %")
    second.get_by_role("button", name="Check").click()
    expect(second.get_by_role("status")).to_contain_text(
        "✓ Right. It is exactly 76.4706 %. The worked answer is open below."
    )
    expect(answers.nth(1)).to_have_attribute("open", "")
    page.wait_for_function("seen => seen.length == 2", arg=events)
    assert events.json_value() == [["verdict", 1, 0], ["opened", 1, 0]]
    other.fill("9")
    other.press("Enter")
    expect(second.get_by_role("status")).to_have_text(re.compile(r"Not yet. It should be more.$"))
    page.get_by_label("Your answer to problem 3 (exactly)").fill("99")
    third.get_by_role("button", name="Check").click()
    expect(third.get_by_role("status")).to_have_text(re.compile(r"Not yet. It should be less. No hint is left.$"))
    assert third.get_by_role("button").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    sizes = page.evaluate("[...document.querySelectorAll('input, button')].map(e => e.offsetHeight)")
    assert min(size for size in sizes if size) >= 44

    # Material puts the article of the next page in the place of this one's.
    page.evaluate(
        "html => { document.querySelector('article').innerHTML = html }",
        PAGE[PAGE.index("<p>") : PAGE.index("</article>")],
    )
    page.evaluate(MOUNT)
    assert page.locator("form").count() == 3
    page.goto(f"{home}slate.html")
    page.evaluate(MOUNT)
    page.get_by_label("problem 1").fill("7")
    page.get_by_role("button", name="Check").first.click()
    assert violations(page) == []
    assert wrong == []
    context.close()


# ---------- All problems of the site ----------

SHOWN = re.compile(
    r"(?:(?:About|At|From|To|Only|Fewer than|More than) )?(?P<sign>[≈~$]?\s*[−-]?)(?P<number>\d[\d,.]*\d|\d)"
    r"(?P<unit>(?:\s*[·×]\s*10[⁻⁰¹²³⁴-⁹]+)?\s?(?:[%×]|[A-Za-zµ]+)?)"
)
PREFIX = {"kB": 1, "KiB": 1, "MB": 2, "MiB": 2, "GB": 3, "GiB": 3, "TB": 4, "TiB": 4}


def number_shown(worked: Tag) -> str:
    """The first number of a worked answer that is bold, or begins it or what its start equals; "" if there is none."""
    body = worked.get_text(" ", strip=True).removeprefix(worked.summary.get_text(" ", strip=True))
    bold = [part.get_text() for part in worked.find_all("strong") if re.search(r"\d", part.get_text())]
    head = re.split(r"[:;]\s|\.\s|,\s(?=[a-z])", body.strip())[0]
    found = SHOWN.match(bold[0] if bold else head.rpartition("=")[2])
    return (found["sign"] + found["number"] + found["unit"]).strip() if found else ""


def problem_failures(judge: Judge, pages: dict[str, str]) -> tuple[int, list[str]]:
    """What is wrong with the problems of pages, by the HTML of each: how many there are, and all failures."""
    cases: list[tuple[str, Problem, str, str, str]] = []  # where, of what, what is typed, what it is, what it must be
    failures: list[str] = []
    for path, html in pages.items():
        for number, host in enumerate(BeautifulSoup(html, "html.parser").select("div.problem[data-answer]"), start=1):
            where = f"{path} problem {number}"
            mistakes = {float(one["data-value"]): one.get_text() for one in host.select(".mistake")}
            right = float(host["data-answer"])
            unit = str(host["data-unit"])
            asked = problem(right, unit, float(host["data-within"]), mistakes)
            joined = f"{host['data-answer']} {unit}".strip()
            cases += [(where, asked, text, "the exact answer", "right") for text in (host["data-answer"], joined)]
            worked = host.find_next_sibling()
            if worked is None or worked.name != "details" or "success" not in worked["class"]:
                failures.append(f"{where}: no worked answer follows")
            elif shown := number_shown(worked):
                cases.append((where, asked, shown, "the number shown in the worked answer", "right"))
            for value, text in mistakes.items():
                cases.append((where, asked, f"{value:.12g}", "a listed mistake", text))
            slips = {"2": 2.0, "1/2": 0.5, "8": 8.0}
            if unit in PREFIX or unit in {"B", "bytes"}:
                slips |= {"1.024ᵏ": 1.024 ** PREFIX.get(unit, 1), "1/1.024ᵏ": 1.024 ** -PREFIX.get(unit, 1)}
            for name, factor in slips.items():
                cases.append((where, asked, repr(right * factor), f"{name} times the answer", "told"))
    for (where, asked, text, what, must), said in zip(cases, judge([case[1:3] for case in cases]), strict=True):
        if what.startswith("the number shown") and said["verdict"] == "unreadable":  # a word that is no unit follows
            said = judge([(asked, re.sub(r"\s?[A-Za-zµ]+$", "", text))])[0]
        told = must == "told" and said["verdict"] in {"right", "mistake", "factor"}
        if not told and must not in (said["verdict"], said["text"]):
            failures.append(f"{where}: {what}, {text!r}, is said to be {said['verdict']}: {said['text']}")
    return len({where for where, *_ in cases}), failures


def test_the_problems_of_the_site(site: Path, judge: Judge) -> None:
    pages = {str(path.relative_to(site).parent): path.read_text("utf-8") for path in sorted(site.rglob("index.html"))}
    count, failures = problem_failures(judge, {path: html for path, html in pages.items() if "data-answer=" in html})
    assert not failures, "\n".join(failures)
    assert count >= 100


def test_the_reader_of_problems_finds_what_is_wrong(judge: Judge) -> None:
    one = (
        '<div class="problem" data-answer="{}" data-unit="{}" data-within="1" hidden>{}</div>\n'
        '<details class="success">{}</details>'
    )
    mistake = '<p class="mistake" data-value="{}">{}</p>'
    worked = "<summary>Answer</summary><p>{}</p>"
    good = [
        one.format(
            14, "GB", mistake.format(7, "Half.") + mistake.format(7.05, "More."), worked.format("14 GB: all of it.")
        ),
        one.format(131072, "B", "", worked.format("2 · 32 · 8 · 128 · 2 = 131,072 bytes, 4 times as many.")),
        one.format(76.4706, "%", "", worked.format("Most: <strong>76%</strong>.")),
        one.format(1.37e9, "tokens", "", worked.format("1.37 · 10⁹ tokens.")),
        one.format(3.3616, "tokens", "", worked.format("3.36: a sum.")),
        one.format(100, "rows", "", worked.format("No number stands first, but 2 do.")),
    ]
    assert problem_failures(judge, {"good": "".join(good)}) == (6, [])
    bad = [
        one.format(14, "GB", "", worked.format("15.2 GB.")),
        one.format(14, "GB", mistake.format(14.05, "Never said."), worked.format("14 GB.")),
        one.format(14, "gigs", "", worked.format("14.")).replace("details", "aside"),
    ]
    count, failures = problem_failures(judge, {"bad": "".join(bad)})
    assert (count, len(failures)) == (3, 3)
    assert failures[0] == "bad problem 3: no worked answer follows"
    assert failures[1].startswith("bad problem 1: the number shown in the worked answer, '15.2 GB', is said to be near")
    assert failures[2].startswith("bad problem 2: a listed mistake, '14.05', is said to be right")
