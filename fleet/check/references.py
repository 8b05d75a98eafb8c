"""The ConfigMaps and Secrets that objects name, and those that a cluster gets.

Only ConfigMaps have to be in the repository: a Secret is often made in the cluster.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from fleet.check.pods import pods_of
from fleet.check.rules import Rule, finds
from fleet.config.models import Stack
from fleet.inventory import built_object
from fleet.inventory.build import ClusterBuild
from fleet.inventory.built_object import BuiltObject, is_of_flux
from fleet.inventory.finding import Finding, listed
from fleet.inventory.objects import Objects
from fleet.kube.fields import Fields, mapping_at, mappings_in, values_at
from fleet.kube.manifest import Manifest
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.kube.once import once_for_each
from fleet.render import flux_paths, layout

CONFIG_MAP, SECRET = "ConfigMap", "Secret"
# Kubernetes, OpenShift and Istio put these into every namespace.
_IN_EVERY_NAMESPACE = ("kube-root-ca.crt", "openshift-service-ca.crt", "istio-ca-root-cert")
# The kind and the key of the name, by the key of a reference in a volume or a projected source.
_IN_VOLUMES = {
    "configMap": (CONFIG_MAP, "name"),
    "secret": (SECRET, "secretName"),
}
_PROJECTED = {"configMap": (CONFIG_MAP, "name"), "secret": (SECRET, "name")}
_ENV_FROM = {"configMapRef": (CONFIG_MAP, "name"), "secretRef": (SECRET, "name")}
_VALUE_FROM = {"configMapKeyRef": (CONFIG_MAP, "name"), "secretKeyRef": (SECRET, "name")}
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
# The paths of names of Secrets, by kind of the object that has them.
_SECRETS = {
    "Ingress": ("spec.tls[].secretName",),
    "ServiceAccount": ("imagePullSecrets[].name",),
    "Kustomization": ("spec.decryption.secretRef.name", "spec.kubeConfig.secretRef.name"),
    "HelmRelease": ("spec.kubeConfig.secretRef.name",),
    "GitRepository": ("spec.secretRef.name",),
    "HelmRepository": ("spec.secretRef.name",),
    "OCIRepository": ("spec.secretRef.name",),
    "Bucket": ("spec.secretRef.name",),
    "Provider": ("spec.secretRef.name",),
    "Receiver": ("spec.secretRef.name",),
}
# The paths of the names of what controllers make, by kind of the object that asks for it.
_MADE = {
    "SealedSecret": ("metadata.name",),
    "ExternalSecret": ("spec.target.name", "metadata.name"),
    "Certificate": ("spec.secretName",),
    "Bundle": ("metadata.name",),
    "VaultStaticSecret": ("spec.destination.name",),
    "VaultDynamicSecret": ("spec.destination.name",),
    "ClusterExternalSecret": ("spec.externalSecretName", "metadata.name"),
}
# An Ingress or a ConfigMap with such an annotation makes a controller act.
_CERTIFICATES = ("cert-manager.io/", "kubernetes.io/tls-acme")
_COPIES = ("reflector.v1.k8s.emberstack.com/", "replicator.v1.mittwald.de/")


class Reference(NamedTuple):
    """A reference to a ConfigMap or a Secret in the namespace of the object that has it."""

    kind: str
    name: str


@finds(Rule.CONFIG_MAP)
def missing_config_maps(cluster: ClusterBuild) -> Iterator[Finding]:
    """Rule: a cluster has the ConfigMaps that its pods need to start.

    What a chart refers to is the chart's business: its hooks may make it.
    """
    for built, found in _missing(cluster, (CONFIG_MAP,)):
        if not _may_get_more(cluster, str(built.namespace)):
            yield built.finding(
                f"needs ConfigMap {found.name}, which this cluster does not have; add it, correct "
                "the name, or say optional: true",
                near=f"name: {found.name}",
            )


def needed(builds: Iterable[tuple[Stack, ClusterBuild]]) -> set[str]:
    """Return the names of what definitions need and what has to come from elsewhere."""
    return {name for stack, cluster in builds for name in _from_elsewhere(stack, cluster)}


def lines(names: Collection[str]) -> Iterator[str]:
    """Yield a line with the names of what the clusters need, if there are some."""
    if names:
        yield f"the clusters need these, which are in no file: {listed(sorted(names))}"


def _from_elsewhere(stack: Stack, cluster: ClusterBuild) -> Iterator[str]:
    """Yield the Secrets, and the ConfigMaps that another repository may have."""
    # The program makes the Secrets that fleet's own objects need.
    own = (f"{stack.path}//", f"{stack.path}/{layout.TENANTS}/")
    for built, found in _missing(cluster, (CONFIG_MAP, SECRET)):
        if f"{built.path}//".startswith(own):
            continue
        if found.kind == SECRET or _may_get_more(cluster, str(built.namespace)):
            yield f"{found.kind} {built.namespace}/{found.name}"


def _missing(cluster: ClusterBuild, kinds: Collection[str]) -> list[tuple[BuiltObject, Reference]]:
    """Return the references of Flux's and kustomize's objects to what a cluster does not have."""
    named = [
        (built, found)
        for built in cluster.objects.where(_references_of)
        for found in _references_of(built.manifest)
        if found.kind in kinds
    ]
    if not named:
        return []
    known = _Known(cluster.all_objects)
    return [(built, found) for built, found in named if not known.has(built, found)]


def _may_get_more(cluster: ClusterBuild, namespace: str) -> bool:
    """Tell whether a namespace may get objects that are in no file of this repository."""
    return any(
        target in (None, namespace)
        for built in built_object.appliers(cluster.objects.where(is_of_flux)).values()
        if not built.spec.get("kubeConfig")
        for target in _unknown_targets(cluster, built)
    )


def _unknown_targets(cluster: ClusterBuild, built: BuiltObject) -> Iterator[str | None]:
    """Yield the namespace of the objects that something applies, if these are not known.

    None stands for every namespace.
    """
    target = built.spec.get("targetNamespace")
    if built.is_helm_release:
        if built.applier_name in cluster.released.unrendered:
            yield str(target or built.namespace)
    elif flux_paths.applied_path(built.manifest) is None:
        # A tenant's account has rights in its own namespace only.
        is_fenced = built.namespace != FLUX_NAMESPACE
        yield str(target or built.namespace) if target or is_fenced else None


class _Known:
    """The ConfigMaps and Secrets of a cluster, and those that its controllers make."""

    def __init__(self, present: Objects) -> None:
        self._brought: set[tuple[str, str | None, str]] = set()
        self._made: set[str] = set()
        for built in present.of_kinds(CONFIG_MAP, SECRET):
            self._brought.add((built.kind, built.namespace, built.name))
        for built in present.where(_made_names):
            self._made.update(_made_names(built.manifest))

    def has(self, built: BuiltObject, found: Reference) -> bool:
        """Tell whether an object finds what it refers to."""
        return (
            (found.kind, built.namespace, found.name) in self._brought
            or found.name in self._made
            or _ANY_NAME in self._made
            or found.name in _IN_EVERY_NAMESPACE
            or built.is_unknown(found.name)
            or "${" in found.name
        )


# A policy may make objects of any name.
_ANY_NAME = "*"


@once_for_each
def _made_names(manifest: Manifest) -> list[str]:
    """Return the names of ConfigMaps and Secrets that a controller makes for an object."""
    kind = str(manifest.get("kind"))
    found = [str(name) for path in _MADE.get(kind, ()) for name in values_at(manifest, path)]
    annotations = mapping_at(manifest, "metadata", "annotations")
    if kind == "Ingress" and any(str(key).startswith(_CERTIFICATES) for key in annotations):
        found += [str(name) for name in values_at(manifest, "spec.tls[].secretName")]
    if kind in (CONFIG_MAP, SECRET) and any(str(key).startswith(_COPIES) for key in annotations):
        found.append(str(mapping_at(manifest, "metadata").get("name")))
    if kind.endswith("GeneratingPolicy"):
        found.append(_ANY_NAME)
    for rule in mappings_in(mapping_at(manifest, "spec").get("rules")):
        generated = mapping_at(rule, "generate")
        if generated:
            name = str(generated.get("name") or _ANY_NAME)
            found.append(_ANY_NAME if "{{" in name else name)
    return found


@once_for_each
def _references_of(manifest: Manifest) -> tuple[Reference, ...]:
    """Return the references of an object, each once, without optional ones."""
    built = BuiltObject(path="", manifest=manifest)
    found = [
        Reference(SECRET, str(name))
        for path in _SECRETS.get(built.kind, ())
        for name in values_at(manifest, path)
    ]
    pods = pods_of(built)
    if pods is not None:
        found += _of_pod(pods.spec)
    return tuple(dict.fromkeys(reference for reference in found if reference.name))


def _of_pod(spec: Fields) -> Iterator[Reference]:
    for volume in mappings_in(spec.get("volumes")):
        yield from _named(volume, _IN_VOLUMES)
        for source in mappings_in(mapping_at(volume, "projected").get("sources")):
            yield from _named(source, _PROJECTED)
    for key in _CONTAINERS:
        for container in mappings_in(spec.get(key)):
            for source in mappings_in(container.get("envFrom")):
                yield from _named(source, _ENV_FROM)
            for variable in mappings_in(container.get("env")):
                yield from _named(mapping_at(variable, "valueFrom"), _VALUE_FROM)
    for secret in mappings_in(spec.get("imagePullSecrets")):
        yield Reference(SECRET, str(secret.get("name") or ""))


def _named(holder: Fields, keys: Mapping[str, tuple[str, str]]) -> Iterator[Reference]:
    for key, (kind, name) in keys.items():
        reference = mapping_at(holder, key)
        if reference and reference.get("optional") is not True:
            yield Reference(kind, str(reference.get(name) or ""))
