"""The files by which the project is run, cited, reported to and released: they parse, agree, and name what exists."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


class Mapping(yaml.SafeLoader):
    """YAML as GitHub reads it, which refuses a key that is there twice; and `on` is a word, not a truth."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is there twice, line {node.start_mark.line + 1}"
        return super().construct_mapping(node, deep)


Mapping.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if first not in "oO" or not tag.endswith(":bool")]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: str | Path) -> Any:
    return yaml.load((ROOT / path).read_text("utf-8"), Mapping)


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_names_what_exists(path: Path) -> None:
    workflow = read(path)
    assert workflow["name"] == path.stem and workflow["on"]
    assert workflow["permissions"] == {"contents": "read"}, "a job that needs more says so itself"
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] if "environment" not in job else job["permissions"]["id-token"] == "write"
        assert {job["needs"]} <= set(workflow["jobs"]) if "needs" in job else True
    for step in steps(workflow):
        assert len({"run", "uses"} & set(step)) == 1
        if action := step.get("uses"):
            assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", action), "pinned by its major version"
        command = step.get("run", "")
        assert set(re.findall(r"\bmake ([a-z-]+)", command)) <= TARGETS
        for named in re.findall(r"(?:^|\s)((?:tests|models|\.ci)/[\w./-]+)", command):
            assert (ROOT / named).exists(), named


def test_the_same_action_has_the_same_version_everywhere() -> None:
    used = {step["uses"] for path in WORKFLOWS for step in steps(read(path)) if "uses" in step}
    assert len(used) == len({action.partition("@")[0] for action in used})


@pytest.mark.parametrize(
    ("tag", "entry", "said"),
    [
        ("v1.2.0", "## [1.2.0] - 2026-01-31", ""),
        ("v1.2.1", "## [1.2.0] - 2026-01-31", "pyproject.toml says 1.2.0, the tag v1.2.1"),
        ("v1.2.0", "## [1.2.0]", "CHANGELOG.md has no entry [1.2.0] with a date"),
        ("v1.2.0", "## [1.2.01] - 2026-01-31", "CHANGELOG.md has no entry [1.2.0] with a date"),
    ],
)
def test_a_release_is_stopped_whose_tag_or_entry_is_another(tag: str, entry: str, said: str, tmp_path: Path) -> None:
    (check,) = (step["run"] for step in steps(read(".github/workflows/release.yml")) if "changelog" in str(step))
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n{entry}\n")
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-e", "-c", check],
        cwd=tmp_path,
        env={"PATH": path, "GITHUB_REF_NAME": tag},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout.strip()) == (int(bool(said)), said)


def test_a_release_is_published_without_a_token() -> None:
    publish = read(".github/workflows/release.yml")["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"} and publish["environment"]
    assert publish["steps"][-1]["uses"].startswith("pypa/gh-action-pypi-publish@")
    assert "with" not in publish["steps"][-1]


