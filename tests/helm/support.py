"""Small charts, the HelmReleases that install them, and a cache of charts of a test's own."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet import cache, files
from fleet.helm import chart_lock
from fleet.helm.chart_lock import Locked
from fleet.helm.charts import Cluster, Pin
from fleet.helm.renderer import Renderer, Rendering
from fleet.kube import schema_sources
from fleet.kube.manifest import Manifest

KUBERNETES = schema_sources.kubernetes_version()
HOST = "https://charts.example.com"
CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  values: {{ .Values | toJson | quote }}
  namespace: {{ .Release.Namespace }}
  chart: {{ .Chart.Version }}
"""
CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, plural: widgets}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true}]
"""


def chart(more: Mapping[str, str] | None = None, version: str = "1.2.0") -> dict[str, bytes]:
    """Return the files of a chart that shows its values; `more` are further files."""
    texts = {
        "Chart.yaml": f"apiVersion: v2\nname: demo\nversion: {version}\n",
        "values.yaml": "size: 1\n",
        "templates/config-map.yaml": CONFIG_MAP,
        **(more or {}),
    }
    return {path: text.encode() for path, text in texts.items()}


def packaged(content: Mapping[str, bytes]) -> bytes:
    """Return a chart as `helm package` would."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w") as archive,
    ):
        for path, data in content.items():
            member = tarfile.TarInfo(f"demo/{path}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def release(spec: Mapping[str, Any] | None = None, **more: Any) -> Manifest:  # noqa: ANN401
    """Return the HelmRelease apps/demo of the chart in the folder charts/demo."""
    source = {"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"}
    template = {"spec": {"chart": "charts/demo", "sourceRef": source}}
    return {
        "apiVersion": "helm.toolkit.fluxcd.io/v2",
        "kind": "HelmRelease",
        "metadata": {"name": "demo", "namespace": "apps"},
        "spec": {"chart": template, **(spec or {}), **more},
    }


def chart_of(source: Manifest, version: str = "1.x", **more: Any) -> Mapping[str, Any]:  # noqa: ANN401
    """Return the part of a HelmRelease's spec that names the chart demo of a source."""
    reference = {"kind": source["kind"], **source["metadata"]}
    named = {"chart": "demo", "version": version, "sourceRef": reference, **more}
    return {"chart": {"spec": named}}


def source(kind: str, url: str, **more: Any) -> Manifest:  # noqa: ANN401 - fields of a spec
    """Return the source apps/charts."""
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": kind,
        "metadata": {"name": "charts", "namespace": "apps"},
        "spec": {"url": url, **more},
    }


def held(kind: str, data: Mapping[str, str], name: str = "values") -> Manifest:
    """Return a ConfigMap or Secret in the namespace apps."""
    metadata = {"name": name, "namespace": "apps"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data}


@dataclass(frozen=True)
class Repository:
    """A repository with charts, and a cache of its own."""

    root: Path

    def write(self, content: Mapping[str, bytes], folder: str = "charts/demo") -> None:
        for path, data in content.items():
            files.write(self.root / folder / path, data)

    def lock(self, pin: Pin, content: bytes, resolved: str = "1.2.0") -> None:
        """Put a chart into the cache and the lock, as `fleet fetch` would."""
        sha256 = hashlib.sha256(content).hexdigest()
        files.write(cache.download(sha256), content)
        lock = {**chart_lock.read(self.root), pin: Locked(resolved=resolved, sha256=sha256)}
        chart_lock.write(self.root, lock)

    def render(self, of: Manifest, objects: Sequence[Manifest] = ()) -> Rendering:
        return Renderer(self.root, self.root, KUBERNETES).render(of, Cluster(objects))

    def values(self, of: Manifest, objects: Sequence[Manifest] = ()) -> Any:  # noqa: ANN401
        """Return the values that the chart gets, with its own defaults."""
        rendering = self.render(of, objects)
        assert rendering.problem is None
        (shown,) = rendering.objects
        return json.loads(shown["data"]["values"])


def names(rendering: Rendering) -> list[str]:
    """Return the kinds and names of the objects of a release."""
    assert rendering.problem is None
    return [f"{found['kind']} {found['metadata']['name']}" for found in rendering.objects]
