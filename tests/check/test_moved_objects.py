"""The rule about objects that move between Flux Kustomizations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fleet.check.run import Options, check_stacks
from fleet.config import load
from fleet.errors import FleetError
from fleet.inventory import build
from fleet.process import run as run_program
from fleet.render import definition_build, rendered_cluster, tree
from tests.check.support import APPS, INFRA, flux_kustomization
from tests.support import (
    INSTALL_MANIFESTS,
    config_map,
    definition,
    manifest,
    namespace,
    stack_file,
    write,
)

# These tests run programs or servers.
pytestmark = pytest.mark.slow

Check = Callable[[Mapping[str, str]], list[str]]
ANNOTATED = (
    "apiVersion: v1\nkind: Namespace\n"
    "metadata: {name: team, annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}}\n"
)
ACCOUNT = manifest("v1", "ServiceAccount", "a", "common", "automountServiceAccountToken: false\n")
ROLE = manifest("rbac.authorization.k8s.io/v1", "Role", "a", "common", "rules: []\n")
TEAM = stack_file("dev", infrastructure="namespaces/common namespaces/team", apps="team")
BESIDE = stack_file("dev", infrastructure="namespaces/common", apps="team")
MOVED = (
    "moves from Flux Kustomization flux-system/infra to flux-system/apps, so Flux may delete it "
    "and make it again; first annotate it with kustomize.toolkit.fluxcd.io/prune: disabled, and "
    "move it when the clusters have that"
)


def tenant(name: str, more: str = "") -> str:
    text = f"{{name: {name}, namespace: shop, repository: {{url: 'https://a.example/x'}}{more}}}"
    return stack_file("dev", more=f"  fleet:tenants: [{text}]\n")


def git(root: Path, *args: str) -> None:
    run_program(["git", "-c", "user.name=a", "-c", "user.email=a@b", *args], timeout=60, cwd=root)


def commit(root: Path, files: Mapping[str, str]) -> None:
    """Commit files and the tree of dev, as a person and `pulumi up` do."""
    write(root, files)
    stack = load.stack(root, "dev")
    with definition_build.reader(root) as definitions:
        rendered = rendered_cluster.render(definitions, stack)
    write(root, tree.render(stack, INSTALL_MANIFESTS, rendered))
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "a change")


@pytest.fixture
def root(checkout: Path) -> Path:
    """Return a checkout with one commit: a namespace in infra, and its app."""
    (checkout / "Pulumi.prod.yaml").unlink()
    git(checkout, "init", "--quiet", "--initial-branch", "main")
    commit(
        checkout,
        {
            **definition("infrastructure/namespaces/team", namespace("team")),
            **definition("apps/team", config_map("app", "team")),
            "Pulumi.dev.yaml": TEAM,
        },
    )
    return checkout


def check(root: Path, since: str | None = None) -> list[str]:
    stacks = [(load.stack(root, "dev"), None)]
    report = check_stacks(root, stacks, lambda _: None, Options(since=since))
    return [str(finding) for finding in report.findings]


def beside_its_app(root: Path) -> None:
    """Move the namespace from infra to beside its app."""
    both = f"{namespace('team')}---\n{config_map('app', 'team')}"
    write(root, {**definition("apps/team", both), "Pulumi.dev.yaml": BESIDE})


def test_nothing_moves_in_a_checkout_without_a_change(root: Path) -> None:
    assert check(root) == []


def test_a_namespace_that_moves_to_its_app(root: Path) -> None:
    beside_its_app(root)
    assert check(root) == [f"{APPS}: Namespace team: {MOVED}"]


def test_a_tree_that_is_rendered_and_not_committed(root: Path) -> None:
    """The tree in the checkout is that of the next `up`, but not that of the last commit."""
    beside_its_app(root)
    write(root, tree.render(load.stack(root, "dev"), INSTALL_MANIFESTS))
    assert check(root) == [f"{APPS}: Namespace team: {MOVED}"]
    git(root, "add", "--all")
    assert check(root) == [f"{APPS}: Namespace team: {MOVED}"]


def test_a_namespace_that_moves_in_the_definitions_alone(root: Path) -> None:
    """No list changes, so `pulumi up` has nothing to do with it."""
    both = f"{namespace('team')}---\n{config_map('app', 'team')}"
    write(root, definition("apps/team", both))
    write(root, definition("infrastructure/namespaces/team", config_map("other", "common")))
    assert check(root) == [f"{APPS}: Namespace team: {MOVED}"]


def named_by_variable(values: str) -> dict[str, str]:
    """Return an app whose two Kustomizations each have an object that a ConfigMap names."""
    names = manifest("v1", "ConfigMap", "names", "flux-system", f"data: {values}\n")
    spec = "  postBuild: {substituteFrom: [{kind: ConfigMap, name: names}]}\n"
    parts = [flux_kustomization(name, spec, f"./apps/{name}") for name in ("one", "two")]
    return {
        **definition("apps/team", "---\n".join([config_map("app", "team"), names, *parts])),
        **definition("apps/one", config_map("${one}", "team")),
        **definition("apps/two", config_map("${two}", "team")),
    }


def test_an_object_whose_name_changes_by_a_variable_alone(root: Path) -> None:
    commit(root, named_by_variable("{one: a, two: b}"))
    write(root, named_by_variable("{one: b, two: a}"))
    assert [finding.partition(", so")[0] for finding in check(root)] == [
        "apps/one: ConfigMap team/b: moves from Flux Kustomization flux-system/two to "
        "flux-system/one",
        "apps/two: ConfigMap team/a: moves from Flux Kustomization flux-system/one to "
        "flux-system/two",
    ]


def test_a_changed_field_moves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a large fleet most changes are such ones, so former trees are not built for them."""
    write(root, definition("apps/team", config_map("app", "team") + "data: {changed: yes}\n"))
    monkeypatch.setattr(build, "rebuild", None)
    assert [finding for finding in check(root) if "moves" in finding] == []


