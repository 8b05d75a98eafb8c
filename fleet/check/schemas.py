"""The validation of objects against the JSON Schemas of their kinds, with kubeconform."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet import process
from fleet.check import json_schemas, known_results
from fleet.check.json_schemas import are_names
from fleet.errors import CommandError, FleetError
from fleet.inventory import objects
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.finding import Finding
from fleet.inventory.objects import Objects
from fleet.kube import kustomize

# kubeconform replaces the names in braces to find the schema of a kind.
SCHEMA_TEMPLATE = "{{ .Group }}/{{ .ResourceKind }}_{{ .ResourceAPIVersion }}.json"
# Every kind of these API groups has a schema, so an unknown kind there is a mistake. Many other
# groups end in .k8s.io or .toolkit.fluxcd.io, but their kinds come with optional controllers.
_COVERED_GROUPS = (
    "", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "apps",
    "autoscaling", "batch", "certificates.k8s.io", "coordination.k8s.io", "discovery.k8s.io",
    "events.k8s.io", "flowcontrol.apiserver.k8s.io", "helm.toolkit.fluxcd.io",
    "kustomize.toolkit.fluxcd.io", "kyverno.io", "networking.k8s.io", "node.k8s.io",
    "notification.toolkit.fluxcd.io", "policies.kyverno.io", "policy",
    "rbac.authorization.k8s.io", "resource.k8s.io",
    "scheduling.k8s.io", "source.toolkit.fluxcd.io", "storage.k8s.io",
)  # fmt: skip
PROCESSORS = os.cpu_count() or 1
# Each process reads the schemas again, so fewer objects than these are no work for two.
_MIN_BATCH = 1000
_JSON = json.JSONEncoder(default=str, ensure_ascii=False)
# The answer about an object that kubeconform cannot take.
_NO_NAMES: Mapping[str, Any] = {"status": "noNames"}


def kubeconform() -> str:
    """Return the path of kubeconform."""
    if found := process.find_program("kubeconform"):
        return found
    raise CommandError("kubeconform: not found; put it on PATH or run `make check-tools`")


def folder() -> Path:
    """Return the folder of JSON Schemas of Kubernetes, Flux, Kyverno and Gateway API."""
    schemas = json_schemas.folder()
    if not schemas.is_dir():
        raise CommandError("JSON schemas: not found; run `fleet fetch`")
    return schemas


def locations(named: Sequence[str]) -> list[str]:
    """Return kubeconform's schema locations: those that `--schemas` names, or the cache's.

    A name with braces is a template, and each other name has the layout of SCHEMA_TEMPLATE.
    """
    return [_location(name) for name in named] or [f"{folder()}/{SCHEMA_TEMPLATE}"]


def _location(name: str) -> str:
    if "{{" in name and not name.startswith("http:"):
        return name
    if name.startswith("https://"):
        return f"{name.rstrip('/')}/{SCHEMA_TEMPLATE}"
    if not Path(name).is_dir():
        raise FleetError(f"--schemas {name}: is not a folder or an https URL; name one of these")
    # kubeconform takes a relative name that begins with http for a URL.
    return f"{Path(name).resolve()}/{SCHEMA_TEMPLATE}"


def require_programs() -> None:
    """Raise CommandError if kustomize or kubeconform is missing.

    Without this check, each path of each cluster would have a finding that says so.
    """
    kustomize.command()
    kubeconform()


@dataclass(frozen=True, kw_only=True)
class Validation:
    """The folder for files of a validation, the locations of schemas, and earlier results, if any.

    The earlier results are in a file, which the validation replaces. As many objects as are worth
    it are validated at once, by some `processors`.
    """

    work: Path
    locations: Sequence[str]
    known: Path | None = None
    processors: int = PROCESSORS


def validate(
    clusters: Sequence[Objects], validation: Validation
) -> tuple[list[Finding], Counter[str]]:
    """Validate the objects of clusters.

    Return the findings, and by apiVersion and kind the number of objects that have no schema.
    """
    with ThreadPoolExecutor(PROCESSORS) as beside:
        return start(clusters, validation, beside).finish()


def start(clusters: Sequence[Objects], validation: Validation, beside: Executor) -> Started:
    """Start to validate the objects of clusters; kubeconform runs beside the rest of fleet."""
    without_names: list[BuiltObject] = []
    texts: dict[str, list[BuiltObject]] = {}
    for built in objects.distinct(clusters):
        if are_names(built.api_version, built.kind):
            texts.setdefault(_text(built), []).append(built)
        else:
            without_names.append(built)
    by_digest = {hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
    known = known_results.read(validation.known) if validation.known else {}
    new = {digest: text for digest, text in by_digest.items() if digest not in known}
    lists = {digest for digest, text in new.items() if texts[text][0].kind.lower() == "list"}
    target = validation.work / "objects"
    target.mkdir()
    return Started(
        clusters=clusters,
        without_names=without_names,
        objects={digest: texts[text] for digest, text in by_digest.items()},
        known={digest: known[digest] for digest in by_digest if digest in known},
        known_file=validation.known,
        answers=[
            beside.submit(_answers, batch, validation.locations)
            for batch in _batches(new, lists, target, validation.processors)
        ],
    )


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """A file that one process of kubeconform reads: texts with these digests, in this order."""

    file: Path
    digests: Sequence[str]


def _batches(
    texts: Mapping[str, str], lists: Set[str], target: Path, processors: int
) -> Iterator[_Batch]:
    """Write texts, given by digest, to files in a folder; yield a batch for each file.

    kubeconform takes a List apart, so it has another number of results, and a file of its own.
    """
    others = [digest for digest in texts if digest not in lists]
    size = max(_MIN_BATCH, math.ceil(len(others) / processors))
    parts = [others[start : start + size] for start in range(0, len(others), size)]
    for number, digests in enumerate([*([digest] for digest in sorted(lists)), *parts]):
        file = target / f"{number}.yaml"
        file.write_text("\n---\n".join(texts[digest] for digest in digests), encoding="utf-8")
        yield _Batch(file=file, digests=digests)


@dataclass(frozen=True, kw_only=True)
class Started:
    """A validation whose processes of kubeconform may still run.

    `objects` has by the digest of a text one object for each manifest with this text; those
    `without_names` have none. `known` are earlier results.
    """

    clusters: Sequence[Objects]
    without_names: Sequence[BuiltObject]
    objects: Mapping[str, Sequence[BuiltObject]]
    known: Mapping[str, str]
    known_file: Path | None
    answers: Sequence[Future[list[tuple[str, dict[str, Any]]]]]

    def finish(self) -> tuple[list[Finding], Counter[str]]:
        """Return the findings, and by apiVersion and kind the number of objects without schema."""
        # By the number of a manifest in memory, what is said about each object that has it. A List
        # has an answer for each of its items.
        answers: dict[int, list[Mapping[str, Any]]] = {
            id(built.manifest): [_NO_NAMES] for built in self.without_names
        }
        for digest, result in self._results():
            if result["status"] != "statusValid":
                for built in self.objects[digest]:
                    answers.setdefault(id(built.manifest), []).append(result)
        findings: list[Finding] = []
        without_schema: Counter[str] = Counter()
        for built in objects.having(self.clusters, answers.keys()):
            for result in answers[id(built.manifest)]:
                if result["status"] == "statusSkipped" and built.group not in _COVERED_GROUPS:
                    without_schema[f"{built.api_version} {built.kind}"] += 1
                else:
                    findings += [built.finding(problem) for problem in _problems(built, result)]
        return findings, without_schema

    def _results(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield kubeconform's result for each digest."""
        statuses = dict(self.known)
        for digest, status in self.known.items():
            yield digest, {"status": status}
        for digest, result in (pair for answer in self.answers for pair in answer.result()):
            if result["status"] in known_results.STATUSES:
                statuses[digest] = result["status"]
            yield digest, result
        if self.known_file:
            known_results.write(self.known_file, statuses)


