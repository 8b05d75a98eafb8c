"""The files and lines to look at for findings. Only what is wrong is looked for."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fleet.inventory.built_object import BuiltObject
from fleet.inventory.finding import Finding, Place
from fleet.inventory.model import Cluster, Fleet
from fleet.kube import yaml_lines
from fleet.kube.kustomize import kustomization_file
from fleet.provenance.link import Link
from fleet.provenance.provenance import Provenance
from fleet.render.stages import Stage

_WITH_LINE = re.compile(r"(?P<file>.+):(?P<line>\d+)")
_LINE_IN_TEXT = re.compile(r"\bline (?P<line>\d+)\b")
# A problem of a stack file begins with its key: fleet:tenants[0].name
_KEY = re.compile(r"(?P<key>[a-z]+:[\w-]+)(?P<rest>[^:\s]*): ")
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
# The key of a stack file that lists the entries of each stage.
_KEYS = {stage.value: "apps" if stage is Stage.APPS else "infrastructure" for stage in Stage}


def of_fleet(fleet: Fleet, findings: Sequence[Finding]) -> list[Finding]:
    """Return findings with their places, as far as there are some."""
    return _Places(fleet=fleet, findings=findings).placed()


def of_stack_files(root: Path, findings: Sequence[Finding]) -> list[Finding]:
    """Return findings about stack files that keep the fleet from being read, with their places."""
    return _placed(findings, lambda finding: _in_file(root, finding))


def _placed(findings: Sequence[Finding], find: Callable[[Finding], Place | None]) -> list[Finding]:
    return [
        finding if finding.source else dataclasses.replace(finding, source=find(finding))
        for finding in findings
    ]


@dataclass(frozen=True, kw_only=True)
class _Places:
    """The places of the findings in a fleet."""

    fleet: Fleet
    findings: Sequence[Finding]

    def placed(self) -> list[Finding]:
        return _placed(self.findings, self._place)

    @cached_property
    def _provenance(self) -> Provenance:
        return Provenance(fleet=self.fleet)

    @cached_property
    def _objects(self) -> Mapping[tuple[str, str], tuple[Cluster, BuiltObject]]:
        """The objects that have findings, by path and name, each with its first cluster."""
        wanted = {_key(finding) for finding in self.findings if finding.object}
        paths = {path for path, _ in wanted}
        found: dict[tuple[str, str], tuple[Cluster, BuiltObject]] = {}
        for cluster in self.fleet.clusters.values():
            build = cluster.build
            for built in build.all_objects if build.is_complete else build.objects:
                if built.path in paths and (built.path, built.display_name) in wanted:
                    found.setdefault((built.path, built.display_name), (cluster, built))
        return found

    def _place(self, finding: Finding) -> Place | None:
        found = self._objects.get(_key(finding)) if finding.object else None
        return (
            (found and self._near(_of_link(self._provenance.origin(*found)), finding.near))
            or _in_file(self.fleet.root, finding)
            or next(self._of_folder(finding.file), None)
        )

    def _near(self, place: Place | None, text: str) -> Place | None:
        """Return the line of an object that has a text, its first line if none has."""
        file = self.fleet.root / (place.file if place else "")
        if place is None or not text or not os.path.isfile(file):  # noqa: PTH113 - accepts any name
            return place
        # A longer value begins with the same text.
        pattern = re.compile(rf"(?<![\w-]){re.escape(text)}(?![\w./:@-])")
        lines = file.read_text("utf-8", "replace").splitlines()[place.line - 1 :]
        for number, line in enumerate(lines):
            if number and line.startswith("---"):
                break
            if pattern.search(line.replace("'", "").replace('"', "")):
                return Place(file=place.file, line=place.line + number)
        return place

    def _of_folder(self, path: str) -> Iterator[Place]:
        """Yield the line that decides about a folder: its kustomization's, or a stack file's."""
        for cluster in self.fleet.clusters.values():
            if cluster.stack is not None and f"{path}/".startswith(f"{cluster.path}/"):
                stage = path.removeprefix(f"{cluster.path}/").partition("/")[0]
                if key := _KEYS.get(stage):
                    place = _of_link(self._provenance.stack_lines.entries(cluster, key))
                    yield place or Place(file=cluster.file, line=1)
                yield Place(file=cluster.file, line=1)
        folder = self.fleet.root / path
        if os.path.isdir(folder):  # noqa: PTH112 - accepts any name
            files = [kustomization_file(folder), *sorted(folder.rglob("*"))]
            for file in files:
                if file and file.is_file():
                    yield Place(file=file.relative_to(self.fleet.root).as_posix(), line=1)


def _key(finding: Finding) -> tuple[str, str]:
    # A finding about several objects names the first one first.
    return finding.file, finding.object.partition(", ")[0]


def _of_link(link: Link) -> Place | None:
    return Place(file=link.file, line=link.line) if link.line else None


def _in_file(root: Path, finding: Finding) -> Place | None:
    """Return the line of a finding that names a file, None if it names none."""
    if match := _WITH_LINE.fullmatch(finding.file):
        return Place(file=match["file"], line=int(match["line"]))
    if not os.path.isfile(root / finding.file):  # noqa: PTH113 - accepts any name
        return None
    text = (root / finding.file).read_text("utf-8", "replace")
    lines = [
        *_lines_of_key(text, finding.problem),
        *_lines_with(text, finding.object.rpartition(": ")[2]),
        *(int(match["line"]) for match in _LINE_IN_TEXT.finditer(finding.problem)),
    ]
    return Place(file=finding.file, line=next(iter(lines), 1))


def _lines_of_key(text: str, problem: str) -> Iterator[int]:
    """Yield the line of the key of a stack file that a problem begins with, or of one above it."""
    if match := _KEY.match(problem):
        steps: list[str | int] = [
            int(number) if number else name for number, name in _STEP.findall(match["rest"])
        ]
        # In Pulumi.yaml, the value of a key is one level deeper.
        paths = [
            (*between, *steps[:count])
            for count in range(len(steps), -1, -1)
            for between in ((), ("value",))
        ]
        for path in paths:
            if line := yaml_lines.line_of(text, ("config", match["key"], *path)):
                yield line


def _lines_with(text: str, reference: str) -> Iterator[int]:
    """Yield the lines of a kustomization that have a reference."""
    if reference:
        for number, line in enumerate(text.splitlines(), start=1):
            if reference in line:
                yield number
