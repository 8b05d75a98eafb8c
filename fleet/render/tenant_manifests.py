"""What the platform keeps in a cluster for one team: its fence, and what Flux pulls for it."""

from __future__ import annotations

from typing import Any

from fleet.config.tenant import Tenant

LABEL = "platform.example.com/tenant"
# Groups and kinds, and so names of APIs, that a role has: what runs, and what it takes to run.
# Neither ServiceAccounts, which a cloud may give rights outside, nor anything of the fence itself.
_WORKLOADS = (
    ("", ("configmaps", "persistentvolumeclaims", "secrets", "services")),
    ("apps", ("deployments", "statefulsets")),
    ("batch", ("cronjobs", "jobs")),
    ("autoscaling", ("horizontalpodautoscalers",)),
    ("policy", ("poddisruptionbudgets",)),
)
_PUBLISHED = (
    ("networking.k8s.io", ("ingresses",)),
    ("gateway.networking.k8s.io", ("grpcroutes", "httproutes")),
)
# What Flux looks at to say whether a workload is healthy.
_SEEN = (("", ("events", "pods")), ("apps", ("replicasets",)))

Document = dict[str, Any]


def namespace(tenant: Tenant) -> Document:
    """Return the team's namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": tenant.namespace,
            "labels": {
                LABEL: tenant.name,
                "pod-security.kubernetes.io/enforce": tenant.pod_security,
                "pod-security.kubernetes.io/warn": "restricted",
            },
        },
    }


def documents(tenant: Tenant) -> list[Document]:
    """Return everything of one team: its fence, then its wiring.

    When the team is removed, all of it goes, or of a team to keep the wiring only.
    """
    fence = [namespace(tenant), *_bounds(tenant), *_network(tenant)]
    account = {
        **_head(tenant, "v1", "ServiceAccount", tenant.account, tenant.flux_namespace),
        # No pod runs as it: Flux only impersonates it.
        "automountServiceAccountToken": False,
    }
    return [
        *(_kept(document) if tenant.keep else document for document in fence),
        account,
        *_rights(tenant),
        *sync(tenant),
    ]


def _kept(document: Document) -> Document:
    """The same, never removed by Flux."""
    annotations = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
    return document | {"metadata": document["metadata"] | {"annotations": annotations}}


def _bounds(tenant: Tenant) -> list[Document]:
    """What all of the namespace, and what one container of it, may use."""
    return [
        {
            **_head(tenant, "v1", "ResourceQuota", "tenant"),
            "spec": {"hard": dict(sorted(tenant.quota.items()))},
        },
        {
            # Else a team's pods could push the platform's off a node.
            **_head(tenant, "v1", "ResourceQuota", "no-critical-pods"),
            "spec": {
                "hard": {"pods": "0"},
                "scopeSelector": {
                    "matchExpressions": [
                        {
                            "scopeName": "PriorityClass",
                            "operator": "In",
                            "values": ["system-cluster-critical", "system-node-critical"],
                        }
                    ]
                },
            },
        },
        {
            **_head(tenant, "v1", "LimitRange", "tenant"),
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        **{kind: dict(sorted(v.items())) for kind, v in tenant.limits.items()},
                    }
                ]
            },
        },
    ]


def sync(tenant: Tenant) -> tuple[Document, Document]:
    """Return the GitRepository and the Kustomization of a team."""
    source_spec: Document = {
        "interval": tenant.repository.interval,
        "url": tenant.repository.url,
        "ref": {"branch": tenant.repository.branch},
    }
    if tenant.reads_with_secret:
        source_spec["secretRef"] = {"name": tenant.source}
    if tenant.suspend:
        source_spec["suspend"] = True
    source = {
        **_head(
            tenant,
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            tenant.source,
            tenant.flux_namespace,
        ),
        "spec": source_spec,
    }
    spec: Document = {
        "interval": tenant.interval,
        "retryInterval": "1m",
        "timeout": "3m",
        "sourceRef": {"kind": "GitRepository", "name": tenant.source},
        "path": tenant.path,
        "prune": True,
        "targetNamespace": tenant.namespace,
        "serviceAccountName": tenant.account,
    }
    if tenant.keep:
        spec["deletionPolicy"] = "Orphan"
    if tenant.suspend:
        spec["suspend"] = True
    kustomization = {
        **_head(
            tenant,
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            f"{tenant.name}-apps",
            tenant.flux_namespace,
        ),
        "spec": spec,
    }
    return source, kustomization


def _rights(tenant: Tenant) -> tuple[Document, Document]:
    kinds = _WORKLOADS + (_PUBLISHED if tenant.role == "published" else ())
    extra = tuple((item.api_group, item.resources) for item in tenant.extra_kinds)
    rules = [
        {
            "apiGroups": [group],
            "resources": list(resources),
            "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"],
        }
        for group, resources in (*kinds, *extra)
    ]
    rules += [
        {"apiGroups": [group], "resources": list(resources), "verbs": ["get", "list", "watch"]}
        for group, resources in _SEEN
    ]
    api = "rbac.authorization.k8s.io"
    role = {**_head(tenant, f"{api}/v1", "Role", "tenant"), "rules": rules}
    binding = {
        **_head(tenant, f"{api}/v1", "RoleBinding", "tenant"),
        "roleRef": {"apiGroup": api, "kind": "Role", "name": "tenant"},
        "subjects": [
            {"kind": "ServiceAccount", "name": tenant.account, "namespace": tenant.flux_namespace}
        ],
    }
    return role, binding


def _network(tenant: Tenant) -> tuple[Document, Document]:
    """Nothing in, nothing out but questions to the cluster's DNS; and the team's own pods."""
    api = "networking.k8s.io/v1"
    dns = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    own: list[Document] = [{"podSelector": {}}]
    deny = {
        **_head(tenant, api, "NetworkPolicy", "default-deny"),
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [
                {"to": [dns], "ports": [{"port": 53, "protocol": p} for p in ("UDP", "TCP")]}
            ],
        },
    }
    allow = {
        **_head(tenant, api, "NetworkPolicy", "own-namespace"),
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": own}],
            "egress": [{"to": own}],
        },
    }
    return deny, allow


def _head(
    tenant: Tenant, api_version: str, kind: str, name: str, namespace: str | None = None
) -> Document:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace or tenant.namespace,
            "labels": {LABEL: tenant.name},
        },
    }
