"""A recorded installation of Flux, with its sync."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi

from components.cluster_connection import ClusterConnection, ClusterConnectionArgs
from components.flux_installation import FluxInstallation, FluxInstallationArgs
from components.flux_sync import FluxSync, FluxSyncArgs
from fleet.render import flux
from tests.components.helpers import (
    MANIFESTS,
    PULL,
    SECRET,
)
from tests.components.recording import UNKNOWN, Recording, Resource, run, unknown

FLUX_WAVES = tuple(tuple(wave) for wave in flux.apply_waves(flux.with_flags(MANIFESTS)))


def record_flux(
    *,
    token: str | None = None,
    preview: bool = False,
    waves: Any = FLUX_WAVES,  # noqa: ANN401 - documents
    takes_over: bool = False,
) -> Recording:
    sync: tuple[Mapping[str, Any], Mapping[str, Any]] = (
        {
            "apiVersion": "source.toolkit.fluxcd.io/v1",
            "kind": "GitRepository",
            "metadata": {"name": "flux-system", "namespace": "flux-system"},
            "spec": {"url": "https://github.com/acme/platform"},
        },
        {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
            "kind": "Kustomization",
            "metadata": {"name": "flux-system", "namespace": "flux-system"},
            "spec": {"path": "./clusters/dev"},
        },
    )

    def program() -> None:
        connection = ClusterConnection(
            "dev",
            ClusterConnectionArgs(cluster="dev", kubeconfig="/kubeconfig", context="k3d-dev"),
        )
        committed = pulumi.CustomResource("test:index:File", "committed")
        opts = pulumi.ResourceOptions(provider=connection.provider)
        flux = FluxInstallation(
            "dev",
            FluxInstallationArgs(waves=waves, pull_token=unknown() if token == UNKNOWN else token),
            opts,
        )
        args = FluxSyncArgs(
            manifests=sync,
            flux=flux.resources,
            tree=[committed],
            digest=unknown() if preview else "abc",
            takes_over=takes_over,
        )
        FluxSync("dev", args, opts)

    return run(program, preview=preview)


def applied_objects(recording: Recording) -> list[Resource]:
    return [
        r
        for r in recording.resources
        if r.custom and r.type.startswith("kubernetes:") and r.type not in (SECRET, PULL)
    ]
