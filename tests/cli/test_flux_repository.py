"""The commands on Flux repositories that fleet did not make."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.flux_support import BOOTSTRAPPED, flux_kustomization, instance, source
from tests.inventory.support import commit
from tests.support import Run, config_map, kustomization, manifest, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

RESOURCE_SET = manifest(
    "fluxcd.controlplane.io/v1",
    "ResourceSet",
    "teams",
    "flux-system",
    "spec:\n  inputs: [{team: a}]\n"
    "  resources: [{apiVersion: v1, kind: Namespace, metadata: {name: << inputs.team >>}}]\n",
)
OTHER = "{kind: GitRepository, name: other}"
# A cluster of the Flux Operator, with each thing that cannot be known.
OPERATED: Mapping[str, str] = {
    "clusters/dev/flux-system/flux.yaml": instance("clusters/dev"),
    "clusters/dev/teams.yaml": RESOURCE_SET,
    "clusters/dev/other.yaml": "---\n".join(
        [source("other", "https://a.example/x"), flux_kustomization("other", "./x", OTHER)]
    ),
    "clusters/dev/remote/kustomization.yaml": kustomization("https://a.example/crds.yaml"),
}
FLUX = "clusters/dev: FluxInstance flux-system/flux: installs Flux 2.x, which is in no file here"
PROBLEMS = [
    f"dev: {FLUX}",
    "dev: clusters/dev/remote/kustomization.yaml: https://a.example/crds.yaml: is remote, so it "
    "is not known here",
    "dev: clusters/dev: Kustomization flux-system/other: applies ./x of GitRepository "
    "flux-system/other (a.example/x refs/heads/main), which is not known to be this repository",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository of two clusters, as `flux bootstrap` makes it."""
    write(tmp_path, BOOTSTRAPPED)
    return tmp_path


def test_matrix(root: Path, fleet: Run) -> None:
    ended = fleet("matrix", "--root", root)
    assert (ended.code, ended.err) == (0, "")
    assert [" ".join(line.split()) for line in ended.out.splitlines()] == [
        "production staging",
        "APPS",
        "apps yes (variant 1) yes (variant 2) every cluster",
    ]


def test_where(root: Path, fleet: Run) -> None:
    ended = fleet("where", "apps", "--root", root)
    assert (ended.code, ended.err) == (0, "")
    assert [" ".join(line.split()) for line in ended.out.splitlines()] == [
        "app apps: in 2 of 2 clusters",
        "the same in all: namespace apps",
        "CLUSTER ENTRY OTHER FIELDS BY",
        "production apps/production - clusters/production/apps.yaml:1 "
        "Kustomization flux-system/apps applies ./apps/production",
        "staging apps/staging 1 differ clusters/staging/apps.yaml:1 "
        "Kustomization flux-system/apps applies ./apps/staging",
    ]


def chain(root: Path, fleet: Run, cluster: str, name: str) -> list[str]:
    """Return the links of a chain in short."""
    ended = fleet("why", cluster, name, "--json", "--root", root)
    assert ended.code == 0, ended.err
    (thing,) = json.loads(ended.out)["things"]
    (built,) = thing["objects"]
    return [
        f"{link['file']}{':' + str(link['line']) if link['line'] else ''} {link['text']}"
        for link in built["chain"]
    ]


def test_why_begins_at_the_sync(root: Path, fleet: Run) -> None:
    assert chain(root, fleet, "staging", "ConfigMap/app") == [
        "clusters/staging/flux-system/gotk-sync.yaml:8 "
        "Kustomization flux-system/flux-system applies ./clusters/staging",
        "clusters/staging has no kustomization, so Flux lists apps.yaml",
        "clusters/staging/apps.yaml:1 Kustomization flux-system/apps applies ./apps/staging",
        "apps/staging/kustomization.yaml:4 lists ../base",
        "apps/staging/kustomization.yaml:5 commonAnnotations",
        "apps/base/kustomization.yaml:4 lists app.yaml",
        "apps/base/app.yaml:1 ConfigMap apps/app",
    ]


def test_why_without_a_sync(root: Path, fleet: Run) -> None:
    write(root, {"clusters/staging/flux-system/gotk-sync.yaml": "# comes later\n"})
    (root / "clusters/staging/flux-system/kustomization.yaml").unlink()
    assert chain(root, fleet, "staging", "ConfigMap/app")[:3] == [
        "clusters/staging Flux is assumed to apply this folder, since no other one brings it",
        "clusters/staging has no kustomization, so Flux lists apps.yaml",
        "clusters/staging/apps.yaml:1 Kustomization flux-system/apps applies ./apps/staging",
    ]