def test_the_changelog_keeps_its_form() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    contract, unreleased, *heads = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert (contract, unreleased) == ("The contract", "[Unreleased]")
    entry = re.compile(r"\[(\d+)\.(\d+)\.(\d+)\] - (\d{4}-\d\d-\d\d)")
    assert [head for head in heads if not entry.fullmatch(head)] == []
    versions = [tuple(map(int, numbers)) for *numbers, _ in entry.findall(text)]
    dates = [datetime.date.fromisoformat(date) for *_, date in entry.findall(text)]
    assert (versions, dates) == (sorted(versions, reverse=True), sorted(dates, reverse=True))
    assert all(version <= tuple(map(int, PROJECT["version"].split("."))) for version in versions)
    kinds = set(re.findall(r"^### (.+)$", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_citation_is_valid_and_agrees() -> None:
    """By the schema of the Citation File Format 1.2.0, as far as the file goes."""
    citation = read("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation), "these are required"
    known = {"abstract", "date-released", "keywords", "license", "repository-code", "type", "url", "version"}
    assert set(citation) <= {"cff-version", "message", "title", "authors"} | known
    assert citation["cff-version"] == "1.2.0" and citation["type"] in ("software", "dataset")
    texts = [value for key, value in citation.items() if key not in ("authors", "keywords", "date-released")]
    assert all(isinstance(text, str) and text for text in texts)
    (holder,) = re.findall(r"^Copyright \(c\) \d+ (.+)$", (ROOT / "LICENSE").read_text("utf-8"), re.MULTILINE)
    assert citation["authors"] == [{"name": holder}]
    assert citation["keywords"] and len(citation["keywords"]) == len(set(citation["keywords"]))
    for key in ("version", "license"):
        assert citation[key] == PROJECT[key]
    assert citation["abstract"] == PROJECT["description"]
    assert citation["repository-code"] == PROJECT["urls"]["Source"]


def test_the_issue_form_is_valid() -> None:
    """By GitHub's syntax for issue forms."""
    form = read(".github/ISSUE_TEMPLATE/wrong-number.yml")
    assert {"name", "description", "body"} <= set(form) <= {"name", "description", "title", "labels", "body"}
    assert [field["id"] for field in form["body"]] == ["place", "got", "expected", "evidence", "machine"]
    for field in form["body"]:
        assert set(field) <= {"type", "id", "attributes", "validations"}
        assert field["type"] in ("input", "textarea") and re.fullmatch(r"[\w-]+", field["id"])
        assert "label" in field["attributes"]
        assert set(field["attributes"]) <= {"label", "description", "placeholder"}
        assert field.get("validations", {"required": True}) == {"required": True}
    labels = [field["attributes"]["label"] for field in form["body"]]
    assert len(labels) == len(set(labels))
    chooser = read(".github/ISSUE_TEMPLATE/config.yml")
    assert set(chooser) == {"blank_issues_enabled", "contact_links"}
    assert all(set(link) == {"name", "url", "about"} for link in chooser["contact_links"])


def test_dependabot_looks_at_pins_and_actions() -> None:
    dependabot = read(".github/dependabot.yml")
    assert dependabot["version"] == 2
    assert [update["package-ecosystem"] for update in dependabot["updates"]] == ["pip", "github-actions"]
    for update in dependabot["updates"]:
        assert update["schedule"] == {"interval": "weekly"} and update["directory"] == "/"
        assert [group["patterns"] for group in update["groups"].values()] == [["*"]]
    assert dependabot["updates"][0]["ignore"] == [{"dependency-name": "torch"}]


def test_pre_commit_runs_the_pinned_versions() -> None:
    revisions = {repo["repo"].rpartition("/")[2]: repo["rev"] for repo in read(".pre-commit-config.yaml")["repos"]}
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements-dev.txt").read_text("utf-8"), re.MULTILINE))
    pinned = {name: revision for name, revision in revisions.items() if name.removesuffix("-pre-commit") in pins}
    assert "ruff-pre-commit" in pinned
    for name, revision in pinned.items():
        assert revision.removeprefix("v") == pins[name.removesuffix("-pre-commit")]


@pytest.mark.parametrize("name", ["CHANGELOG.md", "CONTRIBUTING.md", "README.md", "findings/README.md"])
def test_links_lead_to_files(name: str) -> None:
    page = ROOT / name
    links = re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8"))
    inside = [link.partition("#")[0] for link in links if "://" not in link]
    assert inside
    for link in inside:
        assert (page.parent / link).exists(), link


def test_there_is_one_address_of_the_repository() -> None:
    source = PROJECT["urls"]["Source"]
    named = [path for path in ROOT.iterdir() if path.suffix in (".cff", ".md", ".toml", ".yml")]
    named += (ROOT / ".github").rglob("*.yml")
    for path in named:
        for address in re.findall(r"https://github\.com/weights-and-measures/[\w.-]+", path.read_text("utf-8")):
            assert address == source, path
    assert f'pip install "{PROJECT["name"]} @ git+{source}"' in (ROOT / "README.md").read_text("utf-8")
    assert source in (ROOT / "mkdocs.yml").read_text("utf-8")
