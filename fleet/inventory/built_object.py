"""An object that kustomize built, with the properties that rules ask for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from fleet.helm.charts import HELM_RELEASES
from fleet.inventory.finding import Finding
from fleet.kube.fields import Fields, mapping_at
from fleet.kube.manifest import Manifest, object_id
from fleet.kube.once import once_for_each
from fleet.render import moves


class _Traits(NamedTuple):
    """The properties that rules ask every object of every cluster for."""

    api_version: str
    group: str
    kind: str
    metadata: Fields
    display_name: str
    is_of_flux: bool
    is_flux_kustomization: bool
    is_helm_release: bool


@once_for_each
def _traits(manifest: Manifest) -> _Traits:
    found = object_id(manifest)
    kind = (found.group, found.kind)
    return _Traits(
        api_version=str(manifest.get("apiVersion", "")),
        group=found.group,
        kind=found.kind,
        metadata=mapping_at(manifest, "metadata"),
        display_name=str(found),
        is_of_flux=found.group.endswith(".toolkit.fluxcd.io"),
        is_flux_kustomization=kind == ("kustomize.toolkit.fluxcd.io", "Kustomization"),
        is_helm_release=kind == (HELM_RELEASES, "HelmRelease"),
    )


@dataclass(frozen=True, kw_only=True)
class BuiltObject:
    """One object, and the path whose build it is part of.

    `applied_by` is the `applier_name` of the Flux Kustomization or HelmRelease that applies it,
    empty if none does.
    """

    path: str
    manifest: Manifest
    applied_by: str = ""
    # What applies the object deletes it once it is no longer part of it.
    is_pruned: bool = False
    # The Flux Kustomization that applies the object decrypts it first.
    is_decrypted: bool = False
    # The object before Flux replaced variables in it, None if it replaced none.
    before_variables: Manifest | None = None
    # The ResourceSet that makes the object, None if Flux applies it from a file.
    made_by: Manifest | None = None
    # Some variables in the object get their values only in the cluster.
    has_unknown_variables: bool = False
    # The HelmRelease for which helm renders the object, None if kustomize builds it.
    release: BuiltObject | None = None
    # Any value of the object may come from a Secret.
    holds_secrets: bool = False

    @property
    def is_released(self) -> bool:
        """Tell whether helm renders and applies the object."""
        return self.release is not None

    @property
    def api_version(self) -> str:
        """The object's apiVersion, empty if it has none."""
        return _traits(self.manifest).api_version

    @property
    def group(self) -> str:
        """The object's API group, empty for the core group."""
        return _traits(self.manifest).group

    @property
    def kind(self) -> str:
        """The object's kind, empty if it has none."""
        return _traits(self.manifest).kind

    @property
    def metadata(self) -> Fields:
        """The object's metadata, empty if it has none."""
        return _traits(self.manifest).metadata

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.metadata.get("name"))

    @property
    def namespace(self) -> str | None:
        """The object's namespace, None if it has none."""
        namespace = self.metadata.get("namespace")
        return None if namespace is None else str(namespace)

    @property
    def spec(self) -> Fields:
        """The object's spec, empty if it has none."""
        return mapping_at(self.manifest, "spec")

    @property
    def display_name(self) -> str:
        """The object's kind, namespace and name as findings show them: `ConfigMap apps/a`."""
        return _traits(self.manifest).display_name

    @property
    def plural(self) -> str:
        """The name of the object's kind in the API: `deployments`."""
        return plural(self.kind)

    @property
    def resource(self) -> str:
        """The name of the object's kind with its API group: `deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def is_of_flux(self) -> bool:
        """Tell whether the object is one of Flux's kinds."""
        return _traits(self.manifest).is_of_flux

    @property
    def is_flux_kustomization(self) -> bool:
        """Tell whether the object is a Flux Kustomization, not one of kustomize's own."""
        return _traits(self.manifest).is_flux_kustomization

    @property
    def is_helm_release(self) -> bool:
        """Tell whether the object is a HelmRelease."""
        return _traits(self.manifest).is_helm_release

    @property
    def applier_name(self) -> str:
        """The name that an object of Flux has as `applied_by` of what it applies.

        It is namespace/name for a Kustomization, and `HelmRelease namespace/name`.
        """
        return applier_name(self, self.namespace, self.name)

    @property
    def is_flux_applier(self) -> bool:
        """Tell whether Flux applies further objects because of this one."""
        traits = _traits(self.manifest)
        return traits.is_flux_kustomization or traits.is_helm_release

    @property
    def is_encrypted(self) -> bool:
        """Tell whether SOPS has encrypted the object."""
        return is_encrypted(self.manifest)

    def is_unknown(self, value: object) -> bool:
        """Tell whether only the cluster knows what a value of this object will be."""
        if not isinstance(value, str):
            return False
        encrypted = self.is_encrypted and value.startswith("ENC[")
        return encrypted or (self.has_unknown_variables and "${" in value)

    def finding(self, problem: str, near: str = "") -> Finding:
        """Return a finding about this object, at the line that has the text `near`."""
        return Finding(file=self.path, object=self.display_name, problem=problem, near=near)


def applier_name(built: BuiltObject, namespace: str | None, name: str) -> str:
    """Return the `applier_name` of an object with the same kind and another name."""
    plain = f"{namespace}/{name}"
    return f"{moves.RELEASE}{plain}" if built.is_helm_release else plain


def appliers(objects: Iterable[BuiltObject]) -> dict[str, BuiltObject]:
    """Return the Kustomizations and HelmReleases of Flux by the name that `applied_by` has."""
    return {built.applier_name: built for built in objects if built.is_flux_applier}


def is_of_flux(manifest: Manifest) -> bool:
    """Tell whether an object is one of Flux's kinds."""
    return _traits(manifest).is_of_flux


def is_helm_release(manifest: Manifest) -> bool:
    """Tell whether an object is a HelmRelease."""
    return _traits(manifest).is_helm_release


def is_encrypted(manifest: Manifest) -> bool:
    """Tell whether SOPS has encrypted an object."""
    return bool(mapping_at(manifest, "sops"))


class Build(NamedTuple):
    """The objects of a build, and the problems that were found while building."""

    objects: list[BuiltObject]
    findings: list[Finding]


def plural(kind: str) -> str:
    """Return the name of a kind in the API; right for all kinds of Kubernetes, Flux and Kyverno."""
    name = kind.lower()
    if name == "endpoints":
        return name
    if name.endswith(("s", "x", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}s"
