"""Flux's install manifests: download, find and verify them.

Upstream publishes them with each release, so they are never committed here. `fleet fetch`
downloads them into the cache, once for each release.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from fleet import cache, files, https
from fleet.config import local_paths
from fleet.config.models import Flux
from fleet.errors import FleetError

RELEASES = "https://github.com/fluxcd/flux2/releases/download"


class ManifestsMissingError(FleetError):
    """Flux's install manifests are not on this machine."""


def url(flux: Flux) -> str:
    """Return the URL of the install manifests, or the path that `fleet:flux.manifests` names."""
    return flux.manifests or f"{RELEASES}/{flux.version}/install.yaml"


def local_path(flux: Flux, root: Path) -> Path:
    """Return the path of the install manifests on this machine, whether they exist or not.

    Raises FleetError if the path has the home folder of an unknown user.
    """
    if not _is_remote(flux):
        try:
            return root / local_paths.expanded(url(flux))
        except ValueError as error:
            raise FleetError(f"fleet:flux.manifests: {error}") from None
    # Two URLs may offer different manifests for the same version.
    key = hashlib.sha256(url(flux).encode()).hexdigest()[:12]
    return cache.directory() / "flux" / f"{flux.version}-{key}" / "install.yaml"


def read(flux: Flux, root: Path) -> str:
    """Return the install manifests as YAML, without any network.

    Raises ManifestsMissingError when they do not exist, and FleetError when their version or
    checksum differs from `fleet:flux`.
    """
    path = local_path(flux, root)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if not _is_remote(flux):
            raise ManifestsMissingError(
                f"fleet:flux.manifests: {path} does not exist; name another file"
            ) from None
        raise ManifestsMissingError(
            f"Flux {flux.version}: install manifests are not in the cache; run `fleet fetch`"
        ) from None
    except OSError as error:
        raise FleetError(f"fleet:flux.manifests: {path}: {error.strerror}; name a file") from None
    _verify(flux, content, str(path))
    return _decoded(content, path)


def read_for_review(flux: Flux, root: Path) -> str:
    """Return the install manifests, or those that `make check-tools` built from Flux's Go modules.

    The built ones do for `fleet render` and `fleet check`; `pulumi up` needs the release's own.
    """
    built = cache.manifests_from_modules(flux.version)
    try:
        return read(flux, root)
    except ManifestsMissingError:
        if flux.manifests is not None or not built.exists():
            raise
        return _decoded(built.read_bytes(), built)


def fetch(flux: Flux, root: Path) -> Path:
    """Download the install manifests into the cache if they are missing, and return their path."""
    path = local_path(flux, root)
    if not _is_remote(flux) or path.exists():
        read(flux, root)
        return path
    content = https.get(url(flux))
    _verify(flux, content, url(flux))
    try:
        files.write(path, content)
    except OSError as error:
        raise FleetError(f"{path}: cannot be written: {error.strerror}") from None
    return path


def checksum(path: Path) -> str:
    """Return the sha256 of a file, in the form of `fleet:flux.sha256`."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise FleetError(f"{path}: is not UTF-8 text; name the release's install.yaml") from None


def _is_remote(flux: Flux) -> bool:
    return url(flux).startswith("https://")


def _verify(flux: Flux, content: bytes, origin: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if flux.sha256 not in (None, found):
        raise FleetError(
            f"{origin}: sha256 is {found}, but fleet:flux.sha256 is {flux.sha256}; "
            "find out which one is right before you go on"
        )
    label = rf"app\.kubernetes\.io/version: {re.escape(flux.version)}(?![\w.+-])"
    if not re.search(label.encode(), content):
        raise FleetError(
            f"{origin}: is not Flux {flux.version}; make fleet:flux.version and "
            "fleet:flux.manifests agree"
        )
