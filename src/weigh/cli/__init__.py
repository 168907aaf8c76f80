"""The `weigh` command: the library's questions, answered on a terminal or as JSON.

Each module of this package adds its commands to the group. To add one, write a function below `@weigh.command`, and
name it in `MODULES` of `group.py`.
"""

from weigh.cli.group import main, weigh

__all__ = ["main", "weigh"]
