"""The cache folder: downloads and builds that later runs use again."""

from __future__ import annotations

import os
from pathlib import Path


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
