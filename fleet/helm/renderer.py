"""HelmReleases, rendered by the real helm as helm-controller would install them.

Hooks are left out, tests too, since a release does not keep them. The values that only a cluster
has are left out as well, and named. `lookup` finds nothing, as in a new cluster.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from fleet import cache, files, process
from fleet.errors import CommandError
from fleet.helm import (
    chart_files,
    chart_lock,
    chart_store,
    charts,
    output,
    post_render,
    release_values,
)
from fleet.helm.chart_store import ChartStore, StoredChart
from fleet.helm.charts import Cluster, NotRenderedError
from fleet.helm.program import Helm
from fleet.helm.release_values import Values
from fleet.kube.fields import Fields, mapping_at
from fleet.kube.manifest import Manifest, object_id

# Helm has the same rule. Any other name could be an option of a command line.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Helm has this limit for the name of a release; the rest is a part of the name's checksum.
_NAME_LENGTH = 53
_CHECKSUM_LENGTH = 12
# Two runs of a fleet with other rules must not share results.
_RULES = 2
_HIDDEN = "helm fails; its message is not shown, since the values come from a Secret too"
_NO_HELM = "helm: not found; put it on PATH or run `make check-tools`"


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """The objects of a HelmRelease, or the reason why they are not rendered, one line.

    `unknown` names the values that only the cluster has; without them the objects may differ.
    An object without a namespace, of a kind that has one, gets `namespace`, which Helm creates
    first when `creates_namespace`. When `uses_secrets`, any object may hold a value of a Secret.
    The first `crds` objects are those of the chart's folder for CRDs, which Helm never deletes.
    """

    objects: Sequence[Manifest] = ()
    crds: int = 0
    namespace: str = ""
    creates_namespace: bool = False
    unknown: tuple[str, ...] = ()
    uses_secrets: bool = False
    problem: str | None = None


class _Made(NamedTuple):
    """The objects of a release; the first `crds` are those of the chart's folder for CRDs."""

    crds: int
    objects: Sequence[Manifest]


@dataclass(frozen=True, kw_only=True)
class _Job:
    """Everything that decides about the objects of a release."""

    stored: StoredChart
    values: Values
    release: Manifest
    kubernetes: str
    api_versions: Sequence[str]

    @property
    def spec(self) -> Fields:
        return mapping_at(self.release, "spec")

    @cached_property
    def options(self) -> list[str]:
        """The arguments of `helm template`, without the chart and the values."""
        install = mapping_at(self.spec, "install")
        policies = (install.get("crds"), mapping_at(self.spec, "upgrade").get("crds"))
        options = [
            release_name(self.release),
            f"--namespace={release_namespace(self.release)}",
            f"--kube-version={self.kubernetes}",
        ]
        options += [f"--api-versions={','.join(self.api_versions)}"] if self.api_versions else []
        # Each policy is Create by default, and an upgrade creates what an install skipped.
        options += ["--include-crds"] if any(policy != "Skip" for policy in policies) else []
        if self.spec.get("postRenderStrategy") in ("nohooks", "separate"):
            options.append("--no-hooks")
        if install.get("disableSchemaValidation") is True:
            options.append("--skip-schema-validation")
        return options

    def key(self, helm: Helm) -> str:
        """Return a text that is equal for jobs with the same objects."""
        chart, layers = self.stored.chart, [*map(_plain, self.values.layers)]
        inputs = [
            _RULES, helm.identity, self.stored.key, self.stored.revision, vars(chart), layers,
            self.values.inline, self.values.uses_secrets, self.options, object_id(self.release),
            self.spec.get("postRenderers"), self.spec.get("commonMetadata"),
        ]  # fmt: skip
        text = json.dumps(inputs, sort_keys=True, default=str)
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(layer: object) -> object:
    return layer if isinstance(layer, str) else vars(layer)


