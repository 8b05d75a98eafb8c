"""Attacks of a hostile tenant: the files that it pushes and the expected refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.sandbox import Team

CLUSTER = "dev"
HOSTILE, VICTIM = "mallory", "billing"
NAMESPACE, VICTIMS_NAMESPACE = f"{HOSTILE}-{CLUSTER}", f"{VICTIM}-{CLUSTER}"
# What the platform calls the team's things.
ACCOUNT, SOURCE_OF_TEAM = "tenant", f"{HOSTILE}-repo"
FOLDER = f"deploy/{CLUSTER}"

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


def attack_files(team: Team, attack: Attack) -> dict[str, Content]:
    """Return the team's usual files with the attack among them."""
    files: dict[str, Content] = dict(team.files([CLUSTER], "1"))
    listing = yaml.safe_load(str(files[f"{FOLDER}/kustomization.yaml"]))
    listing["resources"] += attack.resources
    if attack.objects:
        listing["resources"].append("attack.yaml")
        files[f"{FOLDER}/attack.yaml"] = yaml.safe_dump_all(attack.objects)
    files[f"{FOLDER}/kustomization.yaml"] = yaml.safe_dump(listing)
    return files | dict(attack.files or {})
