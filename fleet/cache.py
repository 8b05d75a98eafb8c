"""The cache folder: downloads and builds that later runs use again."""

from __future__ import annotations

import os
import time
from pathlib import Path

# A result that nobody asked for in this time, in seconds, is removed.
_UNUSED_AFTER = 30 * 24 * 3600


def directory() -> Path:
    """Return the cache folder: `$XDG_CACHE_HOME/fleet`, or `~/.cache/fleet` without it."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fleet"


def programs() -> Path:
    """Return the folder of programs that `make check-tools` built."""
    return directory() / "bin"


def manifests_from_modules(version: str) -> Path:
    """Return the path of Flux's install manifests that `make check-tools` built from Go modules."""
    return directory() / "flux" / f"{version}-from-modules.yaml"


def download(sha256: str) -> Path:
    """Return the path of a downloaded file with this checksum."""
    return directory() / "downloads" / sha256


def schemas(key: str) -> Path:
    """Return the folder of the JSON Schemas that were made from the inputs with this key."""
    return directory() / "json-schemas" / key


def build(key: str) -> Path:
    """Return the file with the result of the build that has this key."""
    return directory() / "builds" / key[:2] / f"{key}.json"


def validated(key: str) -> Path:
    """Return the file with the objects that kubeconform accepted with the schemas of this key."""
    return directory() / "validated" / f"{key}.json"


def texts(key: str) -> Path:
    """Return the file with the YAML texts that a run has written for a checkout."""
    return directory() / "texts" / f"{key}.json"


def helm_release(key: str) -> Path:
    """Return the path of the objects that Helm made from the inputs with this key."""
    return directory() / "helm-releases" / f"{key}.json"


def judged(key: str) -> Path:
    """Return the file with what the policy with this key says about objects."""
    return directory() / "judged" / f"{key}.json"


def remove_unused(folder: Path) -> None:
    """Remove old results beside a new one, so that the cache does not grow for ever."""
    limit = time.time() - _UNUSED_AFTER
    for file in folder.iterdir():
        try:
            if file.stat().st_mtime < limit:
                file.unlink()
        except FileNotFoundError:
            # Another run has removed it.
            continue
