"""Objects against the JSON Schemas of their kinds, by kubeconform."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fleet import cache
from fleet.check import schemas
from fleet.check.findings import Built, Finding, Report
from fleet.errors import CommandError
from fleet.kube import kustomize
from fleet.process import run

# Where the schema of a kind is; kubeconform fills it in, with "v1" for the core group.
SCHEMA_TEMPLATE = "{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json"


def kubeconform() -> str:
    """Return the path of kubeconform."""
    if found := kustomize._find("kubeconform"):
        return found
    raise CommandError("kubeconform: not found; put it on PATH or run `make tools`")


def folder() -> Path:
    """Return the folder of JSON Schemas of Kubernetes, Flux, Kyverno and Gateway API."""
    folder = cache.schemas()
    if not folder.is_dir():
        raise CommandError("JSON schemas: not at hand; run `make tools`")
    return folder


def require() -> None:
    """Raise CommandError when one is absent: one line, before it is a finding for every path."""
    kustomize.kustomize()
    kubeconform()
    folder()


# Groups of which every kind has a schema; an unknown kind there is a mistake, not a gap.
_COVERED_GROUPS = ("", "apps", "batch", "policy", "autoscaling", "kyverno.io")


_COVERED_SUFFIXES = (".k8s.io", ".toolkit.fluxcd.io", ".kyverno.io")


def validate(objects: Sequence[Built], folder: Path, report: Report) -> None:
    """Validate every object against its schema; the same text in many clusters only once."""
    files: dict[str, list[Built]] = {}
    for built in objects:
        files.setdefault(json.dumps(built.content, default=str, sort_keys=True), []).append(built)
    target = folder / "objects"
    target.mkdir()
    named = {f"{index}.json": builts for index, builts in enumerate(files.values())}
    for name, text in zip(named, files, strict=True):
        (target / name).write_text(text, encoding="utf-8")
    out = run(
        [
            schemas.kubeconform(), "-strict", "-ignore-missing-schemas", "-verbose",
            "-output", "json", "-n", "4",
            "-schema-location", f"{schemas.folder()}/{schemas.SCHEMA_TEMPLATE}",
            target,
        ],
        timeout=600,
        accept=(0, 1),  # 1 is findings, told in the output
    )  # fmt: skip
    for result in json.loads(out)["resources"]:
        for built in named[Path(result["filename"]).name]:
            _judge(built, result, report)


def _judge(built: Built, result: Mapping[str, Any], report: Report) -> None:
    status = result["status"]
    if status == "statusSkipped":
        group = built.api[0].rpartition("/")[0]
        if group in _COVERED_GROUPS or group.endswith(_COVERED_SUFFIXES):
            problem = f"{built.api[0]} has no kind {built.api[1]}; check apiVersion and kind"
            report.findings.append(Finding(file=built.path, object=built.name, problem=problem))
        else:
            report.without_schema[f"{built.api[0]} {built.api[1]}"] += 1
    elif status != "statusValid":
        for where, said in _details(result["msg"]):
            report.findings.append(
                Finding(
                    file=built.path,
                    object=built.name,
                    problem=f"{where.strip('/').replace('/', '.') + ': ' if where else ''}{said}",
                )
            )


def _details(message: str) -> list[tuple[str, str]]:
    """(JSON pointer, problem) of each detail; kubeconform's own list stops at the outermost."""
    found = re.findall(r"- at '([^']*)': (.*?)(?=\s+- at '|$)", message, re.DOTALL)
    return [detail for detail in found if detail[1] != "validation failed"] or [("", message)]
