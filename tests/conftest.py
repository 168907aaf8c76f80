"""What the tests share: the environment of the processes they start, the built site, its navigation, and what runs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from mkdocs.config import load_config
from mkdocs.structure.files import get_files
from mkdocs.structure.nav import get_navigation

from handbook import outputs, pages
from handbook.outputs import run_pages
from handbook.site import Site

ROOT = Path(__file__).parent.parent

# Two processes with a thread for each core are slower than two with one.
os.environ["OMP_NUM_THREADS"] = "1"

# The browser tests serve the site where its absolute addresses say it is: Material's instant navigation compares them.
with socket.create_server(("127.0.0.1", 0)) as probe:
    os.environ["SITE_URL"] = f"http://127.0.0.1:{probe.getsockname()[1]}/"


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once and strictly. Never with -q, which switches strictness off."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if built.returncode:
        pytest.fail(f"the site does not build:\n{built.stdout}{built.stderr}", pytrace=False)
    return target


@pytest.fixture(scope="session")
def nav() -> list[str]:
    """The addresses of the pages in the navigation, relative to the site's: "" for the home page first."""
    config = load_config(str(ROOT / "mkdocs.yml"))
    return [page.url for page in get_navigation(get_files(config), config).pages]


@pytest.fixture(scope="session")
def runs() -> dict[str, pages.Run]:
    """What runs and what came of it, for each page that says `exec`, by its path below `docs/`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        own = Site()
        for module in (pages, outputs):
            patch.setattr(module, "site", own)
        ran = run_pages(load_config("mkdocs.yml"))
        own.engine.close()
    return ran
