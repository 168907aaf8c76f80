"""The digest by which a build sees that something has changed."""

from pathlib import Path

import pytest

from handbook.digests import Digests


@pytest.mark.parametrize(
    ("added", "changes"),
    [("near/deep.py", True), ("near/__pycache__/deep.pyc", False), ("near.egg-info/SOURCES.txt", False)],
)
def test_what_python_and_pip_leave_beside_the_sources_is_no_change(tmp_path: Path, added: str, changes: bool) -> None:
    (tmp_path / "src/near").mkdir(parents=True)
    (tmp_path / "src/near/one.py").write_text("A = 1\n")
    before = Digests(tmp_path).now("src")
    (tmp_path / "src" / added).parent.mkdir(exist_ok=True)
    (tmp_path / "src" / added).write_text("anything\n")
    assert (Digests(tmp_path).now("src") != before) == changes
