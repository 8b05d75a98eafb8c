"""The scopes of kinds: an object is in a namespace, or in the whole cluster."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fleet.kube.fields import mapping_at
from fleet.kube.manifest import Manifest, object_id

NAMESPACED = "Namespaced"
CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")
# The scope of each (group, kind).
Scopes = Mapping[tuple[str, str], str]
# Kubernetes' own kinds whose objects are in no namespace. A test compares them with its API.
_CLUSTER_KINDS = {
    "": "ComponentStatus Namespace Node PersistentVolume",
    "admissionregistration.k8s.io": (
        "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding MutatingWebhookConfiguration "
        "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding ValidatingWebhookConfiguration"
    ),
    "apiextensions.k8s.io": "CustomResourceDefinition",
    "apiregistration.k8s.io": "APIService",
    "authentication.k8s.io": "SelfSubjectReview TokenReview",
    "authorization.k8s.io": "SelfSubjectAccessReview SelfSubjectRulesReview SubjectAccessReview",
    "certificates.k8s.io": "CertificateSigningRequest ClusterTrustBundle",
    "flowcontrol.apiserver.k8s.io": "FlowSchema PriorityLevelConfiguration",
    "internal.apiserver.k8s.io": "StorageVersion",
    "networking.k8s.io": "IPAddress IngressClass ServiceCIDR",
    "node.k8s.io": "RuntimeClass",
    "rbac.authorization.k8s.io": "ClusterRole ClusterRoleBinding",
    "resource.k8s.io": "DeviceClass DeviceTaintRule ResourcePoolStatusRequest ResourceSlice",
    "scheduling.k8s.io": "PriorityClass",
    "storage.k8s.io": "CSIDriver CSINode StorageClass VolumeAttachment VolumeAttributesClass",
    "storagemigration.k8s.io": "StorageVersionMigration",
}
CLUSTER_KINDS = frozenset(
    (group, kind) for group, kinds in _CLUSTER_KINDS.items() for kind in kinds.split()
)


def of_crds(manifests: Iterable[Manifest]) -> Scopes:
    """Return the scopes of the kinds of all CRDs among some objects; the first of a kind wins."""
    found: dict[tuple[str, str], str] = {}
    for manifest in manifests:
        if manifest.get("kind") == CRD[1]:
            spec = mapping_at(manifest, "spec")
            kind = (str(spec.get("group")), str(mapping_at(spec, "names").get("kind")))
            found.setdefault(kind, str(spec.get("scope")))
    return found


def is_namespaced(manifest: Manifest, scopes: Scopes) -> bool:
    """Tell whether an object is in a namespace; a kind that nobody knows counts as namespaced."""
    found = object_id(manifest)
    kind = (found.group, found.kind)
    return kind not in CLUSTER_KINDS and scopes.get(kind, NAMESPACED) == NAMESPACED
