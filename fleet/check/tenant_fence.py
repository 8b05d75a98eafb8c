"""The fence of a tenant: the manifests with which the platform confines it in one cluster."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from fleet.config.tenant import Tenant
from fleet.config.tenant_models import ExtraKinds
from fleet.inventory.built_object import BuiltObject
from fleet.kube.fields import Fields, mapping_at
from fleet.kube.manifest import Manifest
from fleet.render import tenant_manifests

# Flux needs all of these to apply an object, to change it and to remove it.
_VERBS = ("get", "create", "patch", "delete")


@dataclass(frozen=True, kw_only=True)
class Fence:
    """The manifests that confine one tenant, by kind, and the stack they are rendered for."""

    stack: str
    tenant: Tenant
    manifests: Mapping[str, Sequence[Manifest]]

    @property
    def pod_security(self) -> str:
        """The Pod Security level that the tenant's namespace enforces."""
        (namespace,) = self.manifests["Namespace"]
        labels = mapping_at(namespace, "metadata", "labels")
        return str(labels.get("pod-security.kubernetes.io/enforce"))

    @property
    def limits(self) -> list[Fields]:
        """The items of the tenant's LimitRanges."""
        ranges = self.manifests["LimitRange"]
        return [item for found in ranges for item in mapping_at(found, "spec")["limits"]]

    @property
    def quotas(self) -> Sequence[Manifest]:
        """The tenant's ResourceQuotas."""
        return self.manifests["ResourceQuota"]

    @property
    def accounts(self) -> set[str]:
        """The names of the ServiceAccounts in the tenant's namespace."""
        found = (mapping_at(item, "metadata") for item in self.manifests["ServiceAccount"])
        own = {str(m["name"]) for m in found if m["namespace"] == self.tenant.namespace}
        return {"default", *own}

    @property
    def used_by_platform(self) -> Mapping[str, int]:
        """The number of objects in the namespace that are not the tenant's, as quotas count."""
        tenant = self.tenant
        has_credentials = tenant.reads_with_secret and tenant.flux_namespace == tenant.namespace
        # Kubernetes adds the ConfigMap kube-root-ca.crt, fleet the Secret that Flux reads with.
        return {"configmaps": 1, "secrets": int(has_credentials)}

    def contains(self, built: BuiltObject) -> bool:
        """Tell whether an object is part of the fence itself."""
        return any(
            BuiltObject(path="", manifest=manifest).display_name == built.display_name
            for manifest in self.manifests.get(built.kind, ())
        )

    def allows(self, built: BuiltObject) -> bool:
        """Tell whether the tenant's Roles give Flux all rights it needs for an object's kind."""
        rules = [rule for role in self.manifests["Role"] for rule in role["rules"]]
        return all(
            any(
                {verb, "*"} & set(rule["verbs"])
                and {built.group, "*"} & set(rule["apiGroups"])
                and {built.plural, "*"} & set(rule["resources"])
                for rule in rules
            )
            for verb in _VERBS
        )

    def can_allow(self, built: BuiltObject) -> bool:
        """Tell whether an object's kind may be in a tenant's `extraKinds`."""
        try:
            ExtraKinds.model_validate({"apiGroup": built.group, "resources": [built.plural]})
        except ValidationError:
            return False
        return True


def fence(stack: str, tenant: Tenant) -> Fence:
    """Return the fence of a tenant in the cluster of a stack."""
    manifests: dict[str, list[Manifest]] = defaultdict(list)
    for manifest in tenant_manifests.manifests_of(tenant):
        manifests[manifest["kind"]].append(manifest)
    return Fence(stack=stack, tenant=tenant, manifests=manifests)
