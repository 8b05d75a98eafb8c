"""The rules that keep a rendered cluster as `pulumi up` has committed it, and its tree readable.

A cluster whose objects change with something that no `pulumi up` commits is not a rendered one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.config.git_urls import same_repository
from fleet.config.models import Stack
from fleet.kube.fields import Fields, mapping_at
from fleet.kube.manifest import Manifest, object_id
from fleet.render import flux, flux_paths

_INSTEAD = "or set fleet:definitions: referenced"
# Helm takes any other text for a range, also one of two numbers.
_ONE_VERSION = re.compile(r"=?v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_VARIABLE = re.compile(r"\$\{[_A-Za-z][_A-Za-z0-9]*\}")
_SOURCES = "source.toolkit.fluxcd.io"
# The kind, namespace and name of a Flux source.
SourceName = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class BuiltManifest:
    """An object, and the folder of the definition that it was built from."""

    source: str
    manifest: Manifest

    def problem(self, text: str) -> str:
        """Return the line of a problem of this object."""
        return f"{self.source}: {object_id(self.manifest)}: {text}"

    @property
    def spec(self) -> Fields:
        """The object's spec, empty if it has none."""
        return mapping_at(self.manifest, "spec")


def problems(stack: Stack, built: Sequence[BuiltManifest]) -> Iterator[str]:
    """Yield a line for each object of a rendered cluster that breaks a rule."""
    sources = {
        (found.kind, found.namespace, found.name): item
        for item in built
        if (found := object_id(item.manifest)).group == _SOURCES
    }
    for item in built:
        found = object_id(item.manifest)
        if (found.group, found.kind) == ("", "Secret"):
            yield from _plain_secret(item)
        elif (found.group, found.kind) == (_SOURCES, "GitRepository"):
            yield from _own_repository(stack, item)
        elif (found.group, found.kind) == (_SOURCES, "HelmChart"):
            yield from _chart(item, item.spec, sources)
        elif found.kind == "HelmRelease":
            yield from _chart(item, mapping_at(item.spec, "chart", "spec"), sources)
            yield from _chart_ref(item, sources)


def _plain_secret(item: BuiltManifest) -> Iterator[str]:
    """Rule: a Secret is encrypted, or each of its values is a variable."""
    if mapping_at(item.manifest, "sops"):
        return
    values = [
        value
        for key in ("data", "stringData")
        for value in mapping_at(item.manifest, key).values()
        if value
    ]
    if not all(isinstance(value, str) and _VARIABLE.fullmatch(value.strip()) for value in values):
        yield item.problem(
            "is in plain text, and rendering would commit it; encrypt it with SOPS, or create it "
            "outside Git"
        )


def _own_repository(stack: Stack, item: BuiltManifest) -> Iterator[str]:
    """Rule: this repository is a source under one name only, or at a tag or commit."""
    url = same_repository(str(item.spec.get("url")))
    if url == same_repository(stack.config.repository.pull_url) and not _is_pinned(item):
        yield item.problem(
            f"follows this repository under another name, past `pulumi up`; use {flux.SYNC_NAME}, "
            "or name a tag or commit in spec.ref"
        )


def _chart(
    item: BuiltManifest, spec: Fields, sources: Mapping[SourceName, BuiltManifest]
) -> Iterator[str]:
    """Rule: a chart is not of this repository, and has one version."""
    if not spec:
        return
    reference = mapping_at(spec, "sourceRef")
    if flux_paths.is_own_source(item.manifest, reference):
        yield item.problem(
            "its chart is in this repository, and a change of it would reach the cluster past "
            f"`pulumi up`; publish the chart, {_INSTEAD}"
        )
    elif reference.get("kind") == "HelmRepository":
        version = str(spec.get("version") or "*")
        if not _ONE_VERSION.fullmatch(version) and not _VARIABLE.fullmatch(version):
            yield item.problem(_open(f"version {version}"))
    else:
        source = sources.get(flux_paths.source_name(item.manifest, reference))
        if source is None or not _is_pinned(source):
            yield item.problem(_open(_shown(reference)))


def _chart_ref(item: BuiltManifest, sources: Mapping[SourceName, BuiltManifest]) -> Iterator[str]:
    """Rule: the OCIRepository of a chart has one version. A HelmChart has the rule for itself."""
    reference = mapping_at(item.spec, "chartRef")
    if reference.get("kind") == "OCIRepository":
        source = sources.get(flux_paths.source_name(item.manifest, reference))
        if source is None or not _is_pinned(source):
            yield item.problem(_open(_shown(reference)))


def _open(version: str) -> str:
    return (
        f"its chart has the open {version}, and a release of the chart would reach the cluster "
        f"past `pulumi up`; name one version, {_INSTEAD}"
    )


def _shown(reference: Fields) -> str:
    return f"source {reference.get('kind')} {reference.get('name')}"


def _is_pinned(source: BuiltManifest) -> bool:
    """Tell whether a source is one version for ever, as far as its object can say."""
    reference: Mapping[str, Any] = mapping_at(source.spec, "ref")
    if reference.get("digest") or reference.get("commit"):
        return True
    if reference.get("semver") or reference.get("name"):
        return False
    tag = str(reference.get("tag") or "")
    if object_id(source.manifest).kind == "OCIRepository":
        return bool(_ONE_VERSION.fullmatch(tag))
    return bool(tag)
