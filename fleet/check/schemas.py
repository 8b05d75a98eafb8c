"""The validation of objects against the JSON Schemas of their kinds, with kubeconform."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fleet import cache, process
from fleet.check.built_object import BuiltObject
from fleet.check.findings import Finding
from fleet.errors import CommandError
from fleet.kube import kustomize

# kubeconform replaces the names in braces to find the schema of a kind.
SCHEMA_TEMPLATE = "{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json"
# Every kind of these API groups has a schema, so an unknown kind there is a mistake.
_COVERED_GROUPS = ("", "apps", "batch", "policy", "autoscaling", "kyverno.io")
_COVERED_SUFFIXES = (".k8s.io", ".toolkit.fluxcd.io", ".kyverno.io")


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


def validate(objects: Sequence[BuiltObject], work: Path) -> tuple[list[Finding], Counter[str]]:
    """Validate all objects, with files in the folder `work`.

    Return the findings, and by apiVersion and kind the number of objects that have no schema.
    """
    findings: list[Finding] = []
    without_schema: Counter[str] = Counter()
    for built, result in _results(objects, work):
        if result["status"] == "statusSkipped" and not _is_covered(built.group):
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
        text = json.dumps(built.manifest, default=str, sort_keys=True)
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
            "-schema-location", f"{folder()}/{SCHEMA_TEMPLATE}",
            target,
        ],
        timeout=600,
        accept=(0, 1),  # kubeconform exits with 1 when an object is invalid
    )  # fmt: skip
    for result in json.loads(out)["resources"]:
        for built in by_file[Path(result["filename"]).name]:
            yield built, result


def _is_covered(group: str) -> bool:
    return group in _COVERED_GROUPS or group.endswith(_COVERED_SUFFIXES)


def _problems(built: BuiltObject, result: Mapping[str, Any]) -> Iterator[str]:
    if result["status"] == "statusSkipped":
        yield f"{built.api_version} has no kind {built.kind}; check apiVersion and kind"
    elif result["status"] != "statusValid":
        for pointer, problem in _details(result["msg"]):
            path = pointer.strip("/").replace("/", ".")
            yield f"{path}: {problem}" if pointer else problem


def _details(message: str) -> list[tuple[str, str]]:
    """Return (JSON pointer, problem) pairs from kubeconform's message.

    Its machine-readable list has only the outermost of nested problems.
    """
    found = re.findall(r"- at '([^']*)': (.*?)(?=\s+- at '|$)", message, re.DOTALL)
    return [detail for detail in found if detail[1] != "validation failed"] or [("", message)]
