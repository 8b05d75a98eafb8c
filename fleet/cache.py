"""Where things that are made or fetched once are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path


def directory() -> Path:
    """Return the cache folder, `$XDG_CACHE_HOME/fleet` or `~/.cache/fleet`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fleet"


def programs() -> Path:
    """Return the folder of programs that the sandbox built and `fleet check` may use."""
    return directory() / "bin"


def manifests_from_modules(version: str) -> Path:
    """Return where the sandbox keeps the manifests that it built from Flux's Go modules."""
    return directory() / "flux" / f"{version}-from-modules.yaml"


def schemas() -> Path:
    """Return the folder of JSON Schemas, `<group>/<kind>_<version>.json`, that the sandbox made."""
    return directory() / "schemas"
