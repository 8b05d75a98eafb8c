"""The build of shared definitions by kustomize.

Each definition is built once, however many clusters name it.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleet.config.definitions import SHARED_FOLDERS
from fleet.errors import CommandError, ConfigError
from fleet.kube import artifact, flux_build, references
from fleet.kube.artifact import ArtifactFolder
from fleet.kube.fields import Fields
from fleet.kube.manifest import ObjectId, object_id
from fleet.render import rendered
from fleet.render.rendered import Document

# The folder of all trees. A cluster's artifact has only its own tree there, so that a reference to
# another cluster's folder is found.
TREES = "clusters"
# The files that are about one cluster: its tree and its stack file. No shared definition is among
# them, and a large fleet has many, so they are not copied.
OF_ONE_CLUSTER = re.compile(rf"{TREES}(/.*)?|Pulumi\.[^/]+\.ya?ml")
# Git's patterns for all other files.
NOT_OF_ONE_CLUSTER = (
    ".",
    f":(exclude){TREES}",
    *(f":(exclude,glob)Pulumi.*.{suffix}" for suffix in ("yaml", "yml")),
)


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """The shared definitions of a checkout, built on demand.

    `copy` is a folder that does not exist yet. It gets the files that Flux would fetch.
    """

    root: Path
    copy: Path
    _built: dict[tuple[str, tuple[str, ...] | None], tuple[Document, ...]] = field(
        default_factory=dict
    )

    def folder(self, path: str) -> ArtifactFolder:
        """Return a folder of the copy."""
        if not self.copy.exists():
            self._pack()
        return ArtifactFolder(
            repository=self.root.resolve(),
            copy=self.copy.resolve(),
            path=path,
            file=path,
            kept=SHARED_FOLDERS,
        )

    def documents(self, source: str, spec: Fields | None) -> tuple[Document, ...]:
        """Return the objects of a definition, or of a folder that a Flux Kustomization builds.

        `spec` is the Kustomization's. Of it, only the components belong to what is rendered; Flux
        does all the rest with the rendered files. Raises ConfigError.
        """
        folder = self.folder(source)
        components = None if spec is None else tuple(flux_build.components(folder, spec))
        key = (source, components)
        if key not in self._built:
            inputs = {} if components is None else {"components": list(components)}
            _refuse_references(folder, inputs)
            try:
                built = (
                    flux_build.base(folder) if spec is None else flux_build.build(folder, inputs)
                )
                self._built[key] = rendered.documents(built.text, built.manifests)
            except CommandError as error:
                raise ConfigError([f"{source}: does not build: {error}"]) from None
        return self._built[key]

    def objects(self, source: str) -> set[ObjectId] | None:
        """Return the objects of a definition, None if there is no such folder.

        Raises ConfigError.
        """
        if not self.folder(source).folder.is_dir():
            return None
        return {object_id(document.manifest) for document in self.documents(source, None)}

    def _pack(self) -> None:
        artifact.pack(self.root, self.copy, left_out=OF_ONE_CLUSTER)
        for path in self.copy.iterdir():
            if path.name not in SHARED_FOLDERS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@contextmanager
def reader(root: Path) -> Iterator[Definitions]:
    """Yield the definitions of a checkout, with a copy that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="fleet-render-") as folder:
        yield Definitions(root=root, copy=Path(folder) / "repository")


def _refuse_references(folder: ArtifactFolder, spec: Fields) -> None:
    """Raise ConfigError for a reference that a build must not follow, or cannot read as Flux."""
    found = flux_build.reference_problems(folder, spec)
    found = found or [*references.encrypted_inputs(folder, spec.get("components", ()))]
    if found:
        lines = [f"{file}: {name + ': ' if name else ''}{text}" for file, name, text in found]
        raise ConfigError(list(dict.fromkeys(lines)))