def _text(built: BuiltObject) -> str:
    """Return the text that kubeconform reads."""
    # SOPS adds its own key, which Flux removes again.
    content = {key: built.manifest[key] for key in built.manifest if key != "sops"}
    found = content if built.is_encrypted else built.manifest
    # kubeconform reads YAML, which has no pairs of escapes for one character.
    return _JSON.encode(found)


def _answers(batch: _Batch, locations: Sequence[str]) -> list[tuple[str, dict[str, Any]]]:
    """Return kubeconform's results for a batch, each with the digest of its text."""
    results = _run_kubeconform(batch.file, locations)
    digests = list(batch.digests) if len(batch.digests) > 1 else list(batch.digests) * len(results)
    if len(digests) != len(results):
        raise CommandError(
            f"kubeconform: {len(results)} results for {len(digests)} objects; update kubeconform"
        )
    return list(zip(digests, results, strict=True))


def _run_kubeconform(file: Path, schema_locations: Sequence[str]) -> list[dict[str, Any]]:
    """Return kubeconform's result for each document of a file, in their order."""
    out = process.run(
        [
            # One worker keeps the order.
            kubeconform(), "-strict", "-ignore-missing-schemas", "-verbose",
            "-output", "json", "-n", "1",
            *(word for place in schema_locations for word in ("-schema-location", place)),
            file,
        ],
        timeout=600,
        accept=(0, 1),  # kubeconform exits with 1 when an object is invalid
    )  # fmt: skip
    if not out:
        raise CommandError(
            f"kubeconform: no result with the schemas at {' '.join(schema_locations)}; name other "
            "--schemas or update kubeconform"
        )
    results: list[dict[str, Any]] = json.loads(out)["resources"]
    for result in results:
        # Without its schema no object is checked, so this is not a finding about one object.
        if result["status"] == "statusError" and "downloading schema" in result["msg"]:
            raise CommandError(f"{result['msg']}; check --schemas and the connection")
    return results


def _problems(built: BuiltObject, result: Mapping[str, Any]) -> Iterator[str]:
    if result is _NO_NAMES:
        yield "apiVersion and kind are no names; correct them"
    elif result["status"] == "statusSkipped":
        yield f"{built.api_version} has no kind {built.kind}; check apiVersion and kind"
    else:
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
