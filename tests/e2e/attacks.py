"""Attacks of a hostile tenant: the files that it pushes and the expected refusals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.sandbox import Tenant

CLUSTER = "dev"
HOSTILE, VICTIM = "mallory", "billing"
NAMESPACE, VICTIMS_NAMESPACE = f"{HOSTILE}-{CLUSTER}", f"{VICTIM}-{CLUSTER}"
# The platform gives these names to the tenant's ServiceAccount and GitRepository.
ACCOUNT, SOURCE_NAME = "tenant", f"{HOSTILE}-repo"
FOLDER = f"deploy/{CLUSTER}"

Object = Mapping[str, Any]
Content = str | bytes | Path


@dataclass(frozen=True, kw_only=True)
class Attack:
    """Objects and files that the tenant pushes, and the pattern of the expected refusal.

    `refused_by` names a Deployment whose pods are not admitted, or a controller, when the refusal
    is not in Flux's status but in the Deployment's conditions or in the controller's log.
    Its texts name the tenant HOSTILE; `by` puts in the name of the one that tries it.
    `confined` are objects that are applied, but only in the tenant's own namespace.
    """

    name: str
    objects: tuple[Object, ...] = ()
    files: Mapping[str, Content] | None = None
    resources: tuple[str, ...] = ()
    refused: str = ""
    refused_by: str = ""
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
    """Return the pattern of a refusal by RBAC."""
    return rf'cannot {verb} resource "{resource}"'


RBAC = "rbac.authorization.k8s.io/v1"
KUSTOMIZE = "kustomize.toolkit.fluxcd.io/v1"
SOURCE = "source.toolkit.fluxcd.io/v1"
HELM = "helm.toolkit.fluxcd.io/v2"
OWN_ACCOUNT = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
CLUSTER_ADMIN = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                 "name": "cluster-admin"}  # fmt: skip


def nested(name: str, **spec: object) -> dict[str, Any]:
    """Return a Flux Kustomization of the tenant's own repository."""
    defaults = {
        "interval": "1m",
        "prune": True,
        "path": "./evil",
        "sourceRef": {"kind": "GitRepository", "name": SOURCE_NAME},
        "serviceAccountName": ACCOUNT,
    }
    return thing(KUSTOMIZE, "Kustomization", name, spec=defaults | spec)


def release(**spec: object) -> dict[str, Any]:
    """Return a HelmRelease of a chart in the tenant's own repository."""
    chart = {"chart": "./chart", "sourceRef": {"kind": "GitRepository", "name": SOURCE_NAME}}
    defaults = {"interval": "1m", "serviceAccountName": ACCOUNT, "chart": {"spec": chart}}
    return thing(HELM, "HelmRelease", "nested", spec=defaults | spec)


