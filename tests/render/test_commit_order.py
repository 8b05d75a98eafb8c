"""The order of commits."""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fleet.config import load
from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.kube.manifest import ObjectId
from fleet.render import commit_order, tree
from fleet.render.commit_order import Commit
from tests.render.support import manifests_in, no_objects, resources_in, stack_of
from tests.support import (
    INSTALL_MANIFESTS,
    REPOSITORY,
    TENANCY,
    config_map,
    definition,
    namespace,
    stack_file,
    write,
)

Lists = tuple[str, str]
Commits = Callable[[Lists, Lists], list[str]]


def test_every_commit_of_a_first_run_is_a_valid_tree(rendered: Stack) -> None:
    """Whatever a file refers to is in an earlier wave; within a wave any order is valid."""
    files = tree.render(rendered, INSTALL_MANIFESTS)
    waves = [
        [commit.path for commit in wave]
        for wave in commit_order.commit_waves(rendered, files, {}, no_objects)
    ]
    assert sorted(itertools.chain.from_iterable(waves)) == sorted(files)
    assert waves[-1] == [f"{rendered.path}/kustomization.yaml"]
    committed: set[str] = set()
    for wave in waves:
        for path in wave:
            for target in references(path, files[path]):
                known = {*committed, *map(posixpath.dirname, committed)}
                assert (
                    target in known or (REPOSITORY / target).exists() or (TENANCY / target).exists()
                ), path
        committed.update(wave)


def references(path: str, text: str) -> list[str]:
    """Return the paths in the repository that a file refers to."""
    if posixpath.basename(path) == "kustomization.yaml":
        folder = posixpath.dirname(path)
        return [posixpath.normpath(f"{folder}/{item}") for item in resources_in(text)]
    own = f"{posixpath.dirname(path)}/"
    return [
        posixpath.normpath(item["spec"]["path"])
        for item in manifests_in(text)
        if item["apiVersion"].startswith("kustomize.toolkit")
        and item["spec"]["sourceRef"]["name"] == "flux-system"
        # The root Kustomization applies the folder that holds its own file.
        and not own.startswith(posixpath.normpath(item["spec"]["path"]) + "/flux-system")
    ]


def _namespaces(*names: str) -> frozenset[ObjectId]:
    return frozenset(
        ObjectId(group="", kind="Namespace", namespace="", name=name) for name in names
    )


