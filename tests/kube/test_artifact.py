"""Test which files of a repository Flux fetches."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleet.errors import CommandError
from fleet.kube import artifact
from fleet.render.definition_build import OF_ONE_CLUSTER
from tests.support import write


def packed(root: Path, left_out: re.Pattern[str] | None = None) -> set[str]:
    """Return the files of the artifact of a repository."""
    copy = root.parent / "artifact"
    artifact.pack(root, copy, left_out)
    return {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}


def git(root: Path, *args: str) -> None:
    subprocess.run(["git", "-C", root, *args], check=True, capture_output=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty folder that is no checkout."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


class TestGit:
    """Files of a checkout."""

    @pytest.fixture(autouse=True)
    def repository(self, root: Path) -> None:
        git(root, "init", "--quiet")

    def test_tracked_and_not_ignored_files(self, root: Path) -> None:
        write(root, {"a": "", "b": "", "c": "", "d/e": "", ".gitignore": "b\nc\nd/\n"})
        git(root, "add", "--force", "b")
        assert packed(root) == {"a", "b"}

    def test_files_that_differ_from_a_commit(self, root: Path) -> None:
        write(root, {f"in/trees/{name}": "" for name in "abcd"})
        write(root, {"in/other": "", "trees/a": ""})
        git(root, "add", "--all")
        author = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        git(root, *author, "commit", "--quiet", "--message", "all")
        write(root, {"in/trees/a": "changed", "in/trees/new": "", "in/other": "changed"})
        write(root, {"in/trees/b": "changed and added", "trees/a": "changed"})
        git(root, "add", "in/trees/b")
        (root / "in/trees/c").unlink()
        found = artifact.changed_files(root / "in", "HEAD", "trees")
        assert sorted(found) == ["trees/a", "trees/b", "trees/c"]
        # Git does not look at such a file, so it may differ.
        git(root, "update-index", "--assume-unchanged", "in/trees/d")
        assert "trees/d" in artifact.changed_files(root / "in", "HEAD", "trees")

    def test_a_tracked_file_that_was_removed(self, root: Path) -> None:
        write(root, {"a": "", "b": ""})
        git(root, "add", "a")
        (root / "a").unlink()
        assert packed(root) == {"b"}

    def test_a_tracked_file_behind_a_symbolic_link(self, root: Path, tmp_path: Path) -> None:
        """Somebody has replaced the folder of the file by a link to another one."""
        write(root, {"a/b": ""})
        git(root, "add", "a/b")
        (root / "a").rename(tmp_path / "a")
        (root / "a").symlink_to(tmp_path / "a")
        assert packed(root) == set()

    def test_a_submodule(self, root: Path) -> None:
        write(root, {"a": "", "module/b": ""})
        git(root / "module", "init", "--quiet")
        assert packed(root) == {"a"}

    def test_the_variables_of_a_hook(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GIT_DIR", "elsewhere")
        monkeypatch.setenv("GIT_INDEX_FILE", "elsewhere")
        write(root, {"a": ""})
        assert packed(root) == {"a"}

    def test_names_of_all_kinds(self, root: Path) -> None:
        names = [
            b"a b",
            b'"',
            "\N{LATIN SMALL LETTER E WITH ACUTE}".encode(),
            b"\xff",
            b"-a",
            b"a\nb",
        ]
        for name in names:
            (root / os.fsdecode(name)).write_text("")
        assert packed(root) == {os.fsdecode(name) for name in names}

    def test_a_broken_repository(self, root: Path) -> None:
        write(root, {".git/config": "[broken\n"})
        with pytest.raises(CommandError, match=r"root: cannot be read: git: exit 128: [^\n]*$"):
            packed(root)


class TestFlux:
    """Files that source-controller leaves out."""

    def test_by_default(self, root: Path) -> None:
        files = (
            "a.png", "b/c.tar.gz", "d.zip", ".github/e.yaml", "f/.sops.yaml", ".gitmodules",
            "cloudbuild.yaml",
        )  # fmt: skip
        write(root, {"a.yaml": "", **dict.fromkeys(files, "")})
        assert packed(root) == {"a.yaml"}

    def test_patterns_replace_the_defaults(self, root: Path) -> None:
        write(root, {"a.png": "", "b.txt": "", ".gitattributes": "", ".sourceignore": "*.txt\n"})
        assert packed(root) == {"a.png", ".sourceignore"}

    def test_a_comment_is_no_pattern(self, root: Path) -> None:
        write(root, {"a.png": "", ".sourceignore": "# nothing\n\n"})
        assert packed(root) == {".sourceignore"}

    @pytest.mark.parametrize(
        ("patterns", "left"),
        [
            ({".sourceignore": "/*\n!/apps\n"}, {"apps/a/x.yaml", "apps/b/x.yaml"}),
            ({".sourceignore": "apps/a/\n"}, {"apps/b/x.yaml", "x.yaml"}),
            ({".sourceignore": "**/x.yaml\n!/x.yaml\n"}, {"x.yaml"}),
            ({"apps/a/.sourceignore": "x.yaml\n"}, {"apps/b/x.yaml", "x.yaml"}),
            ({"apps/.sourceignore": "/a\n"}, {"apps/b/x.yaml", "x.yaml"}),
            ({".sourceignore": "x.yaml\n", "apps/.sourceignore": "!a/x.yaml\n"}, {"apps/a/x.yaml"}),
        ],
    )
    def test_patterns(self, patterns: Mapping[str, str], left: set[str], root: Path) -> None:
        write(root, {"x.yaml": "", "apps/a/x.yaml": "", "apps/b/x.yaml": "", **patterns})
        assert {name for name in packed(root) if name.endswith(".yaml")} == left

    def test_what_is_no_file(self, root: Path, tmp_path: Path) -> None:
        write(tmp_path, {"outside/a": ""})
        write(root, {"b": ""})
        (root / "file").symlink_to(tmp_path / "outside" / "a")
        (root / "folder").symlink_to(tmp_path / "outside")
        (root / "nothing").symlink_to("nowhere")
        os.mkfifo(root / "pipe")
        assert packed(root) == {"b"}

    def test_files_of_one_cluster_that_are_left_out(self, root: Path) -> None:
        write(root, {"clusters/dev/a": "", "apps/clusters/b": "", "clusters.yaml": ""})
        write(root, {"Pulumi.dev.yaml": ""})
        assert packed(root, OF_ONE_CLUSTER) == {"apps/clusters/b", "clusters.yaml"}


class TestBlobs:
    """Git's names for the contents of a commit's files."""

    @pytest.fixture(autouse=True)
    def repository(self, root: Path) -> None:
        git(root, "init", "--quiet")
        write(root, {"apps/a.yaml": "a: b\n", "clusters/dev/a.yaml": "a: b\n"})
        (root / "link").symlink_to("apps/a.yaml")
        git(root, "add", "--all")
        git(root, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--message", "a")

    @staticmethod
    def is_same(root: Path) -> bool:
        return artifact.has_files_of(root, artifact.blobs(root, "HEAD"), OF_ONE_CLUSTER)

    def test_contents(self, root: Path) -> None:
        found = artifact.blobs(root, "HEAD")
        assert list(found) == ["apps/a.yaml", "clusters/dev/a.yaml"]
        assert artifact.is_blob(b"a: b\n", found["apps/a.yaml"])
        assert not artifact.is_blob(b"a: c\n", found["apps/a.yaml"])

    def test_the_files_of_the_commit(self, root: Path) -> None:
        assert self.is_same(root)

    @pytest.mark.parametrize("path", ["apps/a.yaml", "apps/b.yaml"])
    def test_a_changed_and_a_new_file(self, path: str, root: Path) -> None:
        write(root, {path: "a: c\n"})
        assert not self.is_same(root)

    def test_a_removed_file(self, root: Path) -> None:
        (root / "apps/a.yaml").unlink()
        assert not self.is_same(root)

    def test_what_is_left_out(self, root: Path) -> None:
        write(root, {"clusters/dev/a.yaml": "a: c\n"})
        assert self.is_same(root)

    def test_some_files_of_a_commit(self, root: Path, tmp_path: Path) -> None:
        assert artifact.extract(root, "HEAD", tmp_path / "some", (".", ":(exclude)clusters"))
        files = [path.name for path in (tmp_path / "some").rglob("*") if path.is_file()]
        assert files == ["a.yaml"]
