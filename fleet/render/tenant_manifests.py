"""The objects that the platform keeps for one tenant in a cluster.

Most of them are the tenant's fence, which holds it in its namespace: Pod Security labels, quotas,
limits, network policies, and a role that allows workloads and nothing of the fence. The others
tell Flux to apply the tenant's repository with that role.
"""

from __future__ import annotations

from typing import Any

from fleet.config.tenant import Tenant
from fleet.kube.manifest import Manifest
from fleet.render import flux

# What the roles allow, by API group. ServiceAccounts are missing, because a cloud may give them
# rights outside the cluster.
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
# Flux reads these to tell whether a workload is healthy.
_READ_ONLY = (("", ("events", "pods")), ("apps", ("replicasets",)))
_RBAC = "rbac.authorization.k8s.io"


def manifests_of(tenant: Tenant) -> list[Manifest]:
    """Return all objects of one tenant, the namespace first.

    When the tenant leaves the stack file, Flux removes them all. With `keep`, it leaves the
    namespace and what limits it, so that the tenant's workloads go on as they are.
    """
    limited_namespace = [namespace(tenant), *_quotas_and_limits(tenant), *_network_policies(tenant)]
    if tenant.keep:
        limited_namespace = [_never_pruned(manifest) for manifest in limited_namespace]
    return [*limited_namespace, _account(tenant), *_role_and_binding(tenant), *sync(tenant)]


def namespace(tenant: Tenant) -> Manifest:
    """Return the tenant's namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": tenant.namespace,
            "labels": {
                flux.TENANT_LABEL: tenant.name,
                "pod-security.kubernetes.io/enforce": tenant.pod_security,
                "pod-security.kubernetes.io/warn": "restricted",
            },
        },
    }


def sync(tenant: Tenant) -> tuple[Manifest, Manifest]:
    """Return the GitRepository and the Flux Kustomization of the tenant's repository."""
    source_spec: dict[str, Any] = {
        "interval": tenant.repository.interval,
        "url": tenant.repository.url,
        "ref": {"branch": tenant.repository.branch},
    }
    spec: dict[str, Any] = {
        "interval": tenant.interval,
        "retryInterval": "1m",
        "timeout": "3m",
        "sourceRef": {"kind": "GitRepository", "name": tenant.source},
        "path": tenant.path,
        "prune": True,
        "targetNamespace": tenant.namespace,
        "serviceAccountName": tenant.account,
    }
    if tenant.reads_with_secret:
        source_spec["secretRef"] = {"name": tenant.source}
    if tenant.keep:
        spec["deletionPolicy"] = "Orphan"
    if tenant.suspend:
        source_spec["suspend"] = True
        spec["suspend"] = True
    return (
        flux.git_repository(_flux_metadata(tenant, tenant.source), source_spec),
        flux.kustomization(_flux_metadata(tenant, f"{tenant.name}-apps"), spec),
    )


def _never_pruned(manifest: Manifest) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": flux.NEVER_PRUNED}}


def _quotas_and_limits(tenant: Tenant) -> list[Manifest]:
    container_limits = {kind: dict(sorted(v.items())) for kind, v in tenant.limits.items()}
    critical = {
        "scopeName": "PriorityClass",
        "operator": "In",
        "values": ["system-cluster-critical", "system-node-critical"],
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": _metadata(tenant, "tenant"),
            "spec": {"hard": dict(sorted(tenant.quota.items()))},
        },
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            # Pods of these priorities could displace the platform's from a node.
            "metadata": _metadata(tenant, "no-critical-pods"),
            "spec": {"hard": {"pods": "0"}, "scopeSelector": {"matchExpressions": [critical]}},
        },
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": _metadata(tenant, "tenant"),
            "spec": {"limits": [{"type": "Container", **container_limits}]},
        },
    ]


def _network_policies(tenant: Tenant) -> list[Manifest]:
    """Deny all traffic except DNS queries and traffic between the tenant's own pods."""
    dns = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    dns_ports = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    own_pods: list[dict[str, Any]] = [{"podSelector": {}}]
    return [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": _metadata(tenant, "default-deny"),
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "egress": [{"to": [dns], "ports": dns_ports}],
            },
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": _metadata(tenant, "own-namespace"),
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress", "Egress"],
                "ingress": [{"from": own_pods}],
                "egress": [{"to": own_pods}],
            },
        },
    ]


def _account(tenant: Tenant) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": _flux_metadata(tenant, tenant.account),
        # Flux's controllers impersonate the account, and no pod runs as it.
        "automountServiceAccountToken": False,
    }


def _role_and_binding(tenant: Tenant) -> list[Manifest]:
    published = _PUBLISHED if tenant.role == "published" else ()
    extra = ((kinds.api_group, kinds.resources) for kinds in tenant.extra_kinds)
    rules = [
        {
            "apiGroups": [group],
            "resources": list(resources),
            "verbs": ["get", "list", "watch", "create", "update", "patch", "delete"],
        }
        for group, resources in (*_WORKLOADS, *published, *extra)
    ]
    rules += [
        {"apiGroups": [group], "resources": list(resources), "verbs": ["get", "list", "watch"]}
        for group, resources in _READ_ONLY
    ]
    return [
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "Role",
            "metadata": _metadata(tenant, "tenant"),
            "rules": rules,
        },
        {
            "apiVersion": f"{_RBAC}/v1",
            "kind": "RoleBinding",
            "metadata": _metadata(tenant, "tenant"),
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": "tenant"},
            "subjects": [
                {
                    "kind": "ServiceAccount",
                    "name": tenant.account,
                    "namespace": tenant.flux_namespace,
                }
            ],
        },
    ]


def _metadata(tenant: Tenant, name: str) -> dict[str, Any]:
    return {"name": name, "namespace": tenant.namespace, "labels": {flux.TENANT_LABEL: tenant.name}}


def _flux_metadata(tenant: Tenant, name: str) -> dict[str, Any]:
    return {**_metadata(tenant, name), "namespace": tenant.flux_namespace}
