"""How long does `make test` take, and how long did it take at another commit?

Makes a fresh clone of that commit and one of the working tree, each without outcomes of pages, and runs their tests one
after the other, with this virtual environment. What they need is installed before, so set-up is not in the times. The
output of the tests goes to standard error, and a Markdown table to standard output. Wants a quiet machine, and as long
as both take together.

    python bench/tests.py --against COMMIT
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from handbook.machine import machine

ROOT = Path(__file__).parent.parent
COMMAND = "make --assume-old .venv/.set-up test"


def git(*arguments: str | Path) -> str:
    done = subprocess.run(["git", "-C", ROOT, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


@dataclass
class Version:
    """A version of the repository.

    Attributes:
        name: As in the table.
        commit: What is cloned.
        edited: Whether the files of the working tree take the place of the commit's.
        seconds: How long each run took.
        statuses: The exit status of each run: not 0 if a test failed.
    """

    name: str
    commit: str
    edited: bool = False
    seconds: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)

    def clone(self, target: Path) -> None:
        """Write this version's files, in a repository of their own, with the virtual environment of this one."""
        git("clone", "--quiet", "--no-checkout", ROOT, target)
        git("-C", target, "checkout", "--quiet", self.commit)
        if self.edited:
            for path in filter(Path.is_file, (target / name for name in git("ls-files", "-z").split("\0") if name)):
                path.unlink()
            for name in git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
                if name and (ROOT / name).is_file():
                    (target / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, target / name)
        (target / ".venv").symlink_to(Path(sys.prefix))

    def run(self, command: list[str]) -> None:
        """Run the tests of a new clone, and note how long that takes."""
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory).resolve() / "clone"
            self.clone(root)
            environment = os.environ | {"PYTHONPATH": str(root / "src"), "NO_MKDOCS_2_WARNING": "1"}
            environment.pop("HANDBOOK_CACHE", None)
            start = time.perf_counter()
            done = subprocess.run(command, cwd=root, env=environment, stdout=sys.stderr)
            self.seconds.append(time.perf_counter() - start)
            self.statuses.append(done.returncode)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--against", required=True, metavar="COMMIT", help="the other version")
    parser.add_argument("--rounds", type=int, default=1, help="how often each is run (%(default)s)")
    parser.add_argument("--command", default=COMMAND, help="what runs the tests (%(default)s)")
    options = parser.parse_args()
    old = Version("that commit", git("rev-parse", "--short=10", "--verify", f"{options.against}^{{commit}}"))
    head, changed = git("rev-parse", "--short=10", "HEAD"), bool(git("status", "--porcelain"))
    new = Version("the working tree", head, edited=changed)
    for _ in range(options.rounds):
        for version in (old, new):
            version.run(shlex.split(options.command))
    print(f"{machine()}. `{options.command}`, seconds, medians of {options.rounds}.\n")
    print("| version | commit | seconds | ratio | exit status |\n| --- | --- | ---: | ---: | ---: |")
    for version in (old, new):
        commit = f"{version.commit}{' and edits' if version.edited else ''}"
        ratio = median(version.seconds) / median(old.seconds)
        print(f"| {version.name} | {commit} | {median(version.seconds):.0f} | {ratio:.2f} | {max(version.statuses)} |")


if __name__ == "__main__":
    main()
