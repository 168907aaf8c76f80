"""The reference pages as Markdown: of a library from its docstrings, of a command from its options.

Docstrings and signatures are read by griffe, the reader behind mkdocstrings, from the sources as they are on disk. An
executed fence prints what is made of them here, so it is made again when one of those sources changes, and only then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import griffe
from griffe import DocstringSectionKind as Kind

OPTION = re.compile(r"(?<!\S)--[\w-]+")

WIDTH = 80
"""A signature that is longer has a line for each parameter."""


class Library:
    """The public names of a package, `__all__`, in groups.

    Args:
        package: The package, imported.
        notation: Its modules about units and formats.
        taught: Pages that teach, each with the modules it teaches: `{"tools/weigh-command.md": "inspection tensors"}`.
        path: The address of the page that shows the reference, from the root of the site.
    """

    def __init__(
        self, package: ModuleType, notation: str, taught: dict[str, str], path: str = "tools/library/"
    ) -> None:
        self.package = package
        tree = griffe.load(
            package.__name__,
            search_paths=["src"],
            docstring_parser="google",
            docstring_options={"warnings": False},
            resolve_aliases=True,
        )
        self.modules = {name: tree.imports[name].split(".", 1)[1].rpartition(".")[0] for name in package.__all__}
        self.tree = tree
        classes = [name for name in package.__all__ if isinstance(getattr(package, name), type)]
        self._classes = re.compile(rf"(?<![.\w])({'|'.join(classes)})\b")  # torch.Tensor is none of ours
        self.taught = {module: _link(page, path) for page, modules in taught.items() for module in modules.split()}
        self.groups: dict[str, list[str]] = {"questions": [], "results": [], "notation": [], "values": [], "errors": []}
        for name, module in self.modules.items():
            value = getattr(package, name)
            is_error = isinstance(value, type) and issubclass(value, Exception)
            kind = "results" if isinstance(value, type) else "questions" if callable(value) else "notation"
            group = "errors" if is_error else "notation" if module in notation.split() else kind
            self.groups["values" if isinstance(value, int) else group].append(name)

    def entries(self, group: str) -> str:
        """The entries of a group: functions, then classes, then values."""
        ranked = sorted(self.groups[group], key=lambda name: (self._rank(name), name.lower()))
        return "\n\n".join(part for name in ranked for part in self._entry(name) if part)

    def numbers(self) -> str:
        """A table of the names that are plain numbers."""
        values = sorted((getattr(self.package, name), name) for name in self.groups["values"])
        rows = [f"| {self._anchored(name)} | {value:,} |" for value, name in values]
        return "\n".join(["| Name | Bytes |", "| --- | ---: |", *rows])

    def subclasses(self) -> str:
        """A table of all errors below the public ones, each with its condition."""
        classes = [found for name in self.groups["errors"] for found in self.tree[self.modules[name]].classes.values()]
        rows = [
            f"| `{found.parent.name}.{found.name}` | {_text(found)} |"
            for found in classes
            if found.name not in self.groups["errors"]
        ]
        return "\n".join(["| Error | When |", "| --- | --- |", *rows])

    def _rank(self, name: str) -> int:
        value = getattr(self.package, name)
        return 1 if isinstance(value, type) else 0 if callable(value) else 2

    def _anchored(self, name: str) -> str:
        return f"`{name}`{{ #{self.package.__name__}.{name} }}"

    def _entry(self, name: str) -> Iterator[str]:
        found = self.tree[f"{self.modules[name]}.{name}"]
        yield f"### `{name}` {{ #{self.package.__name__}.{name} }}"
        if isinstance(found, griffe.Function):
            yield f"```py\n{_signature(found)}\n```"
        yield from self._sections(found)
        value = getattr(self.package, name)
        if isinstance(found, griffe.Class):
            yield from self._members(found)
        elif isinstance(value, dict | list | tuple):
            yield "**Names:** " + ", ".join(f"`{key}`" for key in value) + "."
        module = self.modules[name]
        if module in self.taught:
            yield f"Taught on {self.taught[module]}."

    def _sections(self, found: griffe.Object) -> Iterator[str]:
        sections = found.docstring.parsed if found.docstring else []
        for section in sections:
            yield from self._section(found, section.kind, section.value)
        is_said = any(section.kind is Kind.returns for section in sections)
        if isinstance(found, griffe.Function) and not is_said and self._classes.search(str(found.returns)):
            yield f"**Returns:** {self._linked(str(found.returns))}"

    def _section(self, found: griffe.Object, kind: Kind, value: Any) -> Iterator[str]:
        """A section of a docstring, as Markdown."""
        match kind:
            case Kind.text:
                yield value
            case Kind.examples:
                yield from (text if inner is Kind.text else f"```pycon\n{text}\n```" for inner, text in value)
            case Kind.returns:
                yield f"**Returns:** {' '.join(' '.join(item.description for item in value).split())}"
            case Kind.raises:
                yield _list("Raises", {f"`{item.annotation}`": item.description for item in value})
            case Kind.parameters:
                yield _list("Takes", {f"`{item.name}`": item.description for item in value})
            case Kind.attributes if isinstance(found, griffe.Class):
                described = {name: text for base in reversed(found.mro()) for name, text in _described(base).items()}
                own = {item.name: item.description for item in value}
                yield self._attributes(found, own | {k: v for k, v in described.items() if k not in own})

    def _members(self, found: griffe.Class) -> Iterator[str]:
        """What a section on attributes leaves out: properties and methods; without one, attributes too."""
        public = [member for name, member in found.all_members.items() if name[0].islower()]
        sections = {section.kind for section in found.docstring.parsed} if found.docstring else set()
        if Kind.attributes not in sections:
            fields = {member.name: _text(member) for member in public if "property" not in member.labels}
            yield self._attributes(found, {name: text for name, text in fields.items() if found[name].is_attribute})
        yield self._attributes(found, {m.name: _text(m) for m in public if "property" in m.labels}, "Computed")
        targets = [member.final_target if isinstance(member, griffe.Alias) else member for member in public]
        methods = [member for member in targets if isinstance(member, griffe.Function)]
        yield _list("Methods", {f"`{_signature(method, WIDTH * 2)}`": _text(method) for method in methods})

    def _attributes(self, found: griffe.Class, texts: dict[str, str], title: str = "Attributes") -> str:
        """A list of attributes with their types and defaults."""
        items = {}
        for name, text in texts.items():
            member = found.all_members.get(name)
            annotation, value = getattr(member, "annotation", None), str(getattr(member, "value", None) or "")
            default = f" = {value}" if value and not value.startswith("field(") else ""
            items[f"`{name}` {self._linked(f'{annotation}{default}')}" if annotation else f"`{name}`"] = text
        return _list(title, items)

    def _linked(self, code: str) -> str:
        """Code in which the public classes are links."""
        linked = self._classes.sub(rf'<a href="#{self.package.__name__}.\1">\1</a>', escape(code, quote=False))
        return f"<code>{linked}</code>"


def _described(found: griffe.Class) -> dict[str, str]:
    """The attributes that a class's docstring describes."""
    sections = found.docstring.parsed if found.docstring else []
    return {item.name: item.description for each in sections if each.kind is Kind.attributes for item in each.value}