RESTRICTED_POD: dict[str, Any] = {
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
    """Return a Deployment of this pod."""
    labels = {"app": "evil"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    return thing("apps/v1", "Deployment", "evil", spec=spec)


def _with_requests(**requests: str) -> dict[str, Any]:
    container = RESTRICTED_POD["containers"][0] | {
        "resources": {"requests": requests, "limits": requests}
    }
    return RESTRICTED_POD | {"containers": [container]}


NO_FLUX_KINDS = r'cannot patch resource "(kustomizations|gitrepositories|helmreleases)"'

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
        name="its own RoleBinding, for another tenant's account",
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
        name="an object in another tenant's namespace",
        objects=(thing("v1", "ConfigMap", "evil", VICTIMS_NAMESPACE, data={"a": "b"}),),
        confined=(("configmap", "evil"),),
    ),
    Attack(
        name="an object in flux-system",
        objects=(thing("v1", "ConfigMap", "evil", "flux-system", data={"a": "b"}),),
        confined=(("configmap", "evil"),),
    ),
    Attack(
        name="the other tenant's app, by its name",
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
        refused=NO_FLUX_KINDS,
    ),
    Attack(
        name="a Kustomization into another tenant's namespace",
        objects=(nested("nested"),),
        refused=NO_FLUX_KINDS,
    ),
    Attack(
        name="a Kustomization as the platform's account",
        objects=(nested("nested", serviceAccountName="platform"),),
        refused=NO_FLUX_KINDS,
    ),
    Attack(
        name="a Kustomization as no account",
        objects=(nested("nested", serviceAccountName=""),),
        refused=NO_FLUX_KINDS,
    ),
    Attack(
        name="a Secret of flux-system by substituteFrom",
        objects=(nested("nested", postBuild={
            "substituteFrom": [{"kind": "Secret", "name": "flux-system"}]}),),
        refused=NO_FLUX_KINDS,
    ),
    Attack(
        name="a decryption key of flux-system",
        objects=(nested("nested", decryption={
            "provider": "sops", "secretRef": {"name": "flux-system"}}),),
        refused=NO_FLUX_KINDS,
    ),
    Attack(
        name="a GitRepository of another tenant",
        objects=(thing(SOURCE, "GitRepository", "nested", spec={
            "interval": "1m", "url": "https://github.com/tenants/billing-apps"}),),
        refused=NO_FLUX_KINDS,
    ),
    Attack(
        name="a HelmRelease into flux-system",
        objects=(release(targetNamespace="flux-system", storageNamespace="kube-system"),),
        refused=NO_FLUX_KINDS,
    ),
    Attack(
        name="a HelmRelease as another account",
        objects=(release(serviceAccountName="helm-controller"),),
        refused=NO_FLUX_KINDS,
    ),
    Attack(
        name="a HelmRelease of a chart in flux-system",
        objects=(release(chart={"spec": {"chart": "kyverno", "sourceRef": {
            "kind": "HelmRepository", "name": "kyverno", "namespace": "flux-system"}}}),),
        refused=NO_FLUX_KINDS,
    ),
    Attack(
        name="a Secret of flux-system by valuesFrom",
        objects=(release(valuesFrom=[{"kind": "Secret", "name": "flux-system"}]),),
        refused=NO_FLUX_KINDS,
    ),
    Attack(
        name="its own Kustomization, as another account",
        objects=(nested(f"{HOSTILE}-apps", serviceAccountName="platform"),),
        refused=NO_FLUX_KINDS,
    ),
    Attack(
        name="its own GitRepository, with another URL",
        objects=(thing(SOURCE, "GitRepository", SOURCE_NAME, spec={
            "interval": "1m", "url": "https://github.com/tenants/billing-apps"}),),
        refused=NO_FLUX_KINDS,
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
        refused=NO_FLUX_KINDS,
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
        name="an object moved to another tenant's namespace by a transformer",
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
        refused_by="evil",
        refused="violates PodSecurity",
    ),
    Attack(
        name="a pod as important as the cluster's own",
        objects=(workload(RESTRICTED_POD | {"priorityClassName": "system-node-critical"}),),
        refused_by="evil",
        refused="exceeded quota|insufficient quota",
    ),
    Attack(
        name="a container larger than a tenant's",
        objects=(workload(_with_requests(cpu="1", memory="64Gi")),),
        refused_by="evil",
        refused="maximum memory usage per Container",
    ),
    Attack(
        name="more CPU than a tenant's",
        objects=(workload(_with_requests(cpu="100")),),
        refused_by="evil",
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


def attack_files(tenant: Tenant, attack: Attack) -> dict[str, Content]:
    """Return the tenant's usual files with those of the attack."""
    files: dict[str, Content] = dict(tenant.files([CLUSTER], "1"))
    listing = yaml.safe_load(str(files[f"{FOLDER}/kustomization.yaml"]))
    listing["resources"] += attack.resources
    added = dict(attack.files or {})
    if attack.objects:
        listing["resources"].append("attack.yaml")
        added[f"{FOLDER}/attack.yaml"] = yaml.safe_dump_all(attack.objects)
    files[f"{FOLDER}/kustomization.yaml"] = yaml.safe_dump(listing)
    return files | {
        name: by(tenant, content) if isinstance(content, str) else content
        for name, content in added.items()
    }


def by(tenant: Tenant, text: str) -> str:
    """Return a text of an attack, with the name of the tenant that tries it."""
    return text.replace(HOSTILE, tenant.name)
