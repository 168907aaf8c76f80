"""What the options of several commands have in common."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

POSITIVE = click.IntRange(1)
"""A whole number from 1."""

STRICT = click.option("--strict", is_flag=True, help="Refuse a config with fields that nothing reads.")
"""Whether fields that nothing reads are refused; else they are listed."""


class Known(click.Option):
    """An option whose value is a name that the library knows, such as an optimizer.

    The names are asked for when a shell completes one, or for the help if that says nothing else. So a new one is
    known here as soon as the library knows it, and no command waits for a module that it does not need.

    Args:
        known: Gives the names.
    """

    def __init__(self, *args: Any, known: Callable[[], list[str]], **options: Any) -> None:
        self.known = known
        super().__init__(*args, **options)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Completions: the names that begin with what was typed."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in self.known() if name.lower().startswith(incomplete.lower())]

    @property
    def help(self) -> str | None:
        """The help text: what was said, or else the names."""
        return self._said or f"{', '.join(self.known())}."

    @help.setter
    def help(self, said: str | None) -> None:
        self._said = said
