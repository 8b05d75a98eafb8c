"""The chart that a HelmRelease names, found as Flux finds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from fleet.config import urls
from fleet.errors import FleetError
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest, object_id
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.render import flux, flux_paths

SOURCES = "source.toolkit.fluxcd.io"
HELM_RELEASES = "helm.toolkit.fluxcd.io"
# A source that this names has its credentials only in the cluster.
_CREDENTIALS = ("secretRef", "certSecretRef", "proxySecretRef", "serviceAccountName")
# Flux uses the first of these that `spec.ref` has.
_GIT_REFERENCES = ("commit", "name", "semver", "tag", "branch")
_OCI_REFERENCES = ("digest", "semver", "tag")
# The kind, namespace and name of an object.
Key = tuple[str, str, str]


class NotRenderedError(FleetError):
    """The objects of a HelmRelease cannot be known here; the text says why, in one line."""


@dataclass(frozen=True, kw_only=True, order=True)
class Pin:
    """A chart as the definitions name it: URL of the source, chart in it, version as written.

    `chart` is empty for a source that is one chart, or a Git repository.
    """

    source: str
    chart: str = ""
    version: str

    def __str__(self) -> str:
        """Return the chart as messages name it."""
        name = f"chart {self.chart} {self.version}" if self.chart else self.version
        return f"{self.source}: {name}"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """The chart of a HelmRelease; `kind` is the kind of its source.

    It has no pin if it is part of the repository that is read. `path` is its folder in a Git
    repository. A `private` chart cannot be fetched; the text says why. `layer` is the media type of
    the layer of an OCIRepository, and `tag_filter` a regular expression of its tags.
    """

    kind: str
    pin: Pin | None = None
    path: str = ""
    values_files: tuple[str, ...] = ()
    ignores_missing: bool = False
    follows_revision: bool = False
    private: str = ""
    layer: str = ""
    tag_filter: str = ""


@dataclass(frozen=True)
class Cluster:
    """The objects of one cluster that decide about its HelmReleases.

    `own_sources` are the keys of the sources that stand for the repository that is read.
    """

    objects: Iterable[Manifest]
    own_sources: frozenset[Key] = field(
        default=frozenset({("GitRepository", FLUX_NAMESPACE, flux.SYNC_NAME)})
    )

    @cached_property
    def _by_key(self) -> Mapping[tuple[str, Key], Manifest]:
        found = {}
        for manifest in self.objects:
            group, *key = object_id(manifest)
            found[group, (key[0], key[1], key[2])] = manifest
        return found

    def source(self, key: Key) -> Manifest:
        """Return a source or HelmChart. Raises NotRenderedError if the cluster has none."""
        try:
            return self._by_key[SOURCES, key]
        except KeyError:
            kind, namespace, name = key
            raise NotRenderedError(
                f"{kind} {namespace}/{name} is not in this repository; add it or correct the name"
            ) from None

    def core(self, key: Key) -> Manifest | None:
        """Return a ConfigMap or Secret, None if the cluster gets none from this repository."""
        return self._by_key.get(("", key))

    @cached_property
    def api_versions(self) -> tuple[str, ...]:
        """The APIs of the cluster's CRDs, in the two forms in which charts ask for them."""
        found = set()
        for (group, key), manifest in self._by_key.items():
            if (group, key[0]) != ("apiextensions.k8s.io", "CustomResourceDefinition"):
                continue
            spec = mapping_at(manifest, "spec")
            kind = mapping_at(spec, "names").get("kind")
            for version in mappings_in(spec.get("versions")):
                if version.get("served") is True:
                    api = f"{spec.get('group')}/{version.get('name')}"
                    found |= {api, f"{api}/{kind}"}
        return tuple(sorted(found))


def is_helm_release(manifest: Manifest) -> bool:
    """Tell whether an object is a HelmRelease of Flux."""
    found = object_id(manifest)
    return (found.group, found.kind) == (HELM_RELEASES, "HelmRelease")