def test_why_of_what_a_resource_set_makes(tmp_path: Path, fleet: Run) -> None:
    write(tmp_path, OPERATED)
    assert chain(tmp_path, fleet, "dev", "Namespace/a") == [
        "clusters/dev/flux-system/flux.yaml:1 FluxInstance flux-system/flux makes Flux apply "
        "clusters/dev",
        "clusters/dev has no kustomization, so Flux lists teams.yaml",
        "clusters/dev/teams.yaml:1 ResourceSet flux-system/teams",
        "clusters/dev/teams.yaml:1 makes Namespace a",
    ]


@pytest.mark.parametrize("command", [("matrix",), ("where", "other"), ("why", "dev", "other")])
def test_what_is_not_known_is_named(command: tuple[str, ...], tmp_path: Path, fleet: Run) -> None:
    write(tmp_path, OPERATED)
    ended = fleet(*command, "--root", tmp_path)
    assert ended.code == 0
    lines = [f"! {problem}; its objects are missing here" for problem in PROBLEMS]
    assert sorted(ended.err.splitlines()) == sorted(lines)
    found = json.loads(fleet(*command, "--json", "--root", tmp_path).out)
    assert sorted(found["problems"]) == sorted(PROBLEMS)


def test_diff(root: Path, fleet: Run) -> None:
    ended = fleet("diff", "staging", "production", "--root", root)
    assert ended.code == 0
    # The path of a cluster's own folder counts as equal, and that of its apps does not.
    assert [line for line in ended.out.splitlines() if not line.startswith(" ")] == [
        "staging -> production: 2 objects differ, 2 are equal",
        "~ Kustomization flux-system/apps (flux-system/flux-system)",
        "~ ConfigMap apps/app (flux-system/apps)",
    ]


def test_impact_of_a_shared_base(root: Path, fleet: Run) -> None:
    commit(root)
    commit(root, {"apps/base/app.yaml": config_map("app", "apps").replace("value", "other")})
    ended = fleet("impact", "HEAD~1..HEAD", "--root", root)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "HEAD~1..HEAD reaches 2 of 2 clusters: 2 changed; nothing is deleted",
        "",
        "Shared files:",
        "  apps/base/app.yaml:7 reaches production, staging when it is merged (environments "
        "production, staging; read by apps/production, apps/staging)",
        "",
        "production, staging (production, staging)",
        "  ~ at merge: changed: ConfigMap apps/app (flux-system/apps)",
        "      data.key: value -> other",
        "      from apps/base/app.yaml:7",
    ]


def test_impact_of_a_patch_of_a_kustomization(root: Path, fleet: Run) -> None:
    commit(root)
    patch = (
        "  patches:\n    - target: {kind: ConfigMap}\n"
        '      patch: \'[{"op": "add", "path": "/data/more", "value": "x"}]\'\n'
    )
    file = "clusters/staging/apps.yaml"
    commit(root, {file: flux_kustomization("apps", "./apps/staging", more=patch)})
    found = json.loads(fleet("impact", "HEAD~1..HEAD", "--json", "--root", root).out)
    staging = found["clusters"][1]
    changes = {change["object"]["kind"]: change for change in staging["changes"]}
    assert [source["file"] for source in changes["ConfigMap"]["sources"]] == [file]
    assert not found["clusters"][0]["isReached"]


def test_impact_of_clusters_that_come_and_go(root: Path, fleet: Run) -> None:
    commit(root)
    for file in (root / "clusters/staging").rglob("*.yaml"):
        file.unlink()
    commit(root, {"clusters/dev/apps.yaml": flux_kustomization("apps", "./apps/staging")})
    ended = fleet("impact", "HEAD~1..HEAD", "--root", root)
    assert ended.code == 0
    assert "dev (dev, new)" in ended.out
    assert "+ at merge: added: ConfigMap apps/app (flux-system/apps)" in ended.out
    assert "! its entrypoint is removed: its Flux finds nothing to apply, and fails" in ended.out
    sarif = json.loads(fleet("impact", "HEAD~1..HEAD", "--sarif", "--root", root).out)
    results = sarif["runs"][0]["results"]
    files = {
        place["physicalLocation"]["artifactLocation"]["uri"]
        for result in results
        for place in result["locations"]
    }
    assert files == {"clusters/dev/apps.yaml"}


def test_objects_that_may_still_be_there_are_not_removed(root: Path, fleet: Run) -> None:
    commit(root)
    text = flux_kustomization("apps", "./apps/staging", OTHER)
    commit(root, {"clusters/staging/apps.yaml": text})
    ended = fleet("impact", "HEAD~1..HEAD", "--root", root)
    assert "nothing is deleted" in ended.out
    assert "Kustomization flux-system/apps: applies ./apps/staging of" in ended.out


