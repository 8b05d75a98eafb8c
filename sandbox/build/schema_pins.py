"""The sources of the JSON Schemas in Go modules, and the pins that are computed from them.

`python -m sandbox.build.schema_pins` writes `fleet/kube/schema_sources.json`. Go has verified the
modules, and a module has the bytes of its repository at the tag: symbolic links are not in it, and
files that the repository would change in a checkout are refused here.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fleet import files
from fleet.kube import schema_sources
from sandbox.build import parts
from sandbox.sandbox_error import SandboxError


@dataclass(frozen=True)
class _Source:
    """A file of a Go module, or a folder of it with all its YAML files."""

    module: str
    repository: str
    path: str


_CRDS = "config/crd/bases"
_SOURCES = (
    _Source("k8s.io/kubernetes", "kubernetes/kubernetes", "api/openapi-spec/swagger.json"),
    _Source("github.com/fluxcd/source-controller", "fluxcd/source-controller", _CRDS),
    _Source("github.com/fluxcd/kustomize-controller", "fluxcd/kustomize-controller", _CRDS),
    _Source("github.com/fluxcd/helm-controller", "fluxcd/helm-controller", _CRDS),
    _Source("github.com/fluxcd/notification-controller", "fluxcd/notification-controller", _CRDS),
    # The CRDs of `kyverno-api` (policies.kyverno.io) are below this folder, too.
    _Source("github.com/kyverno/kyverno", "kyverno/kyverno", "config/crds"),
    _Source("sigs.k8s.io/gateway-api", "kubernetes-sigs/gateway-api", "config/crd/standard"),
)
_MODULES = {source.repository: source.module for source in _SOURCES}
_TAG = re.compile(r"v\d+\.\d+\.\d+")
# With these attributes, Git changes a file's bytes when it checks the file out.
_CONVERSION = re.compile(r"\s(eol=crlf|ident|filter=|working-tree-encoding=)")

_folder = functools.cache(parts.source)


def read(file: schema_sources.SourceFile) -> bytes:
    """Return a pinned file from its Go module."""
    content = (_folder(_MODULES[file.repository]) / file.path).read_bytes()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise SandboxError(
            f"{schema_sources.PINS.name}: {file.repository}: {file.path} has another checksum in "
            "the Go module; run `make schema-pins`"
        )
    return content


def compute() -> str:
    """Return what `schema_sources.json` must contain."""
    pins = {
        source.repository: {
            "tag": _tag(source.module),
            "files": {
                path.relative_to(_folder(source.module)).as_posix(): hashlib.sha256(
                    path.read_bytes()
                ).hexdigest()
                for path in _paths(source)
            },
        }
        for source in _SOURCES
    }
    return json.dumps(pins, indent=2) + "\n"


def _tag(module: str) -> str:
    version = parts.source_version(module)
    if not _TAG.fullmatch(version):
        raise SandboxError(
            f"sandbox/build/modules/sources/go.mod: {module}: {version} is no tag on GitHub; pin a "
            "release"
        )
    return version


def _paths(source: _Source) -> Iterator[Path]:
    module = _folder(source.module)
    path = module / source.path
    found = [path] if path.is_file() else sorted(path.rglob("*.yaml"))
    if not found:
        raise SandboxError(f"{source.module}: has no files at {source.path}; name another path")
    for file in found:
        require_same_bytes_on_github(module, file)
        yield file


def require_same_bytes_on_github(module: Path, file: Path) -> None:
    """Raise SandboxError if a checkout of the repository may have other bytes than Git's object.

    Go makes a module from a checkout, and GitHub serves Git's object.
    """
    for folder in file.relative_to(module).parents:
        attributes = module / folder / ".gitattributes"
        if attributes.is_file() and _CONVERSION.search(attributes.read_text(encoding="utf-8")):
            raise SandboxError(
                f"{attributes}: Git converts files on checkout, perhaps {file.name}; pin a file "
                "that it does not convert"
            )


if __name__ == "__main__":
    files.write(schema_sources.PINS, compute().encode())
