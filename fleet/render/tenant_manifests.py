"""What the platform keeps in a cluster for one team: its fence, and what Flux pulls for it."""

from __future__ import annotations

from typing import Any

from fleet.config.tenant import Team

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


def namespace(team: Team) -> Document:
    """Return the team's namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": team.namespace,
            "labels": {
                LABEL: team.name,
                "pod-security.kubernetes.io/enforce": team.pod_security,
                "pod-security.kubernetes.io/warn": "restricted",
            },
        },
    }


def documents(team: Team) -> list[Document]:
    """Return everything of one team: its fence, then its wiring.

    When the team is removed, all of it goes, or of a team to keep the wiring only.
    """
    fence = [namespace(team), *_bounds(team), *_network(team)]
    account = {
        **_head(team, "v1", "ServiceAccount", team.account, team.flux_namespace),
        # No pod runs as it: Flux only impersonates it.
        "automountServiceAccountToken": False,
    }
    return [
        *(_kept(document) if team.keep else document for document in fence),
        account,
        *_rights(team),
        *sync(team),
    ]


def _kept(document: Document) -> Document:
    """The same, never removed by Flux."""
    annotations = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
    return document | {"metadata": document["metadata"] | {"annotations": annotations}}


def _bounds(team: Team) -> list[Document]:
    """What all of the namespace, and what one container of it, may use."""
    return [
        {
            **_head(team, "v1", "ResourceQuota", "tenant"),
            "spec": {"hard": dict(sorted(team.quota.items()))},
        },
        {
            # Else a team's pods could push the platform's off a node.
            **_head(team, "v1", "ResourceQuota", "no-critical-pods"),
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
            **_head(team, "v1", "LimitRange", "tenant"),
            "spec": {
                "limits": [
                    {
                        "type": "Container",
                        **{kind: dict(sorted(v.items())) for kind, v in team.limits.items()},
                    }
                ]
            },
        },
    ]


def sync(team: Team) -> tuple[Document, Document]:
    """Return the GitRepository and the Kustomization of a team."""
    source_spec: Document = {
        "interval": team.repository.interval,
        "url": team.repository.url,
        "ref": {"branch": team.repository.branch},
    }
    if team.reads_with_secret:
        source_spec["secretRef"] = {"name": team.source}
    if team.suspend:
        source_spec["suspend"] = True
    source = {
        **_head(
            team,
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            team.source,
            team.flux_namespace,
        ),
        "spec": source_spec,
    }
    spec: Document = {
        "interval": team.interval,
        "retryInterval": "1m",
        "timeout": "3m",
        "sourceRef": {"kind": "GitRepository", "name": team.source},
        "path": team.path,
        "prune": True,
        "targetNamespace": team.namespace,
        "serviceAccountName": team.account,
    }
    if team.keep:
        spec["deletionPolicy"] = "Orphan"
    if team.suspend:
        spec["suspend"] = True
    kustomization = {
        **_head(
            team,
            "kustomize.toolkit.fluxcd.io/v1",
            "Kustomization",
            f"{team.name}-apps",
            team.flux_namespace,
        ),
        "spec": spec,
    }
    return source, kustomization


def _rights(team: Team) -> tuple[Document, Document]:
    kinds = _WORKLOADS + (_PUBLISHED if team.role == "published" else ())
    extra = tuple((item.api_group, item.resources) for item in team.extra_kinds)
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
    role = {**_head(team, f"{api}/v1", "Role", "tenant"), "rules": rules}
    binding = {
        **_head(team, f"{api}/v1", "RoleBinding", "tenant"),
        "roleRef": {"apiGroup": api, "kind": "Role", "name": "tenant"},
        "subjects": [
            {"kind": "ServiceAccount", "name": team.account, "namespace": team.flux_namespace}
        ],
    }
    return role, binding


def _network(team: Team) -> tuple[Document, Document]:
    """Nothing in, nothing out but questions to the cluster's DNS; and the team's own pods."""
    api = "networking.k8s.io/v1"
    dns = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    own: list[Document] = [{"podSelector": {}}]
    deny = {
        **_head(team, api, "NetworkPolicy", "default-deny"),
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "egress": [
                {"to": [dns], "ports": [{"port": 53, "protocol": p} for p in ("UDP", "TCP")]}
            ],
        },
    }
    allow = {
        **_head(team, api, "NetworkPolicy", "own-namespace"),
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": own}],
            "egress": [{"to": own}],
        },
    }
    return deny, allow


def _head(
    team: Team, api_version: str, kind: str, name: str, namespace: str | None = None
) -> Document:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": namespace or team.namespace,
            "labels": {LABEL: team.name},
        },
    }
