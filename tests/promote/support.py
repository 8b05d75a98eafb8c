"""The clusters of the worked examples: dev, test and prod, of which only test has foo-app."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from fleet.inventory import model
from tests.inventory.support import commit, install_manifests, write_tree
from tests.support import PROJECT, config_map, definition, kustomization, manifest, namespace

NAMESPACES = "infrastructure/namespaces"
POLICIES = "infrastructure/policies/kyverno"
STACKS = ("dev", "test", "prod")
_ENFORCED = """\
nameSuffix: -enforced
patches:
  - target: {kind: .*Policy}
    patch: |-
      - {op: add, path: /spec/validationActions, value: [Deny]}
"""


def stack_file(name: str, infrastructure: str, apps: str) -> str:
    """Return a stack file with a line for each entry."""
    lists = {"infrastructure": infrastructure, "apps": apps}
    text = f"# All of {name}.\nconfig:\n  fleet:cluster: {{kubeconfig: k, context: k3d-{name}}}\n"
    for key, entries in lists.items():
        text += f"  fleet:{key}:\n" + "".join(f"    - {entry}\n" for entry in entries.split())
    return text


def policy(name: str, action: str) -> str:
    """Return a ValidatingPolicy that wants a label on Deployments."""
    spec = (
        f"spec:\n  validationActions: [{action}]\n"
        "  matchConstraints:\n    resourceRules:\n"
        "      - {apiGroups: [apps], apiVersions: [v1], operations: [CREATE], "
        "resources: [deployments]}\n"
        "  validations:\n    - {expression: 'has(object.metadata.labels)', message: no labels}\n"
    )
    return manifest("policies.kyverno.io/v1", "ValidatingPolicy", name, "", spec)


FILES: Mapping[str, str] = {
    "Pulumi.yaml": PROJECT,
    "Pulumi.dev.yaml": stack_file(
        "dev", "namespaces/common policies/kyverno/shared namespaces/team-x",
        "common podinfo/overlays/dev",
    ),
    "Pulumi.test.yaml": stack_file(
        "test",
        "namespaces/common policies/kyverno/shared policies/kyverno/test-only namespaces/team-x "
        "namespaces/test-only",
        "common podinfo/overlays/test foo-app/base",
    ),
    "Pulumi.prod.yaml": stack_file(
        "prod",
        "namespaces/common policies/kyverno/shared policies/kyverno/prod namespaces/team-x",
        "common podinfo/overlays/prod",
    ),
    f"{NAMESPACES}/common/kustomization.yaml": kustomization("ns-monitoring.yaml"),
    f"{NAMESPACES}/common/ns-monitoring.yaml": namespace("monitoring"),
    **definition(f"{NAMESPACES}/team-x", namespace("team-x")),
    f"{NAMESPACES}/test-only/kustomization.yaml": kustomization("ns-foo.yaml"),
    f"{NAMESPACES}/test-only/ns-foo.yaml": namespace("foo"),
    f"{POLICIES}/shared/kustomization.yaml": kustomization("first"),
    **definition(f"{POLICIES}/shared/first", policy("first", "Audit")),
    f"{POLICIES}/test-only/kustomization.yaml": kustomization("second.yaml", "third.yaml"),
    f"{POLICIES}/test-only/second.yaml": policy("second", "Audit"),
    f"{POLICIES}/test-only/third.yaml": policy("third", "Audit"),
    f"{POLICIES}/prod/kustomization.yaml": f"{kustomization('../shared/first')}{_ENFORCED}",
    "apps/common/kustomization.yaml": kustomization("agent"),
    **definition("apps/common/agent", config_map("agent", "monitoring")),
    **definition("apps/foo-app/base", config_map("foo-app", "foo")),
    **definition("apps/podinfo/base", config_map("podinfo", "team-x")),
    **{
        f"apps/podinfo/overlays/{name}/kustomization.yaml": kustomization("../../base")
        for name in STACKS
    },
}  # fmt: skip


def make(root: Path) -> None:
    """Make the checkout of the examples, with the trees of all clusters, and commit it."""
    commit(root, FILES)
    for name in STACKS:
        write_tree(root, name)
    commit(root)


def objects(root: Path) -> dict[str, set[str]]:
    """Return the objects of each cluster that are not Flux's own."""
    with ExitStack() as stack:
        fleet = stack.enter_context(model.of_checkout(root, install_manifests, lambda _: None))
        assert not [str(item) for item in model.problems(fleet)]
        return {
            name: {
                found.display_name
                for found in cluster.objects
                if found.kind in ("Namespace", "ConfigMap", "ValidatingPolicy")
                and found.name != "flux-system"
            }
            for name, cluster in fleet.clusters.items()
        }
