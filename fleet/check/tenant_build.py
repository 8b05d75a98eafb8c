"""The build of one folder of a tenant's repository, as Flux does it, without a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fleet.check.built_object import Build, BuiltObject
from fleet.check.findings import Finding
from fleet.check.tenant_clone import ClonedFolder
from fleet.check.tenant_references import read_kustomization, reference_findings
from fleet.errors import CommandError, LimitError
from fleet.kube import kustomize, yaml_writer
from fleet.kube.kustomize import KUSTOMIZATION_FILES, generated_resources, kustomization_file
from fleet.kube.yaml_reader import Loader

# kustomize accepts these keys in any case.
_KEYS = {
    key.casefold(): key for key in ("apiVersion", "kind", "namespace", "resources", "buildMetadata")
}
# Flux writes these into a kustomization that has none.
_TYPE = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


def build_folder(cloned: ClonedFolder, namespace: str) -> Build:
    """Build a folder as Flux does for a Kustomization with `namespace` as its targetNamespace.

    The files of the copy are the same afterwards.
    """
    folder = cloned.folder
    if not folder.is_dir():
        path = folder.relative_to(cloned.copy)
        problem = f"{path} {cloned.absence(path)}, or ask the platform for another path"
        return Build([], [cloned.finding("", problem)])
    if not kustomization_file(folder) and (folder / KUSTOMIZATION_FILES[0]).exists():
        problem = f"does not build: {KUSTOMIZATION_FILES[0]} is not a file; make it one"
        return Build([], [cloned.finding("", problem)])
    if findings := sorted(set(reference_findings(cloned))):
        # A build would follow these references.
        return Build([], findings)
    try:
        return _build(cloned, namespace)
    except CommandError as error:
        return Build([], [cloned.finding("", f"does not build: {error}")])


def _build(cloned: ClonedFolder, namespace: str) -> Build:
    """Build the folder without a namespace, which shows those of the objects, then as Flux does."""
    file = kustomization_file(cloned.folder) or cloned.folder / KUSTOMIZATION_FILES[0]
    content = _content(cloned.folder)
    configured = content.pop("namespace", None)
    with _restored(file):
        _write(file, content)
        try:
            objects = _objects(cloned)
        except LimitError:
            raise
        except CommandError:
            objects = []  # the folder may still build in the namespace
        findings = [*_namespace_findings(cloned, configured, objects, namespace)]
        if clashes := [*_name_clashes(objects)]:
            # kustomize refuses them as well, but prints all content, also of Secrets.
            return Build([], findings + clashes)
        _write(file, content | {"namespace": namespace})
        return Build(_objects(cloned), findings)


def _content(folder: Path) -> dict[str, Any]:
    """Return the kustomization of a folder; Flux generates one if the folder has none."""
    file = kustomization_file(folder)
    if file is None:
        content: dict[str, Any] = {"resources": list(generated_resources(folder))}
    else:
        found = read_kustomization(file, Loader)
        content = {_KEYS.get(key.casefold(), key): value for key, value in found.items()}
    if not content.get("resources"):
        # Flux sets this, and without it kustomize refuses a kustomization without resources.
        content["buildMetadata"] = ["originAnnotations"]
    return _TYPE | content


@contextmanager
def _restored(file: Path) -> Iterator[None]:
    """Restore a file at the end, or remove it if it does not exist yet."""
    content = file.read_bytes() if file.exists() else None
    try:
        yield
    finally:
        if content is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(content)


def _namespace_findings(
    cloned: ClonedFolder, configured: object, objects: Iterable[BuiltObject], namespace: str
) -> Iterator[Finding]:
    """Yield a finding for each other namespace that is named, as Flux replaces it silently."""
    if configured not in (None, "", namespace):
        problem = f"Flux puts all objects into {namespace} instead; remove it"
        yield cloned.finding(f"namespace: {configured}", problem)
    for built in objects:
        if built.namespace not in (None, namespace):
            yield built.finding(
                f"names namespace {built.namespace}; Flux puts it into {namespace}; "
                "remove metadata.namespace"
            )


def _name_clashes(objects: Iterable[BuiltObject]) -> Iterator[Finding]:
    """Yield a finding for each object that has the name of another once namespaces are equal."""
    names: dict[tuple[str, str, str], str] = {}
    for built in objects:
        first = names.setdefault((built.group, built.kind, built.name), built.display_name)
        if first != built.display_name:
            yield built.finding(
                f"has the name of {first}, and Flux puts both into one namespace; remove or "
                "rename one"
            )


def _objects(cloned: ClonedFolder) -> list[BuiltObject]:
    # Flux allows references to all of the repository; `reference_findings` has found any other.
    options = ("--load-restrictor", "LoadRestrictionsNone")
    path = cloned.folder.relative_to(cloned.copy).as_posix()
    manifests = kustomize.build(cloned.copy, path, *options)
    return [BuiltObject(path=cloned.file, manifest=manifest) for manifest in manifests]


def _write(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(yaml_writer.untrusted_to_yaml(content), encoding="utf-8")
