"""The comparison of a checkout's definitions with those of the branch."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fleet.config.models import Stack
from fleet.render import definition_blobs
from tests.render.rendered_support import DEFINITIONS
from tests.render.support import stack_of
from tests.support import stack_file

FILE = "apps/podinfo/base/resource.yaml"


def git(root: Path, *args: str) -> str:
    """Run Git in a checkout and return its output."""
    done = subprocess.run(
        ["git", "-C", root, "-c", "user.name=a", "-c", "user.email=a@example.com", *args],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.fixture
def root(checkout: Path) -> Path:
    """A checkout with one commit."""
    git(checkout, "init", "--quiet")
    (checkout / ".gitignore").write_text("*.tmp\n")
    (checkout / "apps/link").symlink_to("podinfo/base")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "--message=Start")
    return checkout


def branch(root: Path) -> dict[str, str]:
    """Return all files of the last commit, with their checksums as Git has them."""
    lines = git(root, "ls-tree", "-r", "HEAD").splitlines()
    return {line.split("\t")[1]: line.split("\t")[0].split()[2] for line in lines}


def stack(root: Path, more: str = DEFINITIONS) -> Stack:
    """Return the stack dev."""
    return stack_of(root, stack_file("dev", more=more))


def problems(root: Path, more: str = DEFINITIONS) -> list[str]:
    """Return the problems of the checkout as it is, compared with its last commit."""
    found = definition_blobs.in_checkout(root)
    return definition_blobs.problems(stack(root, more), found, branch(root))


def refused(*paths: str) -> list[str]:
    """Return the line about these files."""
    return [
        "Pulumi.dev.yaml: fleet:definitions: rendered, but this checkout is not branch main of "
        f"acme/platform in {', '.join(paths)}; commit and push, or pull, and run it again"
    ]


def test_a_clean_checkout_is_the_branch(root: Path) -> None:
    assert problems(root) == []
    committed = branch(root)
    assert definition_blobs.in_checkout(root) == {
        path: sha
        for path, sha in committed.items()
        if path.startswith(("apps/", "infrastructure/"))
    }


def test_an_edited_file(root: Path) -> None:
    (root / FILE).write_text("edited\n")
    assert problems(root) == refused(FILE)


def test_an_edited_file_that_is_only_in_the_index(root: Path) -> None:
    (root / FILE).write_text("edited\n")
    git(root, "add", "--all")
    assert problems(root) == refused(FILE)


def test_a_new_file(root: Path) -> None:
    (root / "apps/new.yaml").touch()
    assert problems(root) == refused("apps/new.yaml")


def test_a_deleted_file(root: Path) -> None:
    (root / FILE).unlink()
    assert problems(root) == refused(FILE)


def test_another_link(root: Path) -> None:
    (root / "apps/link").unlink()
    (root / "apps/link").symlink_to("podinfo")
    assert problems(root) == refused("apps/link")


def test_a_commit_that_is_not_pushed(root: Path) -> None:
    before = branch(root)
    (root / FILE).write_text("edited\n")
    git(root, "commit", "--quiet", "--all", "--message=Edit")
    found = definition_blobs.in_checkout(root)
    assert definition_blobs.problems(stack(root), found, before) == refused(FILE)


def test_other_line_ends_are_other_bytes(root: Path) -> None:
    """Git may change them when it checks a file out, and kustomize reads the file as it is."""
    content = (root / FILE).read_bytes()
    (root / FILE).write_bytes(content.replace(b"\n", b"\r\n"))
    git(root, "config", "core.autocrlf", "true")
    assert git(root, "hash-object", FILE).strip() == branch(root)[FILE]
    assert problems(root) == refused(FILE)


def test_what_does_not_matter(root: Path) -> None:
    """Ignored files, and files outside the definitions such as the stack file itself."""
    (root / "apps/a.tmp").touch()
    (root / "README.md").write_text("edited\n")
    (root / "clusters/dev").mkdir(parents=True)
    (root / "clusters/dev/kustomization.yaml").touch()
    assert problems(root) == []


def test_many_files_are_counted(root: Path) -> None:
    for number in range(7):
        (root / f"apps/{number}.yaml").touch()
    paths = [f"apps/{number}.yaml" for number in range(5)]
    assert problems(root) == refused(*paths[:4], f"{paths[4]} and 2 more")


def test_a_referenced_cluster_has_no_such_rule(root: Path) -> None:
    (root / FILE).write_text("edited\n")
    assert problems(root, "") == []
