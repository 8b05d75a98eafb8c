"""The validation of objects against the JSON Schemas of their kinds, with kubeconform."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fleet import cache, process
from fleet.check import crds
from fleet.check.built_object import BuiltObject
from fleet.check.findings import Finding
from fleet.check.json_schemas import are_names
from fleet.errors import CommandError
from fleet.kube import kustomize
from fleet.kube.manifest import Manifest

# kubeconform replaces the names in braces to find the schema of a kind.
SCHEMA_TEMPLATE = "{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json"
# Every kind of these API groups has a schema, so an unknown kind there is a mistake. Many other
# groups end in .k8s.io or .toolkit.fluxcd.io, but their kinds come with optional controllers.
_COVERED_GROUPS = (
    "", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps",
    "autoscaling", "batch", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io",
    "events.k8s.io", "flowcontrol.apiserver.k8s.io", "helm.toolkit.fluxcd.io",
    "kustomize.toolkit.fluxcd.io", "networking.k8s.io", "node.k8s.io",
    "notification.toolkit.fluxcd.io", "policy", "rbac.authorization.k8s.io", "resource.k8s.io",
    "scheduling.k8s.io", "source.toolkit.fluxcd.io", "storage.k8s.io",
)  # fmt: skip


def kubeconform() -> str:
    """Return the path of kubeconform."""
    if found := process.find_program("kubeconform"):
        return found
    raise CommandError("kubeconform: not found; put it on PATH or run `make tools`")


def folder() -> Path:
    """Return the folder of JSON Schemas of Kubernetes, Flux, Kyverno and Gateway API."""
    schemas = cache.schemas()
    if not schemas.is_dir():
        raise CommandError("JSON schemas: not found; run `make tools`")
    return schemas


def require_programs() -> None:
    """Raise CommandError if kustomize, kubeconform or the schemas are missing.

    Without this check, each path of each cluster would have a finding that says so.
    """
    kustomize.command()
    kubeconform()
    folder()


def validate(
    objects: Sequence[BuiltObject], work: Path, known_crds: Iterable[Manifest] = ()
) -> tuple[list[Finding], Counter[str]]:
    """Validate all objects, with files in the folder `work`.

    `known_crds` are schemas too. Return the findings, and by apiVersion and kind the number of
    objects that have no schema.
    """
    crds.write_schemas(known_crds, work / "crds")
    named = [built for built in objects if are_names(built.api_version, built.kind)]
    findings = [
        built.finding("apiVersion and kind are no names; correct them")
        for built in objects
        if not are_names(built.api_version, built.kind)
    ]
    without_schema: Counter[str] = Counter()
    for built, result in _results(named, work):
        if result["status"] == "statusSkipped" and built.group not in _COVERED_GROUPS:
            without_schema[f"{built.api_version} {built.kind}"] += 1
        else:
            findings += [built.finding(problem) for problem in _problems(built, result)]
    return findings, without_schema


def _results(
    objects: Sequence[BuiltObject], work: Path
) -> Iterator[tuple[BuiltObject, Mapping[str, Any]]]:
    """Yield kubeconform's result for each object; it validates equal objects only once."""
    texts: dict[str, list[BuiltObject]] = {}
    for built in objects:
        # SOPS adds its own key, which Flux removes again.
        content = {key: built.manifest[key] for key in built.manifest if key != "sops"}
        text = json.dumps(content if built.is_encrypted else built.manifest, default=str)
        texts.setdefault(text, []).append(built)
    target = work / "objects"
    target.mkdir()
    by_file: dict[str, list[BuiltObject]] = {}
    for index, (text, equal_objects) in enumerate(texts.items()):
        (target / f"{index}.json").write_text(text, encoding="utf-8")
        by_file[f"{index}.json"] = equal_objects
    out = process.run(
        [
            kubeconform(), "-strict", "-ignore-missing-schemas", "-verbose",
            "-output", "json", "-n", "4",
            "-schema-location", f"{work / 'crds'}/{SCHEMA_TEMPLATE}",
            "-schema-location", f"{folder()}/{SCHEMA_TEMPLATE}",
            target,
        ],
        timeout=600,
        accept=(0, 1),  # kubeconform exits with 1 when an object is invalid
    )  # fmt: skip
    for result in json.loads(out)["resources"]:
        for built in by_file[Path(result["filename"]).name]:
            yield built, result


def _problems(built: BuiltObject, result: Mapping[str, Any]) -> Iterator[str]:
    if result["status"] == "statusSkipped":
        yield f"{built.api_version} has no kind {built.kind}; check apiVersion and kind"
    elif result["status"] != "statusValid":
        for pointer, problem in _details(result["msg"]):
            if built.is_unknown(_value_at(built.manifest, pointer)):
                continue
            path = pointer.strip("/").replace("/", ".")
            yield f"{path}: {problem}" if pointer else problem


def _details(message: str) -> list[tuple[str, str]]:
    """Return (JSON pointer, problem) pairs from kubeconform's message.

    Its machine-readable list has only the outermost of nested problems.
    """
    found = re.findall(r"- at '([^']*)': (.*?)(?=\s+- at '|$)", message, re.DOTALL)
    return [detail for detail in found if detail[1] != "validation failed"] or [("", message)]


def _value_at(content: object, pointer: str) -> object:
    """Return the value at a JSON pointer, None if there is none."""
    for step in pointer.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(content, list) and name.isdecimal() and int(name) < len(content):
            content = content[int(name)]
        else:
            content = content.get(name) if isinstance(content, dict) else None
    return content
