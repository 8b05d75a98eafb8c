"""Reads of a cluster, with a kubectl that answers from files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fleet.identity import cluster
from fleet.identity.reality import Cluster, Unreachable
from fleet.render.place import Place

UID = "aaaaaaaa-0000-4000-8000-000000000001"
KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
ACCOUNT = "/api/v1/namespaces/flux-system/serviceaccounts/platform"
OF_FLUX = "toolkit.fluxcd.io/v1/namespaces/flux-system"
SOURCE = f"/apis/source.{OF_FLUX}/gitrepositories/flux-system"
KUSTOMIZATIONS = f"/apis/kustomize.{OF_FLUX}/kustomizations"
CONTROLLERS = "/apis/apps/v1/deployments?labelSelector=app.kubernetes.io/part-of%3Dflux"
TENANTS = "/api/v1/namespaces?labelSelector=platform.example.com/tenant"
OPERATORS = "/apis/fluxcd.controlplane.io/v1/fluxinstances"
# It answers a request from a file that is named after it, as kubectl does.
KUBECTL = """\
#!/bin/sh
[ "$1 $2 $3 $4" = "--kubeconfig /k/config --context k3d-dev" ] || exit 2
[ "$6 $7" = "get --raw" ] || exit 2
file="$(dirname "$0")/answers/$(printf %s "$8" | sed 's|/|%2F|g; s|?|%3F|g; s|=|%3D|g')"
[ -e "$file" ] && exec cat "$file"
echo "Error from server (NotFound): the server could not find the requested resource" >&2
exit 1
"""


class Kubectl:
    """A kubectl on PATH, and what it answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "answers").mkdir(parents=True)
        self.script(KUBECTL)
        self.answer(KUBE_SYSTEM, {"metadata": {"uid": UID}})

    def script(self, text: str) -> None:
        (self.folder / "kubectl").write_text(text)
        (self.folder / "kubectl").chmod(0o755)

    def answer(self, path: str, document: Mapping[str, Any]) -> None:
        name = path.translate({ord("/"): "%2F", ord("?"): "%3F", ord("="): "%3D"})
        (self.folder / "answers" / name).write_text(json.dumps(document))


@pytest.fixture
def kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return Kubectl(tmp_path / "bin")


def read() -> Cluster | Unreachable:
    return cluster.read(Path("/k/config"), "k3d-dev")


def items(*names: tuple[str, str]) -> Mapping[str, Any]:
    return {"items": [{"metadata": {"namespace": space, "name": name}} for space, name in names]}