class TestTransition:
    """Transitions between two stacks of the small checkout."""

    OBJECTS: Mapping[str, frozenset[ObjectId]] = {
        "infrastructure/namespaces/common": _namespaces("common"),
        "infrastructure/namespaces/test-only": _namespaces("foo"),
        "infrastructure/namespaces/both": _namespaces("common", "foo"),
        "infrastructure/namespaces/other": _namespaces("foo", "other"),
    }

    @pytest.fixture
    def commits(self, checkout: Path) -> Commits:
        """Return a function from two pairs of lists to the commits between them."""
        others = {
            **definition("infrastructure/namespaces/both", namespace("foo")),
            **definition("infrastructure/namespaces/other", namespace("foo")),
            **definition("apps/other", config_map("other", "foo")),
        }
        write(checkout, others)

        def commits_between(before: Lists, after: Lists) -> list[str]:
            former, new = (self.tree_of(checkout, lists) for lists in (before, after))
            stack = load.stack(checkout, "dev")
            found = commit_order.commit_waves(stack, new, former, self.OBJECTS.get)
            last = dict(former)
            lines = []
            for commit in itertools.chain.from_iterable(found):
                if last.get(commit.path) != commit.text:
                    last[commit.path] = commit.text
                    name = commit.path.removeprefix("clusters/dev/")
                    lines.append(f"{name}: {' '.join(_names(commit))}")
            assert {**former, **last} == {**former, **new}
            return lines

        return commits_between

    def tree_of(self, checkout: Path, lists: Lists) -> dict[str, str]:
        infrastructure, apps = lists
        text = stack_file("dev", infrastructure=infrastructure, apps=apps)
        text = text.replace("namespaces/test-only", "{path: namespaces/test-only, because: a test}")
        return tree.render(stack_of(checkout, text), INSTALL_MANIFESTS)

    SMALL: Lists = ("namespaces/common", "podinfo/base")
    LARGE: Lists = ("namespaces/common namespaces/test-only", "podinfo/base other")

    def test_a_namespace_comes_before_its_app(self, commits: Commits) -> None:
        assert commits(self.SMALL, self.LARGE) == [
            "infra/kustomization.yaml: common test-only",
            "apps/kustomization.yaml: base other",
        ]

    def test_a_namespace_goes_after_its_app(self, commits: Commits) -> None:
        assert commits(self.LARGE, self.SMALL) == [
            "apps/kustomization.yaml: base",
            "infra/kustomization.yaml: common",
        ]

    def test_a_list_that_is_needed_before_and_after_is_committed_twice(
        self, commits: Commits
    ) -> None:
        after = ("namespaces/test-only", "other")
        assert commits(self.SMALL, after) == [
            "infra/kustomization.yaml: test-only common",
            "apps/kustomization.yaml: other",
            "infra/kustomization.yaml: test-only",
        ]

    def test_a_list_that_only_loses_needs_one_commit(self, commits: Commits) -> None:
        before = ("namespaces/common namespaces/test-only", "podinfo/base")
        assert commits(before, ("namespaces/common", "other")) == [
            "apps/kustomization.yaml: other",
            "infra/kustomization.yaml: common",
        ]

    def test_a_replacement_takes_no_object_away(self, commits: Commits) -> None:
        """No list may have an object twice, so it comes before the app and takes nothing away."""
        assert commits(self.SMALL, ("namespaces/both", "other")) == [
            "infra/kustomization.yaml: both",
            "apps/kustomization.yaml: other",
        ]
        assert commits(("namespaces/both", "other"), self.SMALL) == [
            "apps/kustomization.yaml: base",
            "infra/kustomization.yaml: common",
        ]

    def test_a_replacement_that_could_take_an_object_too_early_is_refused(
        self, commits: Commits
    ) -> None:
        with pytest.raises(FleetError) as refused:
            commits(("namespaces/both", "podinfo/base"), ("namespaces/other", "other"))
        assert str(refused.value) == (
            "Pulumi.dev.yaml: infrastructure/namespaces/both: is replaced, and later stages get "
            "and lose entries too, so Namespace common could go before what needs it; replace it "
            "in a run of its own"
        )

    def test_an_entry_without_a_folder_goes_first(
        self, commits: Commits, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Flux cannot build a list that names it, so nothing waits for it."""
        known = {k: v for k, v in self.OBJECTS.items() if not k.endswith("common")}
        monkeypatch.setattr(type(self), "OBJECTS", known)
        assert commits(self.SMALL, ("namespaces/test-only", "other"))[0] == (
            "infra/kustomization.yaml: test-only"
        )

    def test_a_stage_comes_between_what_it_needs_and_what_needs_it(self, commits: Commits) -> None:
        """No Flux Kustomization depends on a stage that is not there, before or after."""
        infrastructure, apps = self.LARGE
        larger = (f"{infrastructure} policies/shared", apps)
        assert commits(self.SMALL, larger) == [
            "policies/kustomization.yaml: shared",
            "policies.yaml: policies",
            "infra/kustomization.yaml: common test-only",
            "kustomization.yaml: flux-system infra.yaml policies.yaml apps.yaml",
            "apps.yaml: apps",
            "apps/kustomization.yaml: base other",
        ]
        assert commits(larger, self.SMALL) == [
            "apps.yaml: apps",
            "apps/kustomization.yaml: base",
            "kustomization.yaml: flux-system infra.yaml apps.yaml",
            "infra/kustomization.yaml: common",
        ]


def _names(commit: Commit) -> list[str]:
    """Return the last part of each resource of a list, or the name of another object."""
    (manifest,) = manifests_in(commit.text)
    if "resources" not in manifest:
        return [str(manifest["metadata"]["name"])]
    return [posixpath.basename(item) for item in manifest["resources"]]