def _text(found: griffe.Object | griffe.Alias) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join((found.docstring.value if found.docstring else "").partition("\n\n")[0].split())


def _list(title: str, items: dict[str, str]) -> str:
    lines = [f"- {name}: {' '.join(text.split())}" if text else f"- {name}" for name, text in items.items()]
    return "\n".join([f"**{title}:**", "", *lines]) if lines else ""


def _signature(function: griffe.Function, width: int = WIDTH) -> str:
    """A function as it is called, with types and defaults."""
    parts: list[str] = []
    star = False
    for parameter in function.parameters:
        kind = parameter.kind
        if parameter.name == "self":
            continue
        if kind is griffe.ParameterKind.keyword_only and not star:
            parts, star = [*parts, "*"], True
        stars = {griffe.ParameterKind.var_positional: "*", griffe.ParameterKind.var_keyword: "**"}.get(kind, "")
        star = star or stars == "*"
        part = f"{stars}{parameter.name}" + (f": {parameter.annotation}" if parameter.annotation else "")
        has_default = parameter.default is not None and not stars
        parts.append(f"{part} = {parameter.default}" if has_default else part)
    result = f") -> {function.returns}"
    line = f"{function.name}({', '.join(parts)}{result}"
    if len(line) <= width:
        return line
    return "\n".join([f"{function.name}(", *(f"    {part}," for part in parts), result])