def of_specs(specs: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    return {"items": [{"metadata": {"name": name}, "spec": spec} for name, spec in specs.items()]}


def test_a_new_cluster(kubectl: Kubectl) -> None:
    kubectl.answer(CONTROLLERS, items())
    assert read() == Cluster(uid=UID)


def test_a_cluster_of_fleet(kubectl: Kubectl) -> None:
    place = "clusters/dev of https://github.com/acme/platform at main"
    kubectl.answer(ACCOUNT, {"metadata": {"annotations": {"platform.example.com/follows": place}}})
    kubectl.answer(
        SOURCE,
        {
            "spec": {"url": "https://github.com/acme/platform", "ref": {"branch": "main"}},
            "status": {"artifact": {"revision": "main@sha1:0123"}},
        },
    )
    kubectl.answer(
        KUSTOMIZATIONS,
        of_specs(
            {
                "apps": {"path": "./clusters/dev/apps"},
                "flux-system": {"path": "./clusters/dev", "serviceAccountName": "platform"},
            }
        ),
    )
    kubectl.answer(
        CONTROLLERS,
        items(("flux-system", "source-controller"), ("flux-system", "helm-controller"),
              ("billing-dev", "mine"), ("gitops", "source-controller")),
    )  # fmt: skip
    # A tenant labels its Deployments as it likes.
    kubectl.answer(TENANTS, items(("", "billing-dev")))
    kubectl.answer(OPERATORS, items(("flux-system", "flux")))
    assert read() == Cluster(
        uid=UID,
        follows=Place(url="https://github.com/acme/platform", branch="main", path="clusters/dev"),
        claim=place,
        pulled="0123",
        installed_by_fleet=True,
        kustomizations={"apps": "clusters/dev/apps"},
        controllers=("flux-system", "gitops"),
        operators=("flux-system/flux",),
    )


@pytest.mark.parametrize(
    ("account", "root", "expected"),
    [
        ({}, {"spec": {"path": "clusters/dev"}}, False),
        ({"metadata": {"name": "platform"}}, {}, False),
        # Earlier versions made no annotation.
        ({"metadata": {}}, {"spec": {"path": "x", "serviceAccountName": "platform"}}, True),
        ({"metadata": {"annotations": {"platform.example.com/follows": "x"}}}, {}, True),
    ],
)
def test_a_flux_that_fleet_installed(
    account: Mapping[str, Any], root: Mapping[str, Any], expected: bool, kubectl: Kubectl
) -> None:
    kubectl.answer(ACCOUNT, account)
    kubectl.answer(KUSTOMIZATIONS, of_specs({"flux-system": root["spec"]} if root else {}))
    found = read()
    assert isinstance(found, Cluster)
    assert found.installed_by_fleet is expected


@pytest.mark.parametrize(
    ("source", "root", "expected"),
    [
        ({"url": "u", "ref": {"tag": "v1"}}, None, ("u", "tag v1", "")),
        ({"url": "u"}, {"path": "./"}, ("u", "", "")),
        (None, {"path": "./clusters/dev/"}, ("", "", "clusters/dev")),
        (None, {"path": "/clusters/dev"}, ("", "", "clusters/dev")),
    ],
)
def test_the_place_that_a_cluster_follows(
    source: Mapping[str, Any] | None,
    root: Mapping[str, Any] | None,
    expected: tuple[str, str, str],
    kubectl: Kubectl,
) -> None:
    if source is not None:
        kubectl.answer(SOURCE, {"spec": source})
    kubectl.answer(KUSTOMIZATIONS, of_specs({"flux-system": root} if root else {}))
    url, branch, path = expected
    found = read()
    assert isinstance(found, Cluster)
    assert found.follows == Place(url=url, branch=branch, path=path)


def test_a_root_kustomization_that_changes_what_it_applies(kubectl: Kubectl) -> None:
    spec = {"path": "./a", "targetNamespace": "b", "interval": "1m", "patches": []}
    kubectl.answer(KUSTOMIZATIONS, of_specs({"flux-system": spec, "c": {"namePrefix": "d"}}))
    found = read()
    assert isinstance(found, Cluster)
    assert found.changing_fields == ("patches", "targetNamespace")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "#!/bin/sh\necho 'Unable to connect to the server: no route' >&2\nexit 1\n",
            "kubectl: exit 1: Unable to connect to the server: no route",
        ),
        ("#!/bin/sh\necho '<html>'\n", "its answer is not one of Kubernetes"),
        ("#!/bin/sh\necho '{}'\n", "its answer is not one of Kubernetes"),
        ("#!/bin/sh\necho '[]'\n", "its answer is not one of Kubernetes"),
        (
            # One that is down after its first answer, and one that forbids to read the rest
            KUBECTL.replace("(NotFound): the server", "(Forbidden): the server"),
            "kubectl: exit 1: Error from server (Forbidden): the server could not find the "
            "requested resource",
        ),
    ],
)
def test_a_cluster_that_cannot_be_read(script: str, reason: str, kubectl: Kubectl) -> None:
    kubectl.script(script)
    assert read() == Unreachable(reason=reason)


def test_without_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read() == Unreachable(reason="kubectl: not found; install it or put it on PATH")


@pytest.mark.parametrize(
    ("status", "generation", "expected"),
    [("True", 2, {"apps": "abc"}), ("True", 1, {}), ("Unknown", 2, {}), ("False", 2, {})],
)
def test_facts_that_a_stage_has_applied(
    status: str, generation: int, expected: Mapping[str, str], kubectl: Kubectl
) -> None:
    """A stage that is ready as it was before has not applied what it is now."""
    ready = {"type": "Ready", "status": status, "observedGeneration": generation, "message": "a"}
    stage = {
        "metadata": {"name": "apps", "generation": 2},
        "spec": {"postBuild": {"substitute": {"cluster_facts_sha256": "abc"}}},
        "status": {"conditions": [ready]},
    }
    kubectl.answer(CONTROLLERS, items())
    kubectl.answer(KUSTOMIZATIONS, {"items": [stage]})
    found = read()
    assert isinstance(found, Cluster)
    assert found.facts == expected
    assert found.messages == {"apps": "a"}
