"""The rendering of one cluster: its definitions are built, checked, and compared with references.

Flux would build the same objects from a list of references as from the rendered files, or the
cluster is refused. So a cluster may change from one form to the other without any change in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from fleet.config.models import Stack
from fleet.errors import CommandError, ConfigError
from fleet.kube import flux_build
from fleet.kube.fields import Fields
from fleet.kube.manifest import Manifest, object_id
from fleet.kube.yaml_writer import to_yaml
from fleet.render import entry_lists, flux_paths, layout, rendered, rendered_rules, stages
from fleet.render.definition_build import TREES, Definitions
from fleet.render.rendered import Difference, Document, Rendered
from fleet.render.rendered_rules import BuiltManifest
from fleet.render.stages import Stage

# A folder beside a stage's, with the list of references that the stage is compared with.
_REFERENCED = "{stage}-referenced"


def render(definitions: Definitions, stack: Stack) -> Rendered:
    """Return the definitions of a cluster as files; nothing for a referenced one.

    Raises ConfigError with all reasons why the cluster cannot be rendered.
    """
    if not stack.is_rendered:
        return rendered.NOTHING
    return _Rendering(definitions=definitions, stack=stack).run()


@dataclass(frozen=True, kw_only=True)
class _NestedPath:
    """A path that a Flux Kustomization applies: its definition's folder, its spec, its new path."""

    source: str
    spec: Fields
    path: str


