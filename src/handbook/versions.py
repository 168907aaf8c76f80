"""The versions of what is installed, by which the engine sees that a package has changed."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache


def forget() -> None:
    """Look again, for something may have been installed."""
    _installed.cache_clear()
    owners.cache_clear()


@cache
def owners() -> Mapping[str, list[str]]:
    """The distributions that each top-level module is of."""
    from importlib.metadata import packages_distributions  # slow, and for pages that run only

    return packages_distributions()


def version(distribution: str) -> str:
    """The version of a distribution, or `absent`."""
    return _installed().get(_normal(distribution), "absent")


@cache
def _installed() -> dict[str, str]:
    """The version of each distribution on the path, by the names of their metadata directories: nothing is read."""
    found: dict[str, str] = {}
    for directory in sys.path:
        with suppress(OSError):
            for name in os.listdir(directory):
                if name.endswith(".dist-info"):
                    distribution, _, number = name.removesuffix(".dist-info").partition("-")
                    found.setdefault(_normal(distribution), number)
    return found


def _normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
