"""Build everything that the sandbox needs once: programs, manifests, charts, schemas."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

from fleet import cache, files
from fleet.check import json_schemas
from sandbox.build import flux_manifests, parts, public_sources, schema_pins
from sandbox.host.lock import locked

Say = Callable[[str], None]


def manifests() -> Path:
    """Return the file of Flux's install manifests."""
    return _cached_path("flux", "install.yaml", flux_manifests)


def charts() -> Path:
    """Return the folder to serve as the host of Kyverno's chart repository."""
    return _cached_path("charts", "site", public_sources, files)


def public_repositories() -> Path:
    """Return the folder of bare repositories to serve as github.com."""
    return _cached_path("public-repositories", "git", public_sources, files)


def build(say: Say, names: tuple[str, ...] = parts.SANDBOX_PARTS) -> None:
    """Build everything that is missing. After an interruption, the next call builds the rest.

    Of several calls at the same time, the first one builds and the others wait for it.
    """
    with _one_at_a_time(say):
        parts.build(names, say)
        _build_for_check(say)
        _make("charts", charts(), public_sources.build_charts, say)
        _make("public repositories", public_repositories(), public_sources.build_gateway_api, say)


def build_for_check(say: Say) -> None:
    """Build only what `fleet check` needs."""
    with _one_at_a_time(say):
        _build_for_check(say)


def _build_for_check(say: Say) -> None:
    parts.build(parts.CHECK_PARTS, say)
    _make("Flux's manifests", manifests(), flux_manifests.build, say)
    parts.link(cache.manifests_from_modules(parts.source_version(flux_manifests.FLUX)), manifests())
    _make("JSON schemas", json_schemas.folder(), _build_schemas, say)


def _one_at_a_time(say: Say) -> AbstractContextManager[None]:
    lock = cache.directory() / "build.lock"
    return locked(lock, lambda: say("waiting for another run that builds"))


def _build_schemas(out: Path) -> None:
    json_schemas.build(out, schema_pins.read)


def _make(content: str, path: Path, make: Callable[[Path], None], say: Say) -> None:
    if not path.exists():
        started = time.monotonic()
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
        say(f"made {content} in {time.monotonic() - started:.0f} s")


def _cached_path(kind: str, name: str, *modules: ModuleType) -> Path:
    """Return the path of a result in the cache.

    The key contains the versions of all sources and the text of the modules that make the result,
    so a change of either makes it again.
    """
    digest = hashlib.sha256()
    for file in ("go.mod", "go.sum"):
        digest.update((parts.FOLDER / "sources" / file).read_bytes())
    for module in modules:
        digest.update(Path(module.__file__ or "").read_bytes())
    return cache.directory() / "made" / f"{kind}-{digest.hexdigest()[:12]}" / name
