"""Commit messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.render import commits, tree
from tests.render.support import stack_of
from tests.support import INSTALL_MANIFESTS, stack_file


def test_a_commit_message_names_the_stack_the_file_and_its_content(checkout: Path) -> None:
    text = stack_file("dev", infrastructure="namespaces/common policies/shared")
    stack = stack_of(checkout, text)
    files = tree.render(stack, INSTALL_MANIFESTS)
    assert commits.commit_messages(stack, files) == {
        "clusters/dev/apps.yaml": "dev: apps.yaml",
        "clusters/dev/apps/kustomization.yaml": (
            "dev: apps/kustomization.yaml (podinfo/overlays/dev)"
        ),
        "clusters/dev/flux-system/gotk-components.yaml": (
            "dev: flux-system/gotk-components.yaml (Flux v2.9.2)"
        ),
        "clusters/dev/flux-system/gotk-sync.yaml": "dev: flux-system/gotk-sync.yaml",
        "clusters/dev/flux-system/kustomization.yaml": "dev: flux-system/kustomization.yaml",
        "clusters/dev/flux-system/platform-account.yaml": "dev: flux-system/platform-account.yaml",
        "clusters/dev/infra.yaml": "dev: infra.yaml",
        "clusters/dev/infra/kustomization.yaml": (
            "dev: infra/kustomization.yaml (namespaces/common)"
        ),
        "clusters/dev/kustomization.yaml": "dev: kustomization.yaml",
        "clusters/dev/policies.yaml": "dev: policies.yaml",
        "clusters/dev/policies/kustomization.yaml": (
            "dev: policies/kustomization.yaml (policies/shared)"
        ),
    }


CHANGES = {
    "another app": ("podinfo/overlays/dev", "podinfo/base"),
    "a policy more": ("namespaces/common", "namespaces/common, policies/shared"),
    "another Flux": ("config:\n", "config:\n  fleet:flux: {version: v2.9.3}\n"),
    "another branch": (
        "config:\n",
        "config:\n  fleet:repository: {owner: acme, name: platform, branch: next}\n",
    ),
    "a token": ("config:\n", "config:\n  fleet:pullToken: {secure: abc}\n"),
    "a reason": ("podinfo/overlays/dev", "{path: podinfo/overlays/dev, because: it is fine}"),
    "another context": ("k3d-dev", "k3d-dev-2"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_commit_message_changes_only_with_its_text(change: str, checkout: Path) -> None:
    """A message that changed alone would cause a commit without any change."""
    before = stack_of(checkout, stack_file("dev"))
    after = stack_of(checkout, stack_file("dev").replace(*CHANGES[change]))
    # A release of Flux has install manifests of its own.
    trees = [
        tree.render(s, f"{INSTALL_MANIFESTS}# {s.config.flux.version}\n") for s in (before, after)
    ]
    old, new = (
        commits.commit_messages(stack, files)
        for stack, files in zip((before, after), trees, strict=True)
    )
    for path in old.keys() & new.keys():
        if old[path] != new[path]:
            assert trees[0][path] != trees[1][path]