def test_check(root: Path, fleet: Run) -> None:
    ended = fleet("check", "--root", root)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "2 clusters, 8 objects, 0 findings\n"


def test_check_of_what_is_wrong_and_what_is_not_known(tmp_path: Path, fleet: Run) -> None:
    write(tmp_path, OPERATED)
    secret = manifest("v1", "Secret", "a", "default", "data: {x: 'ENC[AES256_GCM,x]'}\nsops: {}\n")
    takes = "  postBuild: {substitute: {a: b}}\n"
    write(
        tmp_path,
        {
            "clusters/dev/secret.yaml": secret.replace("sops: {}", "sops: {mac: x}"),
            "clusters/dev/apps.yaml": flux_kustomization(
                "apps", "./apps", "{kind: OCIRepository, name: flux-system}", takes
            ),
            "apps/a.yaml": manifest("v1", "ConfigMap", "a", "default", "data: {a: '${none}'}\n"),
            "apps/b.yaml": manifest("v1", "Service", "b", "default", "spec: {ports: 1}\n"),
        },
    )
    ended = fleet("check", "--root", tmp_path, "--json")
    assert ended.code == 1
    found = json.loads(ended.out)
    assert [(item["file"], item["object"]) for item in found["findings"]] == [
        ("apps", "ConfigMap default/a"),
        ("apps", "Service default/b"),
        ("clusters/dev", "Secret default/a"),
    ]
    assert found["findings"][0]["problem"].startswith("${none} has no value")
    lines = [f"{problem}; its objects are not checked" for problem in PROBLEMS]
    assert sorted(found["notChecked"]) == sorted(lines)


def test_check_of_an_alert_about_an_instance(root: Path, fleet: Run) -> None:
    spec = (
        "spec: {providerRef: {name: a}, eventSources: [{kind: %s, name: a}, {kind: X, name: a}]}\n"
    )
    alert = manifest("notification.toolkit.fluxcd.io/v1beta3", "Alert", "a", "apps", spec)
    write(root, {"clusters/staging/a.yaml": alert.replace("%s", "FluxInstance")})
    (finding,) = json.loads(fleet("check", "--root", root, "--json").out)["findings"]
    assert "spec.eventSources.0.kind" in finding["problem"]
    write(
        root,
        {"clusters/staging/a.yaml": alert.replace("%s", "FluxInstance").replace("X", "HelmChart")},
    )
    assert fleet("check", "--root", root).code == 0


@pytest.mark.parametrize(
    "command", [("matrix",), ("where", "a"), ("why", "a", "b"), ("impact",), ("check",)]
)
def test_neither_a_fleet_nor_flux(command: tuple[str, ...], tmp_path: Path, fleet: Run) -> None:
    commit(tmp_path, {"README.md": "Nothing.\n"})
    ended = fleet(*command, "--root", tmp_path)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count("\n") == 1
    assert "has no Pulumi.<stack>.yaml of fleet, and no Kustomization or FluxInstance" in ended.err


def test_tenants_are_only_in_stack_files(root: Path, fleet: Run) -> None:
    ended = fleet("check", "--tenants", root, "--root", root)
    assert ended.code == 1
    assert ended.err.endswith("has no stack files; leave it out\n")


def test_impact_of_a_kustomization_that_goes(tmp_path: Path, fleet: Run) -> None:
    own = "{kind: OCIRepository, name: flux-system}"
    spoke = "  kubeConfig: {secretRef: {name: spoke}}\n"
    write(
        tmp_path,
        {
            "clusters/dev/flux.yaml": instance("clusters/dev"),
            "clusters/dev/apps.yaml": flux_kustomization("apps", "./apps", own),
            "clusters/dev/spoke.yaml": flux_kustomization("spoke", "./apps", own, spoke),
            "apps/app.yaml": config_map("app", "apps"),
        },
    )
    commit(tmp_path)
    for name in ("apps", "spoke"):
        (tmp_path / f"clusters/dev/{name}.yaml").unlink()
    found = json.loads(fleet("impact", "--json", "--root", tmp_path).out)
    (dev,) = found["clusters"]
    notes = {
        change["object"]["name"]: [note["text"] for note in change["notes"]]
        for change in dev["changes"]
    }
    assert notes["apps"] == ["Flux deletes it", "takes 1 objects with it: ConfigMap apps/app"]
    assert notes["spoke"] == [
        "Flux deletes it",
        "all that it applied to another cluster, which spec.kubeConfig names, goes there",
    ]
