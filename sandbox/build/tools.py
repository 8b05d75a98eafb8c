"""Everything that is built once: programs, Flux's manifests, charts, schemas."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from fleet import cache
from sandbox.build import flux_manifests, json_schemas, parts
from sandbox.host import files
from sandbox.internet import upstream

Say = Callable[[str], None]


def manifests() -> Path:
    """Return Flux's install manifests, built from its modules."""
    return _made("flux", "install.yaml", flux_manifests)


def charts() -> Path:
    """Return the folder that stands in for Kyverno's chart repository."""
    return _made("charts", "site", upstream, files)


def public_repositories() -> Path:
    """Return the folder of bare repositories that stand in for those on github.com."""
    return _made("public-repositories", "git", upstream, files)


def build(say: Say, names: tuple[str, ...] = parts.SANDBOX_PARTS) -> None:
    """Build what is missing; interrupted, the next call goes on with what is still missing."""
    parts.build(names, say)
    for what, path, make in (
        ("Flux's manifests", manifests(), flux_manifests.build),
        ("charts", charts(), upstream.build_charts),
        ("public repositories", public_repositories(), upstream.build_gateway_api),
        ("JSON schemas", _schemas(), json_schemas.build),
    ):
        if not path.exists():
            started = time.monotonic()
            path.parent.mkdir(parents=True, exist_ok=True)
            make(path)
            say(f"made {what} in {time.monotonic() - started:.0f} s")
    _link(cache.schemas(), _schemas())
    _link(cache.manifests_from_modules(parts.source_version(flux_manifests.FLUX)), manifests())


def _schemas() -> Path:
    return _made("json-schemas", "by-group", json_schemas, flux_manifests)


def _made(kind: str, name: str, *modules: object) -> Path:
    """Where a thing is kept: its key is the sources' versions and the code that makes it."""
    digest = hashlib.sha256()
    for file in ("go.mod", "go.sum"):
        digest.update((parts.FOLDER / "sources" / file).read_bytes())
    for module in modules:
        digest.update(Path(str(getattr(module, "__file__", ""))).read_bytes())
    return cache.directory() / "made" / f"{kind}-{digest.hexdigest()[:12]}" / name


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(link)
