"""A hostile team, one attack at a time: what refuses it, and that nothing else changes.

The team is registered as any other; all it has is its repository. What cannot be shown here:
NetworkPolicies need a CNI to have any effect, and kwok runs no containers, so what a *running* pod
could do is not tried, only what the API server lets a team create.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.process import run
from sandbox import tenant_repositories
from tests.e2e.conftest import Sandbox, Team, eventually

CLUSTER = "dev"
HOSTILE, VICTIM = "mallory", "billing"
NAMESPACE, VICTIMS_NAMESPACE = f"{HOSTILE}-{CLUSTER}", f"{VICTIM}-{CLUSTER}"
# What the platform calls the team's things.
ACCOUNT, SOURCE_OF_TEAM = "tenant", f"{HOSTILE}-repo"
FOLDER = f"deploy/{CLUSTER}"
MEBIBYTE = 1 << 20

Object = Mapping[str, Any]
Content = str | bytes | Path


@dataclass(frozen=True, kw_only=True)
class Attack:
    """What the team pushes, and the refusal that is expected, a pattern.

    `says` is a Deployment that is applied and of which no pod is let in, or else a controller:
    the refusal is the condition of the one, or in the log of the other.
    `confined` are objects that are applied all the same, but in the team's own namespace.
    """

    name: str
    objects: tuple[Object, ...] = ()
    files: Mapping[str, Content] | None = None
    resources: tuple[str, ...] = ()
    refused: str = ""
    says: str = ""
    confined: tuple[tuple[str, str], ...] = ()


def thing(
    api: str, kind: str, name: str, namespace: str | None = None, **content: object
) -> dict[str, Any]:
    """Return a manifest."""
    metadata: dict[str, Any] = {"name": name}
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **content}


def marked(content: dict[str, Any], **metadata: object) -> dict[str, Any]:
    """Return a manifest with labels or annotations."""
    return content | {"metadata": content["metadata"] | metadata}


def cannot(verb: str, resource: str) -> str:
    """Return the pattern of RBAC's refusal."""
    return rf'cannot {verb} resource "{resource}"'


RBAC = "rbac.authorization.k8s.io/v1"
KUSTOMIZE = "kustomize.toolkit.fluxcd.io/v1"
SOURCE = "source.toolkit.fluxcd.io/v1"
HELM = "helm.toolkit.fluxcd.io/v2"
OWN_ACCOUNT = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
PLURALS = {
    "Kustomization": "kustomizations.kustomize.toolkit.fluxcd.io",
    "GitRepository": "gitrepositories.source.toolkit.fluxcd.io",
    "HelmRelease": "helmreleases.helm.toolkit.fluxcd.io",
}
CLUSTER_ADMIN = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                 "name": "cluster-admin"}  # fmt: skip


def nested(name: str, **spec: object) -> dict[str, Any]:
    """Return a Flux Kustomization that the team brings itself, of its own repository."""
    defaults = {
        "interval": "1m",
        "prune": True,
        "path": "./evil",
        "sourceRef": {"kind": "GitRepository", "name": SOURCE_OF_TEAM},
        "serviceAccountName": ACCOUNT,
    }
    return thing(KUSTOMIZE, "Kustomization", name, spec=defaults | spec)


def release(**spec: object) -> dict[str, Any]:
    """Return a HelmRelease of a chart in the team's own repository."""
    chart = {"chart": "./chart", "sourceRef": {"kind": "GitRepository", "name": SOURCE_OF_TEAM}}
    defaults = {"interval": "1m", "serviceAccountName": ACCOUNT, "chart": {"spec": chart}}
    return thing(HELM, "HelmRelease", "nested", spec=defaults | spec)


MODEST_POD: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {
            "name": "evil",
            "image": "evil",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            },
        }
    ],
}
HOST_POD: dict[str, Any] = {
    "hostNetwork": True,
    "hostPID": True,
    "volumes": [{"name": "host", "hostPath": {"path": "/"}}],
    "containers": [
        {
            "name": "evil",
            "image": "evil",
            "securityContext": {"privileged": True},
            "volumeMounts": [{"name": "host", "mountPath": "/host"}],
        }
    ],
}


