"""The commits of a cluster's tree."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

import pulumi
import pytest

from components.cluster_tree import ClusterTree, ClusterTreeArgs
from fleet.render.commit_order import Commit
from fleet.render.place_moves import FormerTree
from tests.components.helpers import (
    FILE,
    GITHUB,
    TREE,
    options_on_github,
)
from tests.components.recording import UNKNOWN, Recording, run


class TestClusterTree:
    FILES: Mapping[str, str] = {
        "clusters/dev/apps/kustomization.yaml": "leaf\n",
        "clusters/dev/infra/kustomization.yaml": "leaf too\n",
        "clusters/dev/apps.yaml": "refers to the leaf\n",
        "clusters/dev/kustomization.yaml": "refers to all\n",
    }
    WAVES = (
        ("clusters/dev/apps/kustomization.yaml", "clusters/dev/infra/kustomization.yaml"),
        ("clusters/dev/apps.yaml",),
        ("clusters/dev/kustomization.yaml",),
    )
    ENTRYPOINT = "clusters/dev/kustomization.yaml"

    def record(
        self,
        *,
        preview: bool = False,
        files: Mapping[str, str] = FILES,
        commits: Mapping[str, str] | None = None,
        waves: Sequence[Sequence[str]] = WAVES,
    ) -> Recording:
        """Record a tree; `commits` are the commits that the provider knows, by path."""

        def program() -> None:
            args = ClusterTreeArgs(
                repository="platform",
                branch="main",
                messages={path: f"dev: {path}" for path in self.FILES},
                waves=[[Commit(path=path, text=files[path]) for path in w] for w in waves],
                entrypoint=self.ENTRYPOINT,
            )
            tree = ClusterTree("dev", args, options_on_github())
            assert [f._name for f in tree.files] == [path for wave in waves for path in wave]
            pulumi.export("digest", tree.digest)

        computed = {path: {"commitSha": sha} for path, sha in (commits or {}).items()}
        return run(program, preview=preview, computed=computed)

    def test_each_file_is_one_resource(self) -> None:
        recording = self.record()
        files = recording.all(FILE)
        assert {file.name: dict(file.inputs) for file in files} == {
            path: {
                "repository": "platform",
                "branch": "main",
                "file": path,
                "content": text,
                "commitMessage": f"dev: {path}",
                "overwriteOnCreate": True,
            }
            for path, text in self.FILES.items()
        }
        for file in files:
            assert file.provider == recording.one(GITHUB).urn
            assert recording.by_urn(file.parent).type == TREE
            assert not file.secrets
            # Flux would prune everything that it runs if the entrypoint went.
            entrypoint = file.name == "clusters/dev/kustomization.yaml"
            assert file.deleted_with == (recording.one(TREE).urn if entrypoint else "")
            # Both flags would stay with a tree that the cluster has left.
            assert not file.protect
            assert not file.retain_on_delete
        assert len(recording.resources) == 4 + len(self.FILES)

    @pytest.mark.parametrize("preview", [False, True])
    def test_what_is_referenced_is_committed_before(self, preview: bool) -> None:
        """Pulumi deletes in the reverse order, so a file is removed after what refers to it."""
        recording = self.record(preview=preview)
        earlier: set[str] = set()
        for wave in self.WAVES:
            for path in wave:
                assert recording.before(recording.one(FILE, path)) == earlier
            earlier |= set(wave)

    def record_on(self, branch: str, former: FormerTree | None = None) -> Recording:
        """Record the tree on a branch, with the tree that the cluster moves from."""

        def program() -> None:
            args = ClusterTreeArgs(
                repository="platform",
                branch=branch,
                messages={path: f"dev: {path}" for path in self.FILES},
                waves=[[Commit(path=p, text=self.FILES[p]) for p in wave] for wave in self.WAVES],
                entrypoint=self.ENTRYPOINT,
                former=former,
            )
            ClusterTree("dev", args, options_on_github())

        return run(program)

    def test_a_state_can_have_the_trees_of_two_branches(self) -> None:
        """Earlier versions named the files by their paths alone, whatever the branch."""
        on_main, on_release = self.record_on("main"), self.record_on("release")
        assert {file.name for file in on_main.all(FILE)} == set(self.FILES)
        assert {file.name for file in on_release.all(FILE)} == {
            f"release:{path}" for path in self.FILES
        }
        for file in on_main.all(FILE):
            assert not file.former_names
        for file in on_release.all(FILE):
            assert file.former_names == {file.inputs["file"]}

    FORMER = FormerTree(
        branch="main",
        waves=[
            ["clusters/old/apps/kustomization.yaml", "clusters/old/flux-system/gotk-sync.yaml"],
            ["clusters/old/kustomization.yaml"],
        ],
        redirect="clusters/old/flux-system/gotk-sync.yaml",
        text="leads to the new tree\n",
        message="new: flux-system/gotk-sync.yaml",
    )

    def test_the_former_tree_leads_flux_to_the_complete_new_one(self) -> None:
        recording = self.record_on("release", self.FORMER)
        former = [file for file in recording.all(FILE) if not file.name.startswith("release:")]
        assert {file.name for file in former} == {p for wave in self.FORMER.waves for p in wave}
        (redirect,) = (file for file in former if file.inputs["content"])
        assert redirect.name == self.FORMER.redirect
        assert redirect.inputs["content"] == self.FORMER.text
        assert redirect.inputs["branch"] == "main"
        assert recording.before(redirect) == {f"release:{path}" for path in self.FILES}
        for file in recording.all(FILE):
            # The new tree must not take over the resources of the former one.
            assert not file.former_names

    def test_the_rest_of_the_former_tree_stays_as_it_is(self) -> None:
        """It is known in the order in which it was made, so it is removed in the reverse order."""
        recording = self.record_on("release", self.FORMER)
        for wave in self.FORMER.waves:
            for path in wave:
                file = recording.one(FILE, path)
                assert file.import_id == f"platform:{path}:main"
                assert not file.retain_on_delete
                assert (file.ignore_changes == ("*",)) is (path != self.FORMER.redirect)
        entrypoint = recording.one(FILE, "clusters/old/kustomization.yaml")
        assert entrypoint.deleted_with == recording.one(TREE).urn
        assert recording.before(entrypoint) >= set(self.FORMER.waves[0])

    def test_a_file_that_is_committed_twice_has_a_second_resource(self) -> None:
        """The next run drops it from the state and leaves the file, which has its text."""
        infra, entrypoint = (
            "clusters/dev/infra/kustomization.yaml",
            "clusters/dev/kustomization.yaml",
        )
        paths = [[infra], [entrypoint], [infra], [entrypoint]]

        def program() -> None:
            args = ClusterTreeArgs(
                repository="platform",
                branch="main",
                messages={path: f"dev: {path}" for path in (infra, entrypoint)},
                waves=[
                    [Commit(path=path, text=str(number)) for path in wave]
                    for number, wave in enumerate(paths)
                ],
                entrypoint=entrypoint,
            )
            ClusterTree("dev", args, options_on_github())

        first, listing, *again = run(program).all(FILE)
        assert [(file.name, file.inputs["content"]) for file in (first, listing)] == [
            (infra, "0"),
            (entrypoint, "1"),
        ]
        for before, second, text in zip((first, listing), again, "23", strict=True):
            # Another text is another resource, also when two runs in a row commit a file twice.
            digest = hashlib.sha256(json.dumps([text]).encode()).hexdigest()[:12]
            assert second.name == f"{before.name} ({digest})"
            assert second.inputs["content"] == text
            assert second.inputs["file"] == before.name
            assert second.inputs["commitMessage"] == before.inputs["commitMessage"]
            assert (second.retain_on_delete, second.protect) == (True, False)

    COMMITS: Mapping[str, str] = {path: f"{number:040}" for number, path in enumerate(FILES)}

    def digest(
        self,
        *,
        preview: bool = False,
        files: Mapping[str, str] = FILES,
        commits: Mapping[str, str] = COMMITS,
        waves: Sequence[Sequence[str]] = WAVES,
    ) -> str:
        recording = self.record(preview=preview, files=files, commits=commits, waves=waves)
        digest = recording.outputs["digest"]
        assert isinstance(digest, str)
        return digest

    def test_the_digest_is_the_same_until_something_is_committed(self) -> None:
        digest = self.digest()
        assert re.fullmatch(r"[0-9a-f]{12}", digest)
        assert self.digest() == digest
        # A preview knows the commits of files that do not change.
        assert self.digest(preview=True) == digest

    def test_the_order_of_the_commits_makes_no_other_digest(self) -> None:
        """The run after a change has another order, and nothing to commit."""
        assert self.digest(waves=self.WAVES[::-1]) == self.digest()

    @pytest.mark.parametrize("path", FILES)
    def test_any_commit_is_another_digest(self, path: str) -> None:
        """A file that somebody edited by hand is committed with its old contents."""
        assert self.digest(commits={**self.COMMITS, path: "f" * 40}) != self.digest()

    @pytest.mark.parametrize("path", FILES)
    def test_other_contents_are_another_digest(self, path: str) -> None:
        """A run that was interrupted commits contents without a commit in the state."""
        assert self.digest(files={**self.FILES, path: "other\n"}) != self.digest()

    def test_the_digest_of_what_only_an_up_will_commit(self) -> None:
        *known, new = self.FILES
        commits = {path: self.COMMITS[path] for path in known}
        assert new not in commits
        assert self.digest(preview=True, commits=commits) == UNKNOWN
