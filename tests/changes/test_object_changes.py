"""Deletions, moves and refused changes, found in the files of a checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.changes.change_notes import Rule
from fleet.changes.impact import Change
from tests.check.support import CRD, flux_kustomization
from tests.inventory.support import cluster, commit, impact_of, notes, only, shown
from tests.support import (
    config_map,
    definition,
    git_repository,
    helm_release,
    manifest,
    namespace,
    stack_file,
    write,
)

# These tests run programs or servers.
pytestmark = pytest.mark.slow

TEAM = "infrastructure/namespaces/team"
APP = "apps/team"
NESTED = "apps/nested"
STACK = stack_file("dev", infrastructure="namespaces/common namespaces/team", apps="team")
KEPT = "  annotations: {kustomize.toolkit.fluxcd.io/prune: disabled}\n"
EVERYTHING = "everything in the namespace goes, also what is not in this repository"
MOVED = "moves from Flux Kustomization flux-system/infra to flux-system/apps"


@pytest.fixture
def root(checkout: Path) -> Path:
    """Return a committed checkout: the namespace team in infra, and its app."""
    (checkout / "Pulumi.prod.yaml").unlink()
    commit(
        checkout,
        {
            **definition(TEAM, namespace("team")),
            **definition(APP, config_map("app", "team")),
            "Pulumi.dev.yaml": STACK,
        },
    )
    return checkout


def changes(root: Path, text: str, folder: str = APP) -> list[Change]:
    """Return the changes when a definition gets another text."""
    write(root, definition(folder, text))
    return list(cluster(impact_of(root)).changes)


def change(root: Path, before: str, after: str, folder: str = APP) -> Change:
    """Return the one change when a definition gets another text."""
    commit(root, definition(folder, before))
    (found,) = changes(root, after, folder)
    return found


def test_an_object_that_goes_is_deleted(root: Path) -> None:
    (gone, new) = changes(root, config_map("other", "team"))
    assert (gone.found.kind.value, gone.found.is_deleted) == ("removed", True)
    assert notes(gone) == ["Flux deletes it"]
    assert (new.found.kind.value, new.found.is_deleted) == ("added", False)


def test_an_object_that_is_kept_is_not_deleted(root: Path) -> None:
    commit(root, definition(APP, config_map("app", "team").replace("\ndata:", f"\n{KEPT}data:")))
    gone, _ = changes(root, config_map("other", "team"))
    assert not gone.found.is_deleted
    assert notes(gone) == [
        "stays in the cluster, because its annotation tells Flux not to delete it"
    ]


def test_a_namespace_takes_all_that_is_in_it(root: Path) -> None:
    """Its app stays in the tree, so Flux tries to make it again."""
    found = changes(root, namespace("other"), TEAM)
    by_name = {str(item.found.object): item for item in found}
    assert notes(by_name["Namespace team"]) == [
        "Flux deletes it",
        f"takes 1 objects with it: ConfigMap team/app; {EVERYTHING}",
    ]
    app = by_name["ConfigMap team/app"]
    assert (app.found.kind.value, app.found.is_deleted) == ("recreated", True)
    assert notes(app) == [
        "is deleted together with Namespace team, and it is made again as soon as that is possible"
    ]


def test_a_namespace_that_is_only_renamed_in_all_its_objects(root: Path) -> None:
    write(root, definition(APP, config_map("app", "other")))
    write(root, definition(TEAM, namespace("other")))
    found = cluster(impact_of(root))
    assert sorted(shown(found)) == [
        "merge added ConfigMap other/app",
        "merge added Namespace other",
        "merge removed ConfigMap team/app",
        "merge removed Namespace team",
    ]
    assert len(found.deletions) == 2


WIDGET = manifest("example.com/v1", "Widget", "w", "team")


def test_a_crd_takes_all_objects_of_its_kind(root: Path) -> None:
    commit(root, {**definition(TEAM, f"{namespace('team')}---\n{CRD}"), **definition(APP, WIDGET)})
    found = changes(root, namespace("team"), TEAM)
    crd = next(item for item in found if item.found.object.kind == "CustomResourceDefinition")
    assert notes(crd)[1] == (
        "takes 1 objects with it: Widget team/w; all objects of its kind go, also those that are "
        "not in this repository"
    )
    widget = next(item for item in found if item.found.object.kind == "Widget")
    assert (widget.found.kind.value, widget.found.is_deleted) == ("recreated", True)


def nested(spec: str = "") -> str:
    return flux_kustomization("one", spec, f"./{NESTED}")


def with_nested(root: Path, listed: str) -> None:
    commit(root, {**definition(APP, listed), **definition(NESTED, config_map("inner", "team"))})


def removed_parent(root: Path, listed: str) -> dict[str, Change]:
    with_nested(root, listed)
    found = changes(root, config_map("app", "team"))
    return {str(item.found.object): item for item in found}


def test_a_kustomization_takes_all_that_it_applied(root: Path) -> None:
    found = removed_parent(root, nested())
    assert notes(found["Kustomization flux-system/one"]) == [
        "Flux deletes it",
        "takes 1 objects with it: ConfigMap team/inner",
    ]
    assert notes(found["ConfigMap team/inner"]) == [
        "is deleted together with Kustomization flux-system/one"
    ]


def test_a_kustomization_of_kustomizations_takes_all_below(root: Path) -> None:
    deep = flux_kustomization("two", "", "./apps/deep")
    commit(root, definition("apps/deep", config_map("deep", "team")))
    commit(root, {**definition(NESTED, deep), **definition(APP, nested())})
    found = {str(item.found.object): item for item in changes(root, config_map("a", "team"))}
    assert notes(found["Kustomization flux-system/one"])[1] == (
        "takes 2 objects with it: ConfigMap team/deep, Kustomization flux-system/two"
    )
    assert found["ConfigMap team/deep"].found.is_deleted


@pytest.mark.parametrize(
    "listed",
    [
        nested().replace("prune: true", "prune: false"),
        nested("  suspend: true\n"),
        nested("  deletionPolicy: Orphan\n"),
    ],
)
def test_a_kustomization_that_deletes_nothing(listed: str, root: Path) -> None:
    found = removed_parent(root, listed)
    assert found["Kustomization flux-system/one"].found.is_deleted
    inner = found["ConfigMap team/inner"]
    assert not inner.found.is_deleted
    assert notes(inner) == [
        "stays in the cluster, because flux-system/one leaves the tree and does not delete it"
    ]


def test_a_kustomization_that_deletes_although_it_does_not_prune(root: Path) -> None:
    listed = nested("  deletionPolicy: Delete\n").replace("prune: true", "prune: false")
    assert removed_parent(root, listed)["ConfigMap team/inner"].found.is_deleted


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (nested().replace("prune: true", "prune: false"), "flux-system/one has no prune: true"),
        (nested("  suspend: true\n"), "flux-system/one is suspended"),
    ],
)
def test_an_object_that_leaves_a_kustomization_that_keeps_it(
    listed: str, reason: str, root: Path
) -> None:
    with_nested(root, listed)
    gone = changes(root, config_map("other", "team"), NESTED)[0]
    assert not gone.found.is_deleted
    assert notes(gone) == [f"stays in the cluster, because {reason}"]


def test_a_kustomization_of_another_repository(root: Path) -> None:
    source = "sourceRef: {kind: GitRepository, name: other}"
    listed = nested().replace("sourceRef: {kind: GitRepository, name: flux-system}", source)
    commit(root, definition(APP, f"{listed}---\n{git_repository('other', 'flux-system')}"))
    found = changes(root, git_repository("other", "flux-system"))[0]
    assert notes(found)[1] == (
        "all that it applied from GitRepository other goes, which is not in this repository"
    )


def test_a_release_that_is_removed(root: Path) -> None:
    commit(root, definition(APP, helm_release("chart", "team", "")))
    found = changes(root, config_map("app", "team"))
    release = next(item for item in found if item.found.object.kind == "HelmRelease")
    assert notes(release)[1] == "Helm uninstalls its release, with all objects of the chart"


def test_a_release_that_is_installed_again(root: Path) -> None:
    before = helm_release("chart", "team", "")
    found = change(root, before, helm_release("chart", "team", "  releaseName: other\n"))
    assert notes(found) == [
        "spec.releaseName changes, so Helm uninstalls the release, with all that it has, and "
        "installs it again"
    ]


def test_a_move_that_may_delete(root: Path) -> None:
    both = f"{namespace('team')}---\n{config_map('app', 'team')}"
    write(root, definition(APP, both))
    write(root, definition(TEAM, config_map("other", "common")))
    moved = next(
        item for item in cluster(impact_of(root)).changes if item.found.kind.value == "moved"
    )
    assert (moved.found.moved_from, moved.found.kustomization) == (
        "flux-system/infra",
        "flux-system/apps",
    )
    assert moved.found.is_deleted
    (text,) = notes(moved)
    assert text.startswith(f"{MOVED}, so Flux may delete it and make it again; first annotate it")


def test_a_move_that_is_safe(root: Path) -> None:
    kept = namespace("team") + KEPT
    commit(root, definition(TEAM, kept))
    write(root, definition(APP, f"{namespace('team')}---\n{config_map('app', 'team')}"))
    write(root, definition(TEAM, config_map("other", "common")))
    moved = next(
        item for item in cluster(impact_of(root)).changes if item.found.kind.value == "moved"
    )
    assert not moved.found.is_deleted
    assert notes(moved) == [
        f"{MOVED}, and is not lost",
        "is deleted from now on when it leaves the tree",
    ]
    assert [str(field) for field in moved.found.fields] == [
        'metadata.annotations: {"kustomize.toolkit.fluxcd.io/prune": "disabled"} is gone'
    ]


def shared(root: Path, app: str, namespaces: str) -> list[Change]:
    """Return the changes when two Kustomizations apply other texts."""
    write(root, {**definition(APP, app), **definition(TEAM, namespaces)})
    return list(cluster(impact_of(root)).changes)


SHARED = config_map("app", "team")


def test_an_object_of_two_kustomizations_changes_in_one(root: Path) -> None:
    commit(root, definition(TEAM, f"{namespace('team')}---\n{SHARED}"))
    (found,) = shared(root, SHARED.replace("value", "other"), f"{namespace('team')}---\n{SHARED}")
    assert found.found.kustomization == "flux-system/apps"
    assert [str(field) for field in found.found.fields] == ["data.key: value -> other"]


def test_an_object_that_leaves_one_of_two_kustomizations(root: Path) -> None:
    commit(root, definition(TEAM, f"{namespace('team')}---\n{SHARED}"))
    (found,) = shared(root, SHARED, namespace("team"))
    assert notes(found) == [
        "leaves flux-system/infra, and flux-system/apps still applies it: it is deleted only if "
        "flux-system/infra was the last to apply it, and then made again"
    ]
    assert not found.found.is_deleted


def test_an_object_that_comes_to_a_second_kustomization(root: Path) -> None:
    (found,) = shared(root, SHARED, f"{namespace('team')}---\n{SHARED}")
    assert notes(found) == [
        "is also applied by flux-system/infra from now on, and each overwrites the other; keep one"
    ]


def test_an_object_that_leaves_both_of_its_kustomizations(root: Path) -> None:
    """One of them does not prune, and the other one deletes the object."""
    with_nested(root, f"{SHARED}---\n{nested().replace('prune: true', 'prune: false')}")
    commit(root, definition(NESTED, SHARED))
    write(root, definition(NESTED, namespace("other")))
    gone = changes(root, nested().replace("prune: true", "prune: false"))[0]
    assert (str(gone.found.object), notes(gone)) == ("ConfigMap team/app", ["Flux deletes it"])


SUSPENDED = "is suspended: Flux does nothing for it until it is resumed, and changes wait"
RESUMED = "is resumed: all that has changed while it was suspended is applied now"


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (nested(), nested("  suspend: true\n"), [SUSPENDED]),
        (nested("  suspend: true\n"), nested(), [RESUMED]),
        (
            nested(),
            nested().replace("prune: true", "prune: false"),
            ["prunes no more: objects that leave it stay in the cluster"],
        ),
        (
            nested().replace("prune: true", "prune: false"),
            nested(),
            ["prunes from now on: Flux deletes objects that leave it"],
        ),
        (
            nested(),
            nested("  deletionPolicy: Orphan\n"),
            [
                "has another deletionPolicy: all that it applied stays in the cluster when it is "
                "removed"
            ],
        ),
        (
            namespace("x"),
            namespace("x") + KEPT,
            ["stays in the cluster from now on when it leaves the tree"],
        ),
        (
            namespace("x") + KEPT,
            namespace("x"),
            ["is deleted from now on when it leaves the tree"],
        ),
        (
            manifest("batch/v1", "CronJob", "a", "team", "spec: {schedule: '* * * * *'}\n"),
            manifest("batch/v1", "CronJob", "a", "team", "spec: {suspend: true}\n"),
            ["is suspended: it starts no more Jobs"],
        ),
    ],
)
def test_what_flips(before: str, after: str, expected: list[str], root: Path) -> None:
    write(root, definition(NESTED, namespace("nested")))
    assert notes(change(root, before, after)) == expected


def test_a_change_below_a_suspended_kustomization_waits(root: Path) -> None:
    with_nested(root, nested("  suspend: true\n"))
    edited = config_map("inner", "team").replace("value", "other")
    found = changes(root, f"{edited}---\n{config_map('new', 'team')}", NESTED)
    assert [notes(item) for item in found] == [["waits, because flux-system/one is suspended"]] * 2


def deployment(label: str, more: str = "") -> str:
    spec = f"spec: {{selector: {{matchLabels: {{app: {label}}}}}}}\n"
    return manifest("apps/v1", "Deployment", "web", "team", more + spec)


def test_a_field_that_the_api_server_refuses(root: Path) -> None:
    found = change(root, deployment("a"), deployment("b"))
    assert [note.rule for note in found.found.notes] == [Rule.REFUSED]
    assert not found.found.is_deleted
    assert notes(found) == [
        "spec.selector cannot be changed: the API server refuses it, and Flux Kustomization "
        "flux-system/apps fails until the object is deleted, or has the annotation "
        "kustomize.toolkit.fluxcd.io/force: enabled, with which Flux deletes it and makes it again"
    ]


def test_a_field_that_flux_forces(root: Path) -> None:
    force = "  annotations: {kustomize.toolkit.fluxcd.io/force: enabled}\n"
    found = change(root, deployment("a", force), deployment("b", force))
    assert found.found.is_deleted
    assert notes(found) == [
        "spec.selector cannot be changed, so Flux deletes the object and makes it again"
    ]


def test_a_field_that_its_kustomization_forces(root: Path) -> None:
    with_nested(root, nested("  force: true\n"))
    assert change(root, deployment("a"), deployment("b"), NESTED).found.is_deleted


def tenant(name: str, more: str = "") -> str:
    text = f"{{name: {name}, namespace: shop, repository: {{url: 'https://a.example/x'}}{more}}}"
    return stack_file("dev", more=f"  fleet:tenants: [{text}]\n")


def test_the_changes_of_a_tenant(root: Path) -> None:
    commit(root, {"Pulumi.dev.yaml": tenant("billing")})
    write(root, {"Pulumi.dev.yaml": tenant("billing", ", quota: {pods: '7'}")})
    found = only(cluster(impact_of(root)))
    assert (found.moment.value, found.found.tenant) == ("up", "billing")
    assert str(found.found.object) == "ResourceQuota shop/tenant"


def test_a_tenant_that_is_removed_takes_its_own_objects_along(root: Path) -> None:
    commit(root, {"Pulumi.dev.yaml": tenant("billing")})
    write(root, {"Pulumi.dev.yaml": stack_file("dev")})
    found = cluster(impact_of(root))
    by_name = {str(item.found.object): item for item in found.changes}
    parent = notes(by_name["Kustomization flux-system/tenant-billing"])
    assert parent[0] == "Flux deletes it"
    assert "Namespace shop" in parent[1]
    own = notes(by_name["Kustomization shop/billing-apps"])
    assert own[-1].startswith("all that it applied from GitRepository billing")
    assert {item.found.tenant for item in found.changes} == {"billing"}
    assert len(found.deletions) == len(found.changes)


def test_a_tenant_that_is_renamed_moves_what_is_in_its_repository(root: Path) -> None:
    commit(root, {"Pulumi.dev.yaml": tenant("billing")})
    write(root, {"Pulumi.dev.yaml": tenant("payments")})
    texts = [text for item in cluster(impact_of(root)).changes for text in notes(item)]
    assert any(
        text.startswith(
            "what is in namespace shop: moves from Flux Kustomization shop/billing-apps to "
            "shop/payments-apps, so Flux may delete it and make it again"
        )
        for text in texts
    )


def test_no_value_of_a_secret_is_in_a_change(root: Path) -> None:
    before = manifest("v1", "Secret", "a", "team", "data: {key: aHVudGVyMg==}\n")
    found = change(root, before, before.replace("aHVudGVyMg==", "b3RoZXI="))
    assert [str(field) for field in found.found.fields] == ["data.key: (hidden) differs"]