def workload(pod: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Deployment of one such pod."""
    labels = {"app": "evil"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return thing("apps/v1", "Deployment", "evil", spec=spec)


def _with_requests(**requests: str) -> dict[str, Any]:
    container = MODEST_POD["containers"][0] | {
        "resources": {"requests": requests, "limits": requests}
    }
    return MODEST_POD | {"containers": [container]}


FLUX = r'cannot patch resource "(kustomizations|gitrepositories|helmreleases)"'

ATTACKS = [
    Attack(
        name="a ClusterRole",
        objects=(thing(RBAC, "ClusterRole", "evil", rules=[
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]),),
        refused=cannot("patch", "clusterroles"),
    ),
    Attack(
        name="a ClusterRoleBinding to cluster-admin",
        objects=(thing(RBAC, "ClusterRoleBinding", "evil", roleRef=CLUSTER_ADMIN,
                       subjects=[OWN_ACCOUNT]),),
        refused=cannot("patch", "clusterrolebindings"),
    ),
    Attack(
        name="a RoleBinding to cluster-admin",
        objects=(thing(RBAC, "RoleBinding", "evil", roleRef=CLUSTER_ADMIN,
                       subjects=[OWN_ACCOUNT]),),
        refused=cannot("patch", "rolebindings"),
    ),
    Attack(
        name="its own RoleBinding, for another team's account",
        objects=(thing(RBAC, "RoleBinding", "tenant", roleRef=CLUSTER_ADMIN, subjects=[
            {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": VICTIMS_NAMESPACE}]),),
        refused=cannot("patch", "rolebindings"),
    ),
    Attack(
        name="a Role with more rights",
        objects=(thing(RBAC, "Role", "tenant", rules=[
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]),),
        refused=cannot("patch", "roles"),
    ),
    Attack(
        name="an object in another team's namespace",
        objects=(thing("v1", "ConfigMap", "evil", VICTIMS_NAMESPACE, data={"a": "b"}),),
        confined=(("configmap", "evil"),),
    ),
    Attack(
        name="an object in flux-system",
        objects=(thing("v1", "ConfigMap", "evil", "flux-system", data={"a": "b"}),),
        confined=(("configmap", "evil"),),
    ),
    Attack(
        name="the other team's app, by its name",
        objects=(thing("v1", "ConfigMap", "app", VICTIMS_NAMESPACE, data={"a": "b"}),),
        refused="ID conflict|already registered id",
    ),
    Attack(
        name="a Namespace",
        objects=(thing("v1", "Namespace", "evil"),),
        refused=cannot("patch", "namespaces"),
    ),
    Attack(
        name="a CustomResourceDefinition",
        objects=(thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", "evils.example.com",
                       spec={"group": "example.com", "scope": "Cluster",
                             "names": {"kind": "Evil", "plural": "evils"},
                             "versions": [{"name": "v1", "served": True, "storage": True,
                                           "schema": {"openAPIV3Schema": {"type": "object"}}}]}),),
        refused=cannot("patch", "customresourcedefinitions"),
    ),
    Attack(
        name="an admission webhook",
        objects=(thing("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "evil",
                       webhooks=[]),),
        refused=cannot("patch", "validatingwebhookconfigurations"),
    ),
    Attack(
        name="a Kustomization from the platform's repository (cross-namespace sourceRef)",
        objects=(nested("nested", path="./clusters/dev", sourceRef={
            "kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}),),
        refused=FLUX,
    ),
    Attack(
        name="a Kustomization into another team's namespace",
        objects=(nested("nested"),),
        refused=FLUX,
    ),
    Attack(
        name="a Kustomization as the platform's account",
        objects=(nested("nested", serviceAccountName="platform"),),
        refused=FLUX,
    ),
    Attack(
        name="a Kustomization as no account",
        objects=(nested("nested", serviceAccountName=""),),
        refused=FLUX,
    ),
    Attack(
        name="a Secret of flux-system by substituteFrom",
        objects=(nested("nested", postBuild={
            "substituteFrom": [{"kind": "Secret", "name": "flux-system"}]}),),
        refused=FLUX,
    ),
    Attack(
        name="a decryption key of flux-system",
        objects=(nested("nested", decryption={
            "provider": "sops", "secretRef": {"name": "flux-system"}}),),
        refused=FLUX,
    ),
    Attack(
        name="a GitRepository of another team",
        objects=(thing(SOURCE, "GitRepository", "nested", spec={
            "interval": "1m", "url": "https://github.com/teams/billing-apps"}),),
        refused=FLUX,
    ),
    Attack(
        name="a HelmRelease into flux-system",
        objects=(release(targetNamespace="flux-system", storageNamespace="kube-system"),),
        refused=FLUX,
    ),
    Attack(
        name="a HelmRelease as another account",
        objects=(release(serviceAccountName="helm-controller"),),
        refused=FLUX,
    ),
    Attack(
        name="a HelmRelease of a chart in flux-system",
        objects=(release(chart={"spec": {"chart": "kyverno", "sourceRef": {
            "kind": "HelmRepository", "name": "kyverno", "namespace": "flux-system"}}}),),
        refused=FLUX,
    ),
    Attack(
        name="a Secret of flux-system by valuesFrom",
        objects=(release(valuesFrom=[{"kind": "Secret", "name": "flux-system"}]),),
        refused=FLUX,
    ),
    Attack(
        name="its own Kustomization, as another account",
        objects=(nested(f"{HOSTILE}-apps", serviceAccountName="platform"),),
        refused=FLUX,
    ),
    Attack(
        name="its own GitRepository, elsewhere",
        objects=(thing(SOURCE, "GitRepository", SOURCE_OF_TEAM, spec={
            "interval": "1m", "url": "https://github.com/teams/billing-apps"}),),
        refused=FLUX,
    ),
    Attack(
        name="a higher quota",
        objects=(thing("v1", "ResourceQuota", "tenant", spec={"hard": {"pods": "10k"}}),),
        refused=cannot("patch", "resourcequotas"),
    ),
    Attack(
        name="a quota replaced by force",
        objects=(marked(
            thing("v1", "ResourceQuota", "tenant", spec={"hard": {}}),
            annotations={"kustomize.toolkit.fluxcd.io/force": "enabled"}),),
        refused=cannot("(patch|delete)", "resourcequotas"),
    ),
    Attack(
        name="no limits",
        objects=(thing("v1", "LimitRange", "tenant", spec={"limits": []}),),
        refused=cannot("patch", "limitranges"),
    ),
    Attack(
        name="its NetworkPolicy taken over, to be pruned next",
        objects=(thing("networking.k8s.io/v1", "NetworkPolicy", "default-deny", spec={
            "podSelector": {"matchLabels": {"no": "pod"}}}),),
        refused=cannot("patch", "networkpolicies"),
    ),
    Attack(
        name="a NetworkPolicy that allows all",
        objects=(thing("networking.k8s.io/v1", "NetworkPolicy", "evil", spec={
            "podSelector": {}, "ingress": [{}], "egress": [{}],
            "policyTypes": ["Ingress", "Egress"]}),),
        refused=cannot("patch", "networkpolicies"),
    ),
    Attack(
        name="its Namespace, without labels and never pruned",
        objects=(marked(
            thing("v1", "Namespace", NAMESPACE),
            labels={"pod-security.kubernetes.io/enforce": "privileged"},
            annotations={"kustomize.toolkit.fluxcd.io/prune": "disabled"}),),
        refused=cannot("patch", "namespaces"),
    ),
    Attack(
        name="its ServiceAccount, never pruned",
        objects=(marked(
            thing("v1", "ServiceAccount", ACCOUNT),
            annotations={"kustomize.toolkit.fluxcd.io/prune": "disabled"}),),
        refused=cannot("patch", "serviceaccounts"),
    ),
    Attack(
        name="the platform's infra Kustomization, suspended",
        objects=(marked(
            thing(KUSTOMIZE, "Kustomization", "infra", "flux-system", spec={
                "interval": "1m", "prune": False, "suspend": True,
                "sourceRef": {"kind": "GitRepository", "name": "flux-system"}}),
            annotations={"kustomize.toolkit.fluxcd.io/prune": "disabled"}),),
        refused=FLUX,
    ),
    Attack(
        name="a path outside the repository",
        resources=("../../../../../../../../etc/passwd",),
        refused="outside|not in or below|no such file|must be|security",
    ),
    Attack(
        name="a symbolic link out of the repository",
        resources=("link.yaml",),
        files={f"{FOLDER}/link.yaml": Path("/etc/hostname")},
        refused="no such file",
    ),
    Attack(
        name="the whole folder a symbolic link",
        resources=("linked",),
        files={f"{FOLDER}/linked": Path("/etc")},
        refused="no such file",
    ),
    Attack(
        name="an object moved to another team's namespace by a transformer",
        objects=(thing("v1", "ConfigMap", "evil", data={"a": "b"}),),
        files={
            f"{FOLDER}/kustomization.yaml": yaml.safe_dump(
                {"resources": ["attack.yaml"], "transformers": ["move.yaml"]}
            ),
            f"{FOLDER}/move.yaml": yaml.safe_dump(
                thing("builtin", "NamespaceTransformer", "move", VICTIMS_NAMESPACE)
            ),
        },
        refused=rf'{cannot("patch", "configmaps")}.*"{VICTIMS_NAMESPACE}"',
    ),
    Attack(
        name="a Pod by itself",
        objects=(thing("v1", "Pod", "evil", spec=HOST_POD),),
        refused=cannot("patch", "pods"),
    ),
    Attack(
        name="a privileged pod of the host",
        objects=(workload(HOST_POD),),
        says="evil",
        refused="violates PodSecurity",
    ),
    Attack(
        name="a pod as important as the cluster's own",
        objects=(workload(MODEST_POD | {"priorityClassName": "system-node-critical"}),),
        says="evil",
        refused="exceeded quota|insufficient quota",
    ),
    Attack(
        name="a container larger than a team's",
        objects=(workload(_with_requests(cpu="1", memory="64Gi")),),
        says="evil",
        refused="maximum memory usage per Container",
    ),
    Attack(
        name="more CPU than a team's",
        objects=(workload(_with_requests(cpu="100")),),
        says="evil",
        refused="exceeded quota",
    ),
    Attack(
        name="a Service on a port of every node",
        objects=(thing("v1", "Service", "evil", spec={
            "type": "NodePort", "ports": [{"port": 80}], "selector": {"a": "b"}}),),
        refused="exceeded quota",
    ),
    Attack(
        name="a thousand objects",
        objects=tuple(
            thing("v1", "ConfigMap", f"evil-{number}", data={"a": "b"}) for number in range(1000)
        ),
        refused="exceeded quota",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def hostile(sandbox: Sandbox) -> Iterator[Team]:
    """A hostile team beside a healthy one, both with an app that runs; gone again at the end."""
    pair = [Team(sandbox=sandbox, name=name) for name in (HOSTILE, VICTIM)]
    for team in pair:
        team.create([CLUSTER])
    sandbox.register(CLUSTER, *pair)
    sandbox.up(CLUSTER)
    for team in pair:
        team.expect_app(CLUSTER, "1")
    yield pair[0]
    sandbox.unregister(CLUSTER, *pair)
    sandbox.up(CLUSTER)
    for team in pair:
        team.expect_gone(CLUSTER)
        team.delete()


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_is_refused(hostile: Team, attack: Attack) -> None:
    """What is refused, by what, and that nothing but the team's own objects has changed."""
    before = _of_others(hostile.sandbox.snapshot(CLUSTER))
    tried = hostile.push(_files(hostile, attack), attack.name)
    applied, message = hostile.wait(CLUSTER, tried)
    if attack.says:
        assert applied, message
        applied, message = False, _no_pod_message(hostile.sandbox, attack.says)
    confined = all(
        hostile.sandbox.get(CLUSTER, kind, NAMESPACE, name) for kind, name in attack.confined
    )
    after = _of_others(hostile.sandbox.snapshot(CLUSTER))

    if len(attack.objects) > 1:
        # Flux keeps no account of what a failed apply left: the team's own to remove.
        left = f"kustomize.toolkit.fluxcd.io/name={hostile.kustomization}"
        hostile.sandbox.kubectl(
            CLUSTER, "delete", "configmaps", "--namespace", NAMESPACE, f"--selector={left}"
        )
    cleaned = hostile.wait(CLUSTER, hostile.push(hostile.files([CLUSTER], "1"), "Clean up"))
    print(f"\n{attack.name} | {'confined' if attack.confined else _short(message)}")

    assert _differences(before, after) == []
    if attack.confined:
        assert applied, message
        assert confined
    else:
        assert not applied
        assert re.search(attack.refused, message), message
    assert cleaned[0], cleaned[1]
    for kind, name in attack.confined:
        assert hostile.sandbox.get(CLUSTER, kind, NAMESPACE, name) is None


EVIL = yaml.safe_dump(thing("v1", "ConfigMap", "evil", VICTIMS_NAMESPACE, data={"a": "b"}))
CHART = {
    "chart/Chart.yaml": yaml.safe_dump({"apiVersion": "v2", "name": "evil", "version": "1.0.0"}),
    "chart/templates/evil.yaml": EVIL,
}
EVIL_FILES = {"evil/kustomization.yaml": "resources: [evil.yaml]\n", "evil/evil.yaml": EVIL} | CHART
NOBODY = rf"system:serviceaccount:{NAMESPACE}:default\W.*cannot"
BEHIND = [
    Attack(
        name="a sourceRef to flux-system",
        objects=(nested("nested", sourceRef={
            "kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}),),
        refused="cross-namespace references have been blocked",
    ),
    Attack(
        name="a Kustomization into another team's namespace",
        objects=(nested("nested"),),
        refused=rf'cannot patch resource "configmaps".* in the namespace "{VICTIMS_NAMESPACE}"',
    ),
    Attack(
        name="a Kustomization as no account",
        objects=(nested("nested", serviceAccountName=""),),
        refused=NOBODY,
    ),
    Attack(
        name="a Kustomization as the platform's account",
        objects=(nested("nested", serviceAccountName="platform"),),
        refused=rf"system:serviceaccount:{NAMESPACE}:platform\W.*cannot",
    ),
    Attack(
        name="a Secret of flux-system by substituteFrom",
        objects=(nested("nested", postBuild={
            "substituteFrom": [{"kind": "Secret", "name": "flux-system"}]}),),
        refused='secrets? .*flux-system.* not found|could not find Secret.*flux-system',
    ),
    Attack(
        name="a decryption key of flux-system",
        objects=(nested("nested", decryption={
            "provider": "sops", "secretRef": {"name": "flux-system"}}),),
        refused='secrets? .*flux-system.* not found|could not find Secret.*flux-system',
    ),
    Attack(
        name="a kubeconfig of flux-system",
        objects=(nested("nested", kubeConfig={"secretRef": {"name": "flux-system"}}),),
        refused='secrets? .*flux-system.* not found|could not find Secret.*flux-system',
    ),
    Attack(
        name="a HelmRelease into another team's namespace",
        objects=(release(targetNamespace=VICTIMS_NAMESPACE),),
        refused=rf'cannot .*"{VICTIMS_NAMESPACE}"',
    ),
    Attack(
        name="a HelmRelease stored in flux-system",
        objects=(release(storageNamespace="flux-system"),),
        refused='cannot .*"flux-system"',
    ),
    Attack(
        name="a HelmRelease as no account",
        objects=(release(serviceAccountName=None),),
        refused=NOBODY,
    ),
    Attack(
        name="a HelmRelease of a chart in flux-system",
        objects=(release(chart={"spec": {"chart": "kyverno", "sourceRef": {
            "kind": "HelmRepository", "name": "kyverno", "namespace": "flux-system"}}}),),
        says="helm-controller",
        refused="cross-namespace references are not allowed",
    ),
    Attack(
        name="a Secret of flux-system by valuesFrom",
        objects=(release(valuesFrom=[{"kind": "Secret", "name": "flux-system"}]),),
        refused='secrets? .*flux-system.* not found|could not find Secret.*flux-system',
    ),
    Attack(
        name="a GitRepository of another team, with its own credential",
        objects=(thing(SOURCE, "GitRepository", "nested", spec={
            "interval": "1m", "url": "VICTIM", "secretRef": {"name": SOURCE_OF_TEAM}}),),
        refused="authentication required|not found|authorization",
    ),
]  # fmt: skip


@pytest.mark.parametrize("attack", BEHIND, ids=lambda attack: attack.name)
def test_the_fence_behind_the_fence(hostile: Team, attack: Attack) -> None:
    """Would a team have Flux's kinds, by a mistake in its rights: Flux itself refuses them."""
    sandbox = hostile.sandbox
    files = dict(hostile.files([CLUSTER], "1")) | EVIL_FILES
    assert hostile.wait(CLUSTER, hostile.push(files, attack.name))[0]
    before = _of_others(sandbox.snapshot(CLUSTER))
    manifest = json.dumps(attack.objects[0])
    manifest = manifest.replace("VICTIM", tenant_repositories.url(sandbox.state, VICTIM))
    log = sandbox.state / "logs" / f"{CLUSTER}-{attack.says}.log"
    seen = log.stat().st_size if attack.says else 0
    sandbox.kubectl(CLUSTER, "create", "--namespace", NAMESPACE, "-f", "-", stdin=manifest)
    kind, name = attack.objects[0]["kind"], attack.objects[0]["metadata"]["name"]
    said: list[str] = []

    def refused() -> bool:
        if attack.says:  # that refusal is not in the object's status
            said.extend(log.read_text()[seen:].splitlines())
        found = sandbox.get(CLUSTER, PLURALS[kind], NAMESPACE, name) or {}
        for condition in found.get("status", {}).get("conditions", ()):
            if condition["type"] == "Ready" and condition["status"] == "False":
                said.append(condition["message"])
        return any(re.search(attack.refused, message, re.DOTALL) for message in said)

    try:
        eventually(refused, 20)
        after = _of_others(sandbox.snapshot(CLUSTER))
    finally:
        sandbox.kubectl(CLUSTER, "delete", PLURALS[kind], name, "--namespace", NAMESPACE)
        print(f"\nbehind: {attack.name} | {_short(said[-1] if said else 'nothing')}")
    assert _differences(before, after) == []


@pytest.fixture(scope="module")
def hostile_in_flux_system(sandbox: Sandbox) -> Iterator[Team]:
    """A hostile team whose source, account and Kustomization are among the platform's."""
    team = Team(sandbox=sandbox, name="trudy", in_flux_system=True)
    team.create([CLUSTER])
    sandbox.register(CLUSTER, team)
    sandbox.up(CLUSTER)
    team.expect_app(CLUSTER, "1")
    yield team
    sandbox.unregister(CLUSTER, team)
    sandbox.up(CLUSTER)
    team.expect_gone(CLUSTER)
    team.delete()


@pytest.mark.parametrize(
    "name",
    [
        "a ClusterRoleBinding to cluster-admin",
        "a RoleBinding to cluster-admin",
        "an object in flux-system",
        "a Kustomization as the platform's account",
        "a Secret of flux-system by substituteFrom",
        "a path outside the repository",
    ],
)
def test_an_attack_from_flux_system_is_refused(hostile_in_flux_system: Team, name: str) -> None:
    """The account is in flux-system, its rights are not."""
    team = hostile_in_flux_system
    (attack,) = (attack for attack in ATTACKS if attack.name == name)
    own = team.namespace(CLUSTER)
    before = _of_others(team.sandbox.snapshot(CLUSTER), team.name)
    applied, message = team.wait(CLUSTER, team.push(_files(team, attack), attack.name))
    confined = [team.sandbox.get(CLUSTER, kind, own, thing) for kind, thing in attack.confined]
    after = _of_others(team.sandbox.snapshot(CLUSTER), team.name)
    cleaned = team.wait(CLUSTER, team.push(team.files([CLUSTER], "1"), "Clean up"))
    print(f"\nfrom flux-system: {attack.name} | {_short(message) if not applied else 'confined'}")
    assert _differences(before, after) == []
    assert applied is bool(attack.confined), message
    assert all(confined)
    assert applied or re.search(attack.refused, message), message
    assert cleaned[0], cleaned[1]


def test_a_remote_base_is_cloned_but_not_read(hostile: Team, tmp_path: Path) -> None:
    """`--no-remote-bases` keeps kustomize to the team's files, whatever Git could fetch."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "kustomization.yaml").write_text("resources: [evil.yaml]\n")
    (base / "evil.yaml").write_text(EVIL)
    git = ["git", "-c", "user.name=m", "-c", "user.email=m@example.com", "-C", str(base)]
    run([*git, "init", "--quiet", "--initial-branch=main"], timeout=30)
    run([*git, "add", "--all"], timeout=30)
    run([*git, "commit", "--quiet", "--message=Base"], timeout=30)
    attack = Attack(
        name="a remote base",
        resources=(f"file://{base}?ref=main",),
        refused="is not in or below",
    )
    test_an_attack_is_refused(hostile, attack)


def test_a_file_by_http(hostile: Team) -> None:
    """Flux fetches it, flag or not; what it brings is applied in the team's own namespace only.

    No API keeps a team from having kustomize-controller ask an address: that is for a NetworkPolicy
    of flux-system, on a cluster whose CNI has them.
    """

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(EVIL.encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        attack = Attack(
            name="a file by http",
            resources=(f"http://127.0.0.1:{server.server_port}/evil.yaml",),
            confined=(("configmap", "evil"),),
        )
        try:
            test_an_attack_is_refused(hostile, attack)
        finally:
            server.shutdown()


def test_a_file_of_100_mb(hostile: Team) -> None:
    """Flux limits no file, GitHub refuses more than 100 MiB: it costs time, others go on."""
    folder = hostile.files([CLUSTER], "1")
    _expect_only_time(hostile, {**folder, "big.bin": os.urandom(100 * MEBIBYTE)}, applied=True)


def test_a_manifest_of_100_mb(hostile: Team) -> None:
    """What a ConfigMap may hold is the API server's to say."""
    manifest = _files(hostile, Attack(name="", resources=("big.yaml",)))
    text = yaml.safe_dump(thing("v1", "ConfigMap", "big")) + "data:\n  a: " + "a" * 100 * MEBIBYTE
    message = _expect_only_time(hostile, {**manifest, f"{FOLDER}/big.yaml": text}, applied=False)
    assert re.search("too large|too long|limit is", message), message


def test_the_fence_in_the_inventory(hostile: Team) -> None:
    """The last: what is marked "do not reconcile" Flux passes over, and later cannot prune.

    The team has locked itself out, nobody else, and it is removed like any other: the fixture's
    end shows that.
    """
    sandbox = hostile.sandbox
    before = _of_others(sandbox.snapshot(CLUSTER))
    marks = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
    account = marked(thing("v1", "ServiceAccount", ACCOUNT), annotations=marks)
    files = _files(hostile, Attack(name="", objects=(account,)))
    assert hostile.wait(CLUSTER, hostile.push(files, "Mark"))[0]
    after = _of_others(sandbox.snapshot(CLUSTER))
    applied, message = hostile.wait(
        CLUSTER, hostile.push(hostile.files([CLUSTER], "1"), "Have it pruned")
    )
    print(f"\nthe fence in the inventory | {_short(message)}")
    assert not applied
    assert "delete failed" in message
    assert re.search(cannot("(get|delete)", "serviceaccounts"), message)
    assert _differences(before, after) == []
    assert _differences(before, _of_others(sandbox.snapshot(CLUSTER))) == []


def _expect_only_time(hostile: Team, files: Mapping[str, Content], *, applied: bool) -> str:
    """Assert that a large push changes nothing of others', and that they go on; say how long."""
    sandbox = hostile.sandbox
    victim = Team(sandbox=sandbox, name=VICTIM)
    before = _of_others(sandbox.snapshot(CLUSTER))
    big = hostile.push(files, "Large")
    started = time.monotonic()
    sandbox.reconcile(CLUSTER, "gitrepository", NAMESPACE, hostile.source)
    assert victim.wait(CLUSTER, victim.push(victim.files([CLUSTER], "1"), "Meanwhile"), 120)[0]
    print(f"\nanother team's push took {time.monotonic() - started:.1f} s meanwhile")
    done, message = hostile.wait(CLUSTER, big, 240)
    print(f"100 MB: {time.monotonic() - started:.1f} s: {_short(message)}")
    for controller in ("source-controller", "kustomize-controller"):
        status = Path(f"/proc/{sandbox.pid(f'{CLUSTER}-{controller}')}/status").read_text()
        print(controller, *re.findall(r"VmHWM:\s+(.*)", status), "at most")
    assert done is applied, message
    after = _of_others(sandbox.snapshot(CLUSTER))
    cleaned = hostile.wait(CLUSTER, hostile.push(hostile.files([CLUSTER], "1"), "Clean up"), 120)
    assert _differences(before, after) == []
    assert cleaned[0], cleaned[1]
    return message


def _files(team: Team, attack: Attack) -> dict[str, Content]:
    """Return the team's usual files with the attack among them."""
    files: dict[str, Content] = dict(team.files([CLUSTER], "1"))
    listing = yaml.safe_load(str(files[f"{FOLDER}/kustomization.yaml"]))
    listing["resources"] += attack.resources
    if attack.objects:
        listing["resources"].append("attack.yaml")
        files[f"{FOLDER}/attack.yaml"] = yaml.safe_dump_all(attack.objects)
    files[f"{FOLDER}/kustomization.yaml"] = yaml.safe_dump(listing)
    return files | dict(attack.files or {})


def _no_pod_message(sandbox: Sandbox, deployment: str) -> str:
    """Wait until a Deployment has failed to have a pod; return why."""
    said: list[str] = []

    def failed() -> bool:
        found = sandbox.get(CLUSTER, "deployment", NAMESPACE, deployment) or {}
        for condition in found.get("status", {}).get("conditions", ()):
            if condition["type"] == "ReplicaFailure":
                said.append(condition["message"])
        return bool(said)

    eventually(failed, 30)
    assert sandbox.replicas(CLUSTER, NAMESPACE)[deployment] == 0
    return said[0]


def _of_others(objects: Mapping[str, Any], name: str = HOSTILE) -> dict[str, Any]:
    """Return what is not a team's own: all that it must not be able to change.

    In the team's namespace that is what the platform put there, which Flux labels as its own.
    """

    def own(metadata: Mapping[str, Any]) -> bool:
        labels = metadata.get("labels", {})
        return metadata.get("namespace") == f"{name}-{CLUSTER}" and (
            labels.get("kustomize.toolkit.fluxcd.io/namespace") != "flux-system"
            or labels["kustomize.toolkit.fluxcd.io/name"] == f"{name}-apps"
        )

    return {key: item for key, item in objects.items() if not own(item["metadata"])}


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}: {json.dumps(before.get(key))} became {json.dumps(after.get(key))}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]


def _short(message: str) -> str:
    return re.sub(r"\s+", " ", message)[:300]
