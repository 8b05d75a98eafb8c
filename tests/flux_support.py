"""Small Flux repositories that fleet did not make, in the shapes that people use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from fleet.inventory import model
from fleet.inventory.model import Cluster, Fleet
from fleet.kube.manifest import object_id
from tests.support import config_map, kustomization, manifest, write

OWN = "{kind: GitRepository, name: flux-system}"
URL = "https://github.com/acme/fleet"


def flux_kustomization(
    name: str, path: str, source: str = OWN, more: str = "", namespace: str = "flux-system"
) -> str:
    """Return a Flux Kustomization; `more` are further lines of its spec."""
    spec = f"spec:\n  interval: 5m\n  prune: true\n  path: {path}\n  sourceRef: {source}\n{more}"
    return manifest("kustomize.toolkit.fluxcd.io/v1", "Kustomization", name, namespace, spec)


def source(name: str, url: str, kind: str = "GitRepository", ref: str = "{branch: main}") -> str:
    """Return a source of Flux."""
    spec = f"spec: {{interval: 5m, url: '{url}', ref: {ref}}}\n"
    return manifest("source.toolkit.fluxcd.io/v1", kind, name, "flux-system", spec)


def sync(path: str) -> str:
    """Return what `flux bootstrap` writes for a path."""
    return "---\n".join([source("flux-system", URL), flux_kustomization("flux-system", path)])


def instance(path: str, more: str = "") -> str:
    """Return an instance of the Flux Operator; `more` are further lines of its spec."""
    spec = (
        "spec:\n  distribution: {version: 2.x}\n"
        f"  sync: {{kind: OCIRepository, url: 'oci://registry/fleet', ref: latest, path: {path}}}\n"
    )
    return manifest(
        "fluxcd.controlplane.io/v1", "FluxInstance", "flux", "flux-system", f"{spec}{more}"
    )


# The shape of `flux bootstrap`: two clusters that share folders.
BOOTSTRAPPED: Mapping[str, str] = {
    **{
        path: text
        for cluster in ("staging", "production")
        for path, text in {
            f"clusters/{cluster}/flux-system/kustomization.yaml": kustomization("gotk-sync.yaml"),
            f"clusters/{cluster}/flux-system/gotk-sync.yaml": sync(f"./clusters/{cluster}"),
            f"clusters/{cluster}/apps.yaml": flux_kustomization("apps", f"./apps/{cluster}"),
            f"apps/{cluster}/kustomization.yaml": kustomization("../base")
            + "commonAnnotations: {cluster: "
            + cluster
            + "}\n",
        }.items()
    },
    "apps/base/kustomization.yaml": kustomization("app.yaml"),
    "apps/base/app.yaml": config_map("app", "apps"),
}


@contextmanager
def fleet_of(root: Path, files: Mapping[str, str] | None = None) -> Iterator[Fleet]:
    """Yield the fleet of a repository, with these files."""
    write(root, files or {})
    with model.of_checkout(root, lambda *_: {}, lambda _: None) as found:
        yield found


@contextmanager
def cluster_of(root: Path, files: Mapping[str, str]) -> Iterator[Cluster]:
    """Yield the only cluster of a repository with these files."""
    with fleet_of(root, files) as found:
        (cluster,) = found.clusters.values()
        yield cluster


def names(cluster: Cluster) -> list[str]:
    """Return the objects of a cluster in short, without those of Flux's own groups, sorted."""
    return sorted(
        str(object_id(built.manifest)) for built in cluster.objects if not built.is_of_flux
    )


def unknown(cluster: Cluster) -> list[str]:
    """Return what a cluster has that is not known here."""
    return [str(finding) for finding in cluster.build.unknown]