class Renderer:
    """Renders the HelmReleases of one repository, each of several equal ones once.

    `root` is the checkout with the lock of charts, `copy` a copy of what Flux fetches from it. The
    charts see the version `kubernetes`, such as v1.36.2.
    """

    def __init__(self, root: Path, copy: Path, kubernetes: str) -> None:
        self._kubernetes = kubernetes
        self._store = ChartStore(copy=copy, lock=chart_lock.read(root))
        program = process.find_program("helm")
        self._helm = Helm(path=program) if program else None
        self._guard = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._known: dict[str, _Made | str] = {}

    def render(self, release: Manifest, cluster: Cluster) -> Rendering:
        """Return the objects of a HelmRelease in a cluster; equal releases share their objects.

        It can run in several threads at the same time.
        """
        namespace = release_namespace(release)
        try:
            job = self._job(release, cluster)
        except NotRenderedError as error:
            return Rendering(namespace=namespace, problem=str(error))
        if self._helm is None:
            return Rendering(namespace=namespace, problem=_NO_HELM)
        found = self._once(job, self._helm)
        return Rendering(
            objects=() if isinstance(found, str) else found.objects,
            crds=0 if isinstance(found, str) else found.crds,
            namespace=namespace,
            creates_namespace=_creates_namespace(job.spec),
            unknown=(*job.values.unknown, *_unknown_version(job.stored)),
            uses_secrets=job.values.uses_secrets,
            problem=_with_unknown(found, job.values) if isinstance(found, str) else None,
        )

    def _job(self, release: Manifest, cluster: Cluster) -> _Job:
        if mapping_at(release, "spec", "kubeConfig"):
            raise NotRenderedError("spec.kubeConfig installs it in another cluster")
        if not _NAME.fullmatch(name := release_name(release)):
            raise NotRenderedError(f"{name!r} is no name of a release; correct spec.releaseName")
        return _Job(
            stored=self._store.find(charts.chart_of(release, cluster)),
            values=release_values.of_release(release, cluster),
            release=release,
            kubernetes=self._kubernetes,
            api_versions=cluster.api_versions,
        )

    def _once(self, job: _Job, helm: Helm) -> _Made | str:
        """Return the objects of a job, or a problem, also to other threads with an equal one."""
        key = job.key(helm)
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._known:
                self._known[key] = self._cached(key, job, helm)
            return self._known[key]

    def _cached(self, key: str, job: _Job, helm: Helm) -> _Made | str:
        path = cache.helm_release(key)
        try:
            return _Made(*json.loads(path.read_bytes()))
        except (FileNotFoundError, ValueError):
            pass  # It is rendered now. Half a file can be left of a machine that lost its power.
        try:
            made = self._made(job, helm)
        except CommandError as error:
            # Helm and kustomize repeat values in their messages.
            return _HIDDEN if job.values.uses_secrets else str(error)
        except NotRenderedError as error:
            return str(error)
        try:
            # The values of Secrets can be among the objects.
            files.write(path, json.dumps(made).encode(), mode=0o600)
        except OSError as error:
            return f"{path}: cannot be written: {error.strerror}; make room or give the rights"
        return made

    def _made(self, job: _Job, helm: Helm) -> _Made:
        chart = self._chart(job, helm)
        # A second run of Helm finds the CRDs, and most charts have none.
        left_out = () if chart_files.may_have_crds(chart) else ("--include-crds",)
        options = [option for option in job.options if option not in left_out]
        texts = helm.template(chart, release_values.files(job.values, helm), options)
        objects = post_render.run(texts[0], job.release)
        labels = post_render.origin_labels(job.release)
        crds = output.crds(texts, labels)
        return _Made(len(crds), [*crds, *output.without_hooks(objects)])

    def _chart(self, job: _Job, helm: Helm) -> chart_files.Files:
        """Return the files of a chart as source-controller packages them."""
        wanted = job.stored.chart
        tree = self._store.tree(job.stored)
        is_git = wanted.kind in ("GitRepository", "Bucket") or wanted.pin is None
        chart = dict(chart_files.of_git(tree, wanted.path) if is_git else tree)
        if problem := chart_store.tag_problem(job.stored, chart_files.version(chart)):
            raise NotRenderedError(problem)
        if metadata := chart_store.version_metadata(job.stored):
            chart = chart_files.with_version_metadata(chart, metadata)
        if wanted.values_files:
            texts = _values_files(wanted, tree)
            chart[chart_files.VALUES] = json.dumps(helm.values(texts)).encode()
        return chart


def _creates_namespace(spec: Fields) -> bool:
    is_asked = mapping_at(spec, "install").get("createNamespace") is True
    return is_asked and bool(spec.get("targetNamespace"))


def _values_files(chart: charts.Chart, tree: chart_files.Files) -> list[str]:
    """Return the files that replace a chart's own default values. Raises NotRenderedError."""
    texts = []
    for name in map(os.path.normpath, chart.values_files):
        if name in tree:
            texts.append(tree[name].decode("utf-8", "replace"))
        elif not chart.ignores_missing:
            raise NotRenderedError(f"valuesFiles: {name} does not exist; correct the name")
    return texts


def _unknown_version(stored: StoredChart) -> list[str]:
    if stored.chart.follows_revision and stored.chart.pin is None:
        return ["the chart's version, which ends in the commit that Flux fetches"]
    return []


def _with_unknown(problem: str, values: Values) -> str:
    if values.unknown:
        return f"{problem} (values that only the cluster has: {', '.join(values.unknown)})"
    return problem


def release_name(release: Manifest) -> str:
    """Return the name that helm-controller gives the release of a HelmRelease."""
    spec, found = mapping_at(release, "spec"), object_id(release)
    parts = [str(part) for part in (spec.get("targetNamespace"), found.name) if part]
    name = str(spec.get("releaseName") or "-".join(parts))
    if len(name) <= _NAME_LENGTH:
        return name
    checksum = hashlib.sha256(name.encode()).hexdigest()[:_CHECKSUM_LENGTH]
    return f"{name[: _NAME_LENGTH - _CHECKSUM_LENGTH - 1]}-{checksum}"


def release_namespace(release: Manifest) -> str:
    """Return the namespace in which a HelmRelease is installed."""
    return str(mapping_at(release, "spec").get("targetNamespace") or object_id(release).namespace)
