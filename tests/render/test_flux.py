"""The Flux objects of a cluster, and the flags of its controllers."""

from __future__ import annotations

from pathlib import Path

import yaml

from fleet.config import load
from fleet.config.models import Stack
from fleet.kube import kustomize
from fleet.kube.manifest import Manifest
from fleet.process import run
from fleet.render import facts, flux, flux_release, layout, stages, tree
from tests.render.support import manifest_in, manifests_in, stack_of
from tests.support import INSTALL_MANIFESTS, REPOSITORY, manifest, stack_file, write


def test_the_whole_kustomization_of_a_stage(checkout: Path) -> None:
    text = tree.render(stack_of(checkout, stack_file("dev")), None)["clusters/dev/apps.yaml"]
    assert manifest_in(text) == {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "apps", "namespace": "flux-system"},
        "spec": {
            "interval": "5m",
            "retryInterval": "1m",
            "timeout": "5m",
            "prune": True,
            "wait": True,
            "serviceAccountName": "platform",
            "sourceRef": {"kind": "GitRepository", "name": "flux-system"},
            "path": "./clusters/dev/apps",
            "dependsOn": [{"name": "infra"}],
        },
    }


def test_sync_applies_only_the_path_of_this_cluster(shipped: Stack) -> None:
    source, root = flux.sync(shipped)
    assert source["spec"]["url"] == shipped.config.repository.pull_url
    assert source["spec"]["ref"] == {"branch": shipped.config.repository.branch}
    assert "secretRef" not in source["spec"]
    assert root["spec"]["path"] == f"./clusters/{shipped.name}"
    assert root["spec"]["sourceRef"] == {"kind": source["kind"], "name": "flux-system"}
    assert {item["metadata"]["name"] for item in (source, root)} == {"flux-system"}
    # Pulumi applies the same objects once that Flux then applies from Git.
    text = tree.render(shipped, None)[f"{shipped.path}/{layout.SYNC_FILE}"]
    assert manifests_in(text) == [source, root]


def test_the_platform_has_an_account_of_its_own(shipped: Stack) -> None:
    files = tree.render(shipped, None)
    account, binding = manifests_in(files[f"{shipped.path}/{layout.ACCOUNT_FILE}"])
    repository = shipped.config.repository
    assert account["metadata"]["annotations"]["platform.example.com/follows"] == (
        f"clusters/{shipped.name} of https://github.com/{repository.owner}/{repository.name} "
        f"at {repository.branch}"
    )
    assert [account, binding] == list(flux.platform_account(shipped))
    subject = {"kind": "ServiceAccount", "name": "platform", "namespace": "flux-system"}
    assert binding["subjects"] == [subject]
    for item in (account, binding):
        # If Flux removed its own account first, it could remove nothing else.
        assert item["metadata"]["annotations"].items() >= flux.NEVER_PRUNED.items()
    specs = [
        item["spec"]
        for text in files.values()
        for item in manifests_in(text)
        if item["apiVersion"].startswith("kustomize.toolkit")
    ]
    # Each stage has one Kustomization, and the root is one more.
    assert len(specs) == 1 + len(stages.entries_by_stage(shipped))
    assert {spec["serviceAccountName"] for spec in specs} == {account["metadata"]["name"]}


def test_the_tree_names_the_pull_token_without_its_value(checkout: Path) -> None:
    text = stack_file("dev", more="  fleet:pullToken: {secure: c2VjcmV0}\n")
    stack = stack_of(checkout, text)
    files = tree.render(stack, INSTALL_MANIFESTS)
    (source, _) = manifests_in(files[f"clusters/dev/{layout.SYNC_FILE}"])
    assert source["spec"]["secretRef"] == {"name": flux.PULL_SECRET}
    assert not any("c2VjcmV0" in text or "kind: Secret" in text for text in files.values())


def test_waves() -> None:
    kinds = ["Deployment", "ClusterRole", "CustomResourceDefinition", "Service", "Namespace"]
    text = "---\n".join(manifest("v1", kind, kind.lower()) for kind in kinds)
    waves = flux.apply_waves(flux.with_flags(f"---\n{text}---\n"))
    assert [[document["kind"] for document in wave] for wave in waves] == [
        ["CustomResourceDefinition", "Namespace"],
        ["ClusterRole", "Service"],
        ["Deployment"],
    ]


def test_with_flags(tmp_path: Path) -> None:
    """The manifests applied once equal the build of the tree; only the flags change."""
    stack = load.stack(REPOSITORY, "dev")
    manifests = flux_release.read_for_review(stack.config.flux, REPOSITORY)
    write(tmp_path, tree.render(stack, manifests))
    text = run([*kustomize.command(), f"{stack.path}/flux-system"], timeout=60, cwd=tmp_path)
    built = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    # Only Git has the facts, which no object of Flux itself needs.
    built.remove(facts.config_map(facts.of_stack(stack)))
    applied_once = [
        *flux.with_flags(manifests),
        *flux.platform_account(stack),
        *flux.sync(stack),
    ]

    def key(item: Manifest) -> tuple[str, str]:
        return item["kind"], item["metadata"]["name"]

    assert sorted(applied_once, key=key) == sorted(built, key=key)
    upstream = [item for item in yaml.load_all(manifests, Loader=yaml.CSafeLoader) if item]
    changed = {
        item["metadata"]["name"]: item["spec"]["template"]["spec"]["containers"][0]["args"]
        for item in flux.with_flags(manifests)
        if item not in upstream
    }
    flags = list(flux.FLAGS)
    assert {name: args[-5:] for name, args in changed.items()} == {
        "kustomize-controller": flags,
        "kustomize-controller-tenants": [*flags[:-1], flags[-1].replace("!", "")],
        "helm-controller": [
            "--log-encoding=json",
            "--enable-leader-election",
            "--no-cross-namespace-refs=true",
            "--default-service-account=default",
            "--requeue-dependency=5s",
        ],
        "notification-controller": [
            "--watch-all-namespaces=true",
            "--log-level=info",
            "--log-encoding=json",
            "--enable-leader-election",
            "--no-cross-namespace-refs=true",
        ],
    }


def test_tenants_have_a_kustomize_controller_of_their_own(tenancy: Stack) -> None:
    """Each Flux Kustomization has exactly one controller, and the platform has the first."""
    manifests = flux_release.read_for_review(tenancy.config.flux, REPOSITORY)
    files = tree.render(tenancy, manifests)
    components = manifests_in(files[f"{tenancy.path}/{layout.COMPONENTS_FILE}"])
    deployments = {
        item["metadata"]["name"]: item["spec"]
        for item in components
        if item is not None and item["kind"] == "Deployment"
    }
    platform = deployments["kustomize-controller"]
    tenants = deployments["kustomize-controller-tenants"]
    for spec in (platform, tenants):
        selected = spec["selector"]["matchLabels"].items()
        assert selected <= spec["template"]["metadata"]["labels"].items()
    assert platform["selector"] != tenants["selector"]
    (container,) = tenants["template"]["spec"]["containers"]
    # Without a patch it has all flags, so no commit on the way lets a tenant out of its fence.
    assert set(flux.FLAGS) - set(container["args"]) == {
        "--watch-label-selector=!platform.example.com/tenant"
    }
    for path, text in files.items():
        for item in manifests_in(text):
            if item is not None and item["apiVersion"].startswith("kustomize.toolkit"):
                labelled = "platform.example.com/tenant" in item["metadata"].get("labels", {})
                assert labelled is path.endswith(layout.TENANT_FILE)
