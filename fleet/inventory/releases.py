"""The objects that HelmReleases bring into a cluster, as helm renders them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fleet.helm.charts import Cluster, Key
from fleet.helm.renderer import Renderer, Rendering
from fleet.inventory import field_diff
from fleet.inventory.built_object import BuiltObject, is_helm_release
from fleet.inventory.objects import Objects
from fleet.kube import scopes
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import Manifest

_Path = tuple[str | int, ...]


@dataclass(frozen=True, kw_only=True)
class Released:
    """The objects of the HelmReleases of a cluster.

    `unrendered` has a line for each whose objects are not known, by the name that `applied_by` has.
    `doubts` are lines that name values that only the cluster has: objects may differ there.
    """

    objects: Sequence[BuiltObject] = ()
    unrendered: Mapping[str, str] = field(default_factory=dict)
    doubts: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Releases:
    """The HelmReleases of one repository; clusters with equal ones share their objects."""

    renderer: Renderer
    _placed: dict[tuple[int, str, bool], tuple[Manifest, Manifest]] = field(default_factory=dict)

    def of_cluster(self, objects: Objects, own_sources: frozenset[Key] | None = None) -> Released:
        """Return what the HelmReleases among the objects of a cluster bring.

        `own_sources` are those that stand for the repository, the usual one if None.
        """
        all_releases = objects.where(is_helm_release)
        elsewhere = {
            built.applier_name: f"{built.display_name} is released into another cluster, which "
            "spec.kubeConfig names"
            for built in all_releases
            if built.spec.get("kubeConfig")
        }
        releases = [built for built in all_releases if built.applier_name not in elsewhere]
        if not releases:
            return Released(unrendered=elsewhere)
        # A rendering can bring a CRD, and Helm asks for those that are there before.
        manifests = [built.manifest for built in objects]
        cluster = Cluster(manifests) if own_sources is None else Cluster(manifests, own_sources)
        found = [(built, self.renderer.render(built.manifest, cluster)) for built in releases]
        known = scopes.of_crds(
            manifest
            for manifests in (cluster.objects, *(rendering.objects for _, rendering in found))
            for manifest in manifests
        )
        return Released(
            objects=[
                made
                for built, rendering in found
                for made in self._objects(built, rendering, known)
            ],
            unrendered=elsewhere
            | {
                built.applier_name: f"{built.display_name} is not rendered: {rendering.problem}"
                for built, rendering in found
                if rendering.problem is not None
            },
            doubts=[
                f"{built.display_name} is rendered without {unknown}"
                for built, rendering in found
                if rendering.problem is None
                for unknown in (*rendering.unknown, *_unknown_values(built))
            ],
        )

    def _objects(
        self, release: BuiltObject, rendering: Rendering, known: scopes.Scopes
    ) -> Iterator[BuiltObject]:
        if rendering.creates_namespace:
            yield _built(release, _namespace(rendering.namespace), is_pruned=False)
        for index, manifest in enumerate(rendering.objects):
            is_namespaced = scopes.is_namespaced(manifest, known)
            yield _built(
                release,
                self._place(manifest, rendering.namespace, is_namespaced=is_namespaced),
                # Helm deletes no CRD of a chart's folder for them.
                is_pruned=index >= rendering.crds,
                holds_secrets=rendering.uses_secrets,
            )

    def _place(self, manifest: Manifest, namespace: str, *, is_namespaced: bool) -> Manifest:
        """Return an object with its namespace; clusters share it, so it is made once."""
        metadata = mapping_at(manifest, "metadata")
        if not is_namespaced or metadata.get("namespace"):
            return manifest
        key = (id(manifest), namespace, is_namespaced)
        if key not in self._placed:
            placed = {**manifest, "metadata": {**metadata, "namespace": namespace}}
            # The manifest is kept too, so that no other one gets its number.
            self._placed[key] = (manifest, placed)
        return self._placed[key][1]


def _unknown_values(release: BuiltObject) -> Iterator[str]:
    """Yield the values that have a variable of the cluster or are encrypted."""
    for path, value in _leaves((), release.spec):
        if release.is_unknown(value):
            yield f"the value of {field_diff.path_of(('spec', *path))}"


def _leaves(path: _Path, value: object) -> Iterator[tuple[_Path, object]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves((*path, str(key)), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves((*path, index), item)
    else:
        yield path, value


def _namespace(name: str) -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _built(
    release: BuiltObject, manifest: Manifest, *, is_pruned: bool, holds_secrets: bool = False
) -> BuiltObject:
    return BuiltObject(
        path=release.path,
        manifest=manifest,
        applied_by=release.applier_name,
        is_pruned=is_pruned,
        release=release,
        holds_secrets=holds_secrets,
    )
