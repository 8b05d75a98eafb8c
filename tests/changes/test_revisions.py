"""Ranges of revisions, and the files that differ in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.changes import revisions
from fleet.changes.revisions import Range
from tests.inventory.support import commit, git

# These tests run programs or servers.
pytestmark = pytest.mark.slow


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a checkout with a commit."""
    commit(tmp_path, {"a.yaml": "one\ntwo\nthree\n", "b.yaml": "x\n", "c/d.yaml": "x\n"})
    return tmp_path


def changed(root: Path, text: str = "") -> dict[str, tuple[bool, tuple[int, ...]]]:
    found = revisions.changed_files(root, revisions.range_of(root, text))
    return {path: (file.is_removed, file.lines) for path, file in found.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Range(base="HEAD")),
        ("main", Range(base="main")),
        ("main..HEAD", Range(base="main", head="HEAD")),
        ("main..", Range(base="main", head="HEAD")),
        ("..other", Range(base="HEAD", head="other")),
    ],
)
def test_a_range(text: str, expected: Range, root: Path) -> None:
    assert revisions.range_of(root, text) == expected


def test_three_dots_begin_at_the_common_commit(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD").strip()
    git(root, "switch", "--quiet", "--create", "feature")
    commit(root, {"b.yaml": "y\n"})
    git(root, "switch", "--quiet", "main")
    commit(root, {"a.yaml": "other\n"})
    found = revisions.range_of(root, "main...feature")
    assert found == Range(base=base, head="feature")
    assert changed(root, "main...feature") == {"b.yaml": (False, (1,))}


def test_the_files_of_a_working_copy(root: Path) -> None:
    (root / "a.yaml").write_text("one\ntwo\n2.5\nthree\nfour\n")
    (root / "b.yaml").unlink()
    (root / "new ü.yaml").write_text("x")
    git(root, "add", "a.yaml")
    assert changed(root) == {
        "a.yaml": (False, (3, 5)),
        "b.yaml": (True, (1,)),
        "new ü.yaml": (False, (1,)),
    }


def test_a_text_that_looks_like_a_difference(root: Path) -> None:
    before = "x\r@@ -1 +7 @@\r\ndiff --git a b\n"
    (root / "a.yaml").write_text(f"{before}two\nthree\n", newline="")
    commit(root)
    (root / "a.yaml").write_text(f"{before}two\n3\rdiff --git c d\n", newline="")
    (root / "b.yaml").write_bytes(b"\0\xff")
    assert changed(root) == {"a.yaml": (False, (4,)), "b.yaml": (False, ())}


def test_a_link_that_becomes_a_file(root: Path) -> None:
    (root / "a.yaml").unlink()
    (root / "a.yaml").symlink_to("b.yaml")
    commit(root)
    (root / "a.yaml").unlink()
    (root / "a.yaml").write_text("x\n")
    (root / "b.yaml").write_text("x\ny\n")
    assert changed(root) == {"a.yaml": (False, (1, 1)), "b.yaml": (False, (2,))}


def test_files_below_a_folder_that_is_the_root(root: Path) -> None:
    (root / "c/d.yaml").write_text("y\n")
    (root / "a.yaml").write_text("y\n")
    assert changed(root / "c") == {"d.yaml": (False, (1,))}


def test_a_revision_that_looks_like_an_option(root: Path) -> None:
    with pytest.raises(Exception, match="git: exit"):
        revisions.changed_files(root, Range(base="--output=x"))
    assert not (root / "x").exists()