def chart_of(release: Manifest, cluster: Cluster) -> Chart:
    """Return the chart of a HelmRelease. Raises NotRenderedError."""
    spec = mapping_at(release, "spec")
    reference = mapping_at(spec, "chartRef")
    if not reference:
        return _helm_chart(release, mapping_at(spec, "chart", "spec"), cluster)
    key = flux_paths.source_name(release, reference)
    source = cluster.source(key)
    if key[0] == "OCIRepository":
        return _oci_chart(source)
    if key[0] == "HelmChart":
        return _helm_chart(source, mapping_at(source, "spec"), cluster)
    raise NotRenderedError(f"spec.chartRef names a {key[0]}, whose content only the cluster has")


def _oci_chart(source: Manifest) -> Chart:
    spec = mapping_at(source, "spec")
    layer = mapping_at(spec, "layerSelector").get("mediaType")
    return Chart(
        kind="OCIRepository",
        pin=Pin(source=_url(spec), version=_reference(spec, _OCI_REFERENCES, "tag latest")),
        private=_private(spec),
        layer=str(layer or ""),
        tag_filter=str(mapping_at(spec, "ref").get("semverFilter") or ""),
    )


def _helm_chart(owner: Manifest, template: Fields, cluster: Cluster) -> Chart:
    """Return the chart that the spec of a HelmChart names; `owner` is the object that has it."""
    key = flux_paths.source_name(owner, mapping_at(template, "sourceRef"))
    name = str(template.get("chart") or "")
    listed = template.get("valuesFiles")
    files = tuple(map(str, listed)) if isinstance(listed, list) else ()
    chart = Chart(
        kind=key[0],
        # Flux takes this list for the chart's own default values.
        values_files=() if files in (("values.yaml",), ("./values.yaml",)) else files,
        ignores_missing=template.get("ignoreMissingValuesFiles") is True,
        follows_revision=template.get("reconcileStrategy") == "Revision",
    )
    if key in cluster.own_sources:
        return _with(chart, path=flux_paths.resolved_path(name))
    spec = mapping_at(cluster.source(key), "spec")
    if key[0] == "HelmRepository":
        pin = Pin(source=_url(spec), chart=name, version=str(template.get("version") or "*"))
        return _with(chart, pin=pin, private=_private(spec))
    if key[0] == "GitRepository":
        pin = Pin(source=_url(spec), version=_reference(spec, _GIT_REFERENCES, "branch master"))
        path = flux_paths.resolved_path(name)
        return _with(chart, pin=pin, path=path, private=_private(spec))
    raise NotRenderedError(f"the chart is in a {key[0]}, whose content only the cluster has")


def _with(chart: Chart, *, pin: Pin | None = None, path: str = "", private: str = "") -> Chart:
    return Chart(**{**vars(chart), "pin": pin, "path": path, "private": private})


def _reference(spec: Fields, keys: Iterable[str], default: str) -> str:
    """Return the version that `spec.ref` names, with the key that names it."""
    reference = mapping_at(spec, "ref")
    found = (f"{key} {reference[key]}" for key in keys if reference.get(key))
    return next(found, default)


def _url(spec: Fields) -> str:
    """Return the URL of a source. Raises NotRenderedError for one that may hold a secret."""
    try:
        url = urls.plain_url(str(spec.get("url")), ("https", "oci", "ssh"), "remove the rest")
    except ValueError as error:
        raise NotRenderedError(f"the URL of the chart's source {error}") from None
    return url.rstrip("/")


def _private(spec: Fields) -> str:
    """Return the reason why a source cannot be fetched without its cluster, empty if it can."""
    for key in _CREDENTIALS:
        if spec.get(key):
            return f"its source has spec.{key}, which only the cluster can use"
    if spec.get("provider") not in (None, "generic"):
        return f"its source has spec.provider {spec['provider']}, which only the cluster can use"
    if str(spec.get("url")).startswith("ssh://"):
        return "its source is read over SSH, with a key that only the cluster has"
    if spec.get("insecure") is True:
        return "its source has spec.insecure, and nothing is fetched without TLS"
    return ""
