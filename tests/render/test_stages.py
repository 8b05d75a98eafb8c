"""The stages in which entries are applied, and their order."""

from __future__ import annotations

import posixpath
from pathlib import Path

import pytest

from fleet.config.models import Stack
from fleet.render import stages, tree
from tests.render.support import manifest_in, resources_in, stack_of
from tests.support import REPOSITORY, stack_file


def test_every_entry_leads_to_a_shared_definition(shipped: Stack) -> None:
    files = tree.render(shipped, None)
    for stage in stages.entries_by_stage(shipped):
        folder = f"{shipped.path}/{stage.value}"
        for resource in resources_in(files[f"{folder}/kustomization.yaml"]):
            target = posixpath.normpath(f"{folder}/{resource}")
            assert target.startswith(("apps/", "infrastructure/"))
            assert (REPOSITORY / target / "kustomization.yaml").is_file()


def test_entries_keep_the_order_of_the_stack_file(checkout: Path) -> None:
    text = stack_file(
        "dev",
        infrastructure="policies/shared namespaces/common",
        apps="podinfo/overlays/dev podinfo/base",
    )
    files = tree.render(stack_of(checkout, text), None)
    assert resources_in(files["clusters/dev/apps/kustomization.yaml"]) == [
        "../../../apps/podinfo/overlays/dev",
        "../../../apps/podinfo/base",
    ]
    text = text.replace("podinfo/overlays/dev, podinfo/base", "podinfo/base, podinfo/overlays/dev")
    other = tree.render(stack_of(checkout, text), None)
    assert [path for path in files if files[path] != other[path]] == [
        "clusters/dev/apps/kustomization.yaml"
    ]


def test_policies_are_applied_between_infra_and_apps(checkout: Path) -> None:
    text = stack_file("dev", infrastructure="policies/shared namespaces/common")
    files = tree.render(stack_of(checkout, text), None)
    assert resources_in(files["clusters/dev/infra/kustomization.yaml"]) == [
        "../../../infrastructure/namespaces/common"
    ]
    assert resources_in(files["clusters/dev/policies/kustomization.yaml"]) == [
        "../../../infrastructure/policies/shared"
    ]
    assert resources_in(files["clusters/dev/kustomization.yaml"]) == [
        "./flux-system",
        "./infra.yaml",
        "./policies.yaml",
        "./apps.yaml",
    ]
    specs = {
        stage: manifest_in(files[f"clusters/dev/{stage}.yaml"])["spec"]
        for stage in ("infra", "policies", "apps")
    }
    assert "dependsOn" not in specs["infra"]
    assert specs["policies"]["dependsOn"] == [{"name": "infra"}]
    assert specs["apps"]["dependsOn"] == [{"name": "infra"}, {"name": "policies"}]
    # A stage that does not wait would be ready before its objects are.
    assert all(spec["wait"] is True for spec in specs.values())


@pytest.mark.parametrize(
    ("infrastructure", "apps", "chain"),
    [
        ("namespaces/common", "podinfo/base", ["infra", "apps"]),
        ("policies/shared", "podinfo/base", ["policies", "apps"]),
        ("namespaces/common policies/shared", "", ["infra", "policies"]),
        ("", "podinfo/base", ["apps"]),
        ("namespaces/common", "", ["infra"]),
        ("", "", []),
    ],
)
def test_a_stage_without_entries_is_left_out(
    infrastructure: str, apps: str, chain: list[str], checkout: Path
) -> None:
    """Each remaining stage depends on all that are left before it."""
    text = (
        "config:\n"
        "  fleet:cluster: {kubeconfig: kubeconfig, context: k3d-dev}\n"
        f"  fleet:infrastructure: [{', '.join(infrastructure.split())}]\n"
        f"  fleet:apps: [{apps}]\n"
    )
    files = tree.render(stack_of(checkout, text), None)
    assert resources_in(files["clusters/dev/kustomization.yaml"]) == [
        "./flux-system",
        *(f"./{stage}.yaml" for stage in chain),
    ]
    assert sorted(files) == sorted(
        [
            "clusters/dev/kustomization.yaml",
            "clusters/dev/flux-system/gotk-sync.yaml",
            "clusters/dev/flux-system/kustomization.yaml",
            "clusters/dev/flux-system/platform-account.yaml",
            *(f"clusters/dev/{stage}.yaml" for stage in chain),
            *(f"clusters/dev/{stage}/kustomization.yaml" for stage in chain),
        ]
    )
    for index, stage in enumerate(chain):
        spec = manifest_in(files[f"clusters/dev/{stage}.yaml"])["spec"]
        assert [item["name"] for item in spec.get("dependsOn", ())] == chain[:index]
