"""The cache folder: downloads and builds that later runs use again."""

from __future__ import annotations

import os
from pathlib import Path


def directory() -> Path:
    """Return the cache folder: `$XDG_CACHE_HOME/fleet`, or `~/.cache/fleet` without it."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fleet"


def programs() -> Path:
    """Return the folder of programs that `make tools` built."""
    return directory() / "bin"


def manifests_from_modules(version: str) -> Path:
    """Return the path of the install manifests that `make tools` built from Flux's Go modules."""
    return directory() / "flux" / f"{version}-from-modules.yaml"


def schemas() -> Path:
    """Return the folder of JSON Schemas, `<group>/<kind>_<version>.json`; `make tools` built it."""
    return directory() / "schemas"
