"""Flux's own install manifests: where they are, and that they are what they should be.

They are upstream's, so they are never committed here: `fleet fetch` takes a release's once, into
the cache.
"""

from __future__ import annotations

import hashlib
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

from fleet import cache
from fleet.config.models import Flux
from fleet.errors import FleetError

RELEASES = "https://github.com/fluxcd/flux2/releases/download"
FETCH_TIMEOUT = 60


class ManifestsMissingError(FleetError):
    """Flux's install manifests are not at hand."""


def url(flux: Flux) -> str:
    """Return where `fleet fetch` takes the manifests from."""
    return flux.manifests or f"{RELEASES}/{flux.version}/install.yaml"


def read(flux: Flux, root: Path) -> str:
    """Return the install manifests' YAML, from the decided path or the cache; no network.

    Raises ManifestsMissingError when they are not there, FleetError when they are not what
    `fleet:flux` says.
    """
    path = _path(flux, root)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        if not _is_remote(flux):
            raise ManifestsMissingError(f"fleet:flux.manifests: {path} does not exist") from None
        raise ManifestsMissingError(
            f"Flux {flux.version}: install manifests are not at hand; run `fleet fetch`"
        ) from None
    except OSError as error:
        raise FleetError(f"fleet:flux.manifests: {path}: {error.strerror}; name a file") from None
    _verify(flux, content, str(path))
    return content.decode()


def read_for_review(flux: Flux, root: Path) -> str:
    """Return the install manifests, or those that the sandbox built from Flux's modules.

    The latter are good for a look and a check; what `pulumi up` commits is the release's own.
    """
    built = cache.manifests_from_modules(flux.version)
    try:
        return read(flux, root)
    except ManifestsMissingError:
        if flux.manifests is not None or not built.exists():
            raise
        return built.read_text(encoding="utf-8")


def fetch(flux: Flux, root: Path) -> Path:
    """Download the manifests into the cache, unless they are there, and return their path."""
    path = _path(flux, root)
    if path.exists() or not _is_remote(flux):
        read(flux, root)
        return path
    try:
        with urllib.request.urlopen(url(flux), timeout=FETCH_TIMEOUT) as answer:  # noqa: S310 - https by config
            content: bytes = answer.read()
    except (urllib.error.URLError, TimeoutError) as error:
        raise FleetError(f"{url(flux)}: cannot be fetched: {error}") from None
    _verify(flux, content, url(flux))
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(path)
    return path


def checksum(path: Path) -> str:
    """Return the sha256 of a file, as `fleet:flux.sha256` wants it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_remote(flux: Flux) -> bool:
    return url(flux).startswith("https://")


def _path(flux: Flux, root: Path) -> Path:
    if not _is_remote(flux):
        return root / Path(url(flux)).expanduser()
    # Keyed by the URL too: another source's manifests are not this one's.
    key = hashlib.sha256(url(flux).encode()).hexdigest()[:12]
    return cache.directory() / "flux" / f"{flux.version}-{key}" / "install.yaml"


def _verify(flux: Flux, content: bytes, where: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if flux.sha256 not in (None, found):
        raise FleetError(
            f"{where}: sha256 is {found}, but fleet:flux.sha256 is {flux.sha256}; "
            "find out who is right before you go on"
        )
    label = rf"app\.kubernetes\.io/version: {re.escape(flux.version)}(?![\w.+-])"
    if not re.search(label.encode(), content):
        raise FleetError(
            f"{where}: is not Flux {flux.version}; make fleet:flux.version and "
            "fleet:flux.manifests agree"
        )
