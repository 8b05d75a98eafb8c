"""The files that the JSON Schemas are made from: tags, checksums and their download.

The pins are in `schema_sources.json`. `make schema-pins` computes them from the Go modules of the
same tags, which Go has verified.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fleet import cache, files, https
from fleet.errors import FleetError

PINS = Path(__file__).with_name("schema_sources.json")


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """A file of a repository on GitHub, at a tag."""

    repository: str
    tag: str
    path: str
    sha256: str

    @property
    def url(self) -> str:
        """Return the URL that serves the file without a redirect."""
        return f"https://raw.githubusercontent.com/{self.repository}/{self.tag}/{self.path}"


# A function that returns the verified content of a file, from GitHub or from a Go module.
Read = Callable[[SourceFile], bytes]


def pinned() -> tuple[SourceFile, ...]:
    """Return all files, in a fixed order."""
    pins = json.loads(PINS.read_text(encoding="utf-8"))
    return tuple(
        SourceFile(repository=repository, tag=source["tag"], path=path, sha256=sha256)
        for repository, source in pins.items()
        for path, sha256 in source["files"].items()
    )


def kubernetes_version() -> str:
    """Return the version of Kubernetes whose schemas are pinned, which stands for all clusters."""
    return next(file.tag for file in pinned() if file.repository == "kubernetes/kubernetes")


def download(file: SourceFile) -> bytes:
    """Return a file from the cache, or download it into the cache."""
    kept = cache.download(file.sha256)
    if kept.is_file() and _checksum(content := kept.read_bytes()) == file.sha256:
        return content
    content = https.get(file.url)
    if (found := _checksum(content)) != file.sha256:
        raise FleetError(
            f"{file.url}: sha256 is {found}, but fleet pins {file.sha256}; find out who is right "
            "before you go on"
        )
    files.write(kept, content)
    return content


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