def _link(page: str, path: str) -> str:
    """A link from the page at an address of the site to a page of `docs/`, with its title."""
    file, _, anchor = page.partition("#")
    title = re.search(r"^# (.+)$", Path("docs", file).read_text("utf-8"), re.MULTILINE)
    below = file.removesuffix(".md").removesuffix("/index")
    address = f"{'../' * path.count('/')}{below}/" + (f"#{anchor}" if anchor else "")
    return f"[{title[1] if title else file}]({address})"


def command(
    group: click.Group,
    name: str,
    taught: dict[str, str],
    functions: dict[str, str],
    path: str = "tools/command-reference/",
) -> str:
    """The subcommands of a command: what each says with `--help`, an example, and a table of its options.

    Args:
        group: The command.
        name: Its name, and that of the package with a function for each subcommand: `check_splits` for `check splits`.
        taught: Pages that teach, each with the subcommands it teaches, spelled as functions.
        functions: The functions that are not called as their subcommand.
        path: The address of the page that shows the reference, from the root of the site.
    """
    parent = context_of(group, name)
    links = {each: _link(page, path) for page, names in taught.items() for each in names.split()}
    parts = []
    for each, context in commands(parent):
        spelled = each.replace(" ", "_")
        function = functions.get(spelled, spelled)
        found = f"In Python: [`{name}.{function}`](../library/#{name}.{function})."
        parts += [*_command(context), f"{found} Taught on {links[spelled]}." if spelled in links else found]
    return "\n\n".join(parts)


def commands(parent: click.Context, above: str = "") -> Iterator[tuple[str, click.Context]]:
    """The subcommands of a command and of its groups, each with its name below the command: `check splits`."""
    group = parent.command
    assert isinstance(group, click.Group)
    for name in group.list_commands(parent):
        context = context_of(group.commands[name], name, parent)
        if isinstance(context.command, click.Group):
            yield from commands(context, f"{above}{name} ")
        else:
            yield f"{above}{name}", context


def context_of(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    """What click knows when the command is called by that name."""
    return click.Context(command, info_name=name, parent=parent, **command.context_settings)


def options(context: click.Context) -> str:
    """A table of the options of a command."""
    rows = []
    for option in context.command.get_params(context):
        if isinstance(option, click.Option) and not option.hidden:
            meaning, _, default = (option.help or "").partition("[default: ")
            meaning, default = (OPTION.sub(r"`\g<0>`", text.strip(" ]")) for text in (meaning, default))
            if option.required:
                default = "required"
            elif not default and not option.is_flag and isinstance(option.default, str | int | float):
                default = f"`{option.default}`"
            names = ", ".join(f"`{each}`" for each in [*option.opts, *option.secondary_opts])
            rows.append(f"| {names}{_value(option, context)} | {meaning} | {default} |")
    return "\n".join(["| Option | Meaning | Default |", "| --- | --- | --- |", *rows])


def _command(context: click.Context) -> Iterator[str]:
    command = context.command
    meaning, _, example = (command.help or "").partition("Example: ")
    yield f"## {context.command_path} {{ #{context.command_path.replace(' ', '-')} }}"
    yield f"```text\n{' '.join([context.command_path, *command.collect_usage_pieces(context)])}\n```"
    yield "\n\n".join(" ".join(paragraph.split()) for paragraph in meaning.strip().split("\n\n"))
    if example:
        yield f"For instance:\n\n```sh\n{' '.join(example.split())}\n```"
    yield options(context)


def _value(option: click.Option, context: click.Context) -> str:
    """What follows the name of an option."""
    if option.is_flag:
        return ""
    if isinstance(option.type, click.Choice):
        return " " + ", ".join(f"`{choice}`" for choice in option.type.choices)
    if isinstance(option.type, click.IntRange):
        low, high = option.type.min, option.type.max
        return f" {low}–{high}" if high is not None else f" ≥&nbsp;{low}"
    return f" `{option.make_metavar(context)}`"