@dataclass(frozen=True, kw_only=True)
class _Rendering:
    """The rendering of one cluster; it collects problems, files and objects on its way."""

    definitions: Definitions
    stack: Stack
    files: dict[str, str] = field(default_factory=dict)
    resources: dict[str, list[str]] = field(default_factory=dict)
    objects: list[BuiltManifest] = field(default_factory=list)
    # By the Kustomization's namespace and name.
    nested: dict[tuple[str, str], _NestedPath] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def run(self) -> Rendered:
        """Return the files, after a comparison with what the cluster would get by references."""
        by_stage = stages.entries_by_stage(self.stack)
        for stage, pairs in by_stage.items():
            for folder, entry in pairs:
                self._add_entry(stage, entry.path, entry_lists.source_of(folder, entry))
        self.problems.extend(rendered_rules.problems(self.stack, self.objects))
        lists = [f"{stage.value}/{layout.KUSTOMIZATION}" for stage in by_stage]
        rendered.refuse_collisions(self.stack.file, [*lists, *self.files])
        self._refuse()
        with self._written():
            for stage in by_stage:
                self._compare_stage(stage.value)
            for nested in self.nested.values():
                self._compare_nested(nested)
        self._refuse()
        return Rendered(files=self.files, resources=self.resources)

    def _refuse(self) -> None:
        if self.problems:
            raise ConfigError(list(dict.fromkeys(self.problems)))

    def _add_entry(self, stage: Stage, name: str, source: str) -> None:
        documents = self._documents(source, None, stage.value)
        files = self._files(name, source, documents)
        self.resources[source] = list(files)
        self._add_files(stage.value, files)

    def _files(self, name: str, source: str, documents: Sequence[Document]) -> dict[str, str]:
        try:
            return rendered.entry_files(name, source, documents)
        except ConfigError as error:
            self.problems.extend(error.problems)
            return {}

    def _add_files(self, folder: str, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            if self.files.setdefault(f"{folder}/{path}", text) != text:
                rendered.refuse_collisions(self.stack.file, [f"{folder}/{path}"] * 2)

    def _documents(self, source: str, spec: Fields | None, parent: str) -> list[Document]:
        """Return what is rendered of a folder; nested Kustomizations apply rendered files too."""
        try:
            documents = self.definitions.documents(source, spec)
        except ConfigError as error:
            self.problems.extend(error.problems)
            return []
        self.objects.extend(
            BuiltManifest(source=source, manifest=document.manifest) for document in documents
        )
        return [self._with_rendered_path(source, document, parent) for document in documents]

    def _with_rendered_path(self, source: str, document: Document, parent: str) -> Document:
        manifest = document.manifest
        path = flux_paths.applied_path(manifest)
        if path is None:
            return document
        found = object_id(manifest)
        key = (found.namespace, found.name)
        if key not in self.nested:
            folder = rendered.nested_folder(parent, manifest)
            self.nested[key] = _NestedPath(
                source=path, spec=manifest["spec"], path=f"{self.stack.path}/{folder}"
            )
            if self.definitions.folder(path).folder.is_dir():
                self._add_nested(self.nested[key], folder)
            else:
                text = f"spec.path {path} does not exist below apps/ or infrastructure/; correct it"
                self.problems.append(BuiltManifest(source=source, manifest=manifest).problem(text))
        return rendered.document_of(rendered.with_path(manifest, self.nested[key].path))

    def _add_nested(self, nested: _NestedPath, folder: str) -> None:
        documents = self._documents(nested.source, nested.spec, folder)
        files = self._files("objects", nested.source, documents)
        listing = to_yaml(entry_lists.kustomization(list(files)))
        self._add_files(folder, {**files, layout.KUSTOMIZATION: listing})

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Write the lists and files of the cluster to the copy, and remove them at the end."""
        files = dict(self.files)
        for stage, pairs in stages.entries_by_stage(self.stack).items():
            listed = entry_lists.rendered(pairs, self.resources)
            files[f"{stage.value}/{layout.KUSTOMIZATION}"] = listed.write()
            referenced = entry_lists.referenced(self.stack, pairs)
            files[f"{_REFERENCED.format(stage=stage.value)}/{layout.KUSTOMIZATION}"] = (
                referenced.write()
            )
        try:
            for path, text in files.items():
                target = self.definitions.copy / self.stack.path / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, encoding="utf-8")
            yield
        finally:
            shutil.rmtree(self.definitions.copy / TREES, ignore_errors=True)

    def _compare_stage(self, stage: str) -> None:
        path = f"{self.stack.path}/{stage}"
        referenced = f"{self.stack.path}/{_REFERENCED.format(stage=stage)}"
        try:
            expected = flux_build.base(self.definitions.folder(referenced))
            found = flux_build.base(self.definitions.folder(path))
            self._compare(path, expected.manifests, found.manifests)
        except CommandError as error:
            self.problems.append(f"{path}: does not build: {error}")

    def _compare_nested(self, nested: _NestedPath) -> None:
        """Compare what Flux builds from a definition and from the rendered files."""
        rest = rendered.spec_without_components(nested.spec)
        try:
            expected = flux_build.build(self.definitions.folder(nested.source), nested.spec)
            found = flux_build.build(self.definitions.folder(nested.path), rest)
            self._compare(nested.source, expected.manifests, found.manifests)
        except CommandError as error:
            self.problems.append(f"{nested.source}: does not build: {error}")

    def _compare(self, path: str, expected: Sequence[Manifest], found: Sequence[Manifest]) -> None:
        expected = [self._with_path(manifest) for manifest in expected]
        for difference in rendered.differences(expected, found):
            self.problems.append(f"{path}: {self._shown(difference)}")

    def _with_path(self, manifest: Manifest) -> Manifest:
        found = object_id(manifest)
        nested = self.nested.get((found.namespace, found.name))
        if nested is None or flux_paths.applied_path(manifest) is None:
            return manifest
        return rendered.with_path(manifest, nested.path)

    def _shown(self, difference: Difference) -> str:
        """Return a difference as a problem, with the object whose name is the expected value."""
        named = next(
            (
                f", the name of {object_id(item.manifest)} of {item.source}"
                for item in self.objects
                if object_id(item.manifest).name == difference.expected
            ),
            "",
        )
        return (
            f"{difference.name}: {difference.path or 'the object'} is {difference.expected} when "
            f"all entries are built together{named}, and {difference.found} when each is built "
            "alone, so it cannot be rendered; set disableNameSuffixHash: true for a generated "
            "name, or set fleet:definitions: referenced"
        )