def test_a_move_that_is_committed_is_found_since_another_commit(root: Path) -> None:
    git(root, "branch", "before")
    beside_its_app(root)
    commit(root, {})
    assert check(root) == []
    assert check(root, since="before") == [f"{APPS}: Namespace team: {MOVED}"]


def test_a_namespace_that_moves_in_a_rendered_cluster(root: Path) -> None:
    rendered = "  fleet:definitions: rendered\n"
    commit(root, {"Pulumi.dev.yaml": TEAM + rendered})
    assert check(root) == []
    beside_its_app(root)
    write(root, {"Pulumi.dev.yaml": BESIDE + rendered})
    assert check(root) == [f"{APPS}: Namespace team: {MOVED}"]


def test_a_commit_that_does_not_exist(root: Path) -> None:
    with pytest.raises(FleetError) as refused:
        check(root, since="nowhere")
    assert str(refused.value) == f"--since nowhere: is no commit of {root}; name one that it has"


def test_an_object_that_stays_may_move(root: Path) -> None:
    commit(root, definition("infrastructure/namespaces/team", ANNOTATED))
    beside_its_app(root)
    assert check(root) == []


def test_an_annotation_that_comes_with_the_move_is_too_late(root: Path) -> None:
    both = f"{ANNOTATED}---\n{config_map('app', 'team')}"
    write(root, {**definition("apps/team", both), "Pulumi.dev.yaml": BESIDE})
    (found,) = check(root)
    assert found.startswith(f"{APPS}: Namespace team: moves from ")


def test_a_move_back_to_infra_is_found_too(root: Path) -> None:
    """It may race with a run of apps that still applies the object."""
    beside_its_app(root)
    commit(root, {})
    write(root, {**definition("apps/team", config_map("app", "team")), "Pulumi.dev.yaml": TEAM})
    (found,) = check(root)
    assert found.startswith(
        f"{INFRA}: Namespace team: moves from Flux Kustomization flux-system/apps to "
        "flux-system/infra, "
    )


@pytest.mark.parametrize("text", [ROLE, ACCOUNT])
def test_what_is_made_again_without_a_loss_may_move(text: str, root: Path) -> None:
    commit(root, definition("infrastructure/namespaces/team", f"{namespace('team')}---\n{text}"))
    write(root, definition("infrastructure/namespaces/team", namespace("team")))
    write(root, definition("apps/team", f"{config_map('app', 'team')}---\n{text}"))
    assert check(root) == []


def test_an_object_of_a_kustomization_that_gets_another_name(root: Path) -> None:
    """Its path and its objects are the same, but Flux has an inventory by name."""
    listed = definition("apps/team", flux_kustomization("one", "", "./apps/podinfo/base"))
    commit(root, listed)
    write(root, definition("apps/team", flux_kustomization("two", "", "./apps/podinfo/base")))
    (found,) = check(root)
    assert found.startswith(
        "apps/podinfo/base: ConfigMap common/podinfo: moves from Flux Kustomization "
        "flux-system/one to flux-system/two, "
    )


@pytest.mark.parametrize("spec", ["  prune: false\n", ""])
def test_a_kustomization_that_prunes_nothing(spec: str, root: Path) -> None:
    first = flux_kustomization("one", "", "./apps/podinfo/base")
    if spec:
        first = first.replace("  prune: true\n", spec)
    commit(root, definition("apps/team", first))
    write(root, definition("apps/team", flux_kustomization("two", "", "./apps/podinfo/base")))
    assert bool(check(root)) is not bool(spec)


def test_a_tenant_that_is_renamed_with_its_namespace(root: Path) -> None:
    """Its own objects are in another repository, and Flux would delete them too."""
    commit(root, {"Pulumi.dev.yaml": tenant("billing")})
    write(root, {"Pulumi.dev.yaml": tenant("payments")})
    remedy = (
        "so Flux may delete it and make it again; first set keep: true for tenant billing, and "
        "move it when the clusters have that"
    )
    assert check(root) == [
        "clusters/dev/tenants/payments: LimitRange shop/tenant, Namespace shop, NetworkPolicy "
        "shop/default-deny, NetworkPolicy shop/own-namespace, ResourceQuota shop/no-critical-pods, "
        "ResourceQuota shop/tenant: moves from Flux Kustomization flux-system/tenant-billing to "
        f"flux-system/tenant-payments, {remedy}",
        "shop/payments-apps: what is in namespace shop: moves from Flux Kustomization "
        f"shop/billing-apps to shop/payments-apps, {remedy}",
    ]


def test_a_tenant_that_keeps_what_it_has_may_be_renamed(root: Path) -> None:
    commit(root, {"Pulumi.dev.yaml": tenant("billing", ", keep: true")})
    write(root, {"Pulumi.dev.yaml": tenant("payments", ", keep: true")})
    assert check(root) == []


def test_a_tenant_whose_flux_objects_move_to_flux_system(root: Path) -> None:
    commit(root, {"Pulumi.dev.yaml": tenant("billing")})
    write(root, {"Pulumi.dev.yaml": tenant("billing", ", inFluxSystem: {because: a}")})
    (found,) = check(root)
    assert found.startswith(
        "flux-system/billing-apps: what is in namespace shop: moves from Flux Kustomization "
        "shop/billing-apps to flux-system/billing-apps, "
    )


def test_a_checkout_without_a_commit(checkout: Path) -> None:
    (checkout / "Pulumi.prod.yaml").unlink()
    assert check(checkout) == []
    git(checkout, "init", "--quiet")
    assert check(checkout) == []
