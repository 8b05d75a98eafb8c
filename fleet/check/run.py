"""What `fleet check` finds out before anything is merged: does every cluster's tree hold?

Each cluster is built in a copy that holds the shared definitions and its own tree only, so that
nothing of another cluster can be part of it unnoticed. Nothing here needs a network or a cluster.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fleet.check import schemas, tenant_findings
from fleet.check.findings import Built, Finding, Report
from fleet.config import definitions
from fleet.config.models import Stack
from fleet.errors import CommandError
from fleet.kube import kustomize, namespaces, yaml_reader
from fleet.kube.kustomize import KUSTOMIZATION_FILES
from fleet.process import run
from fleet.render import layout, stages, tree

SHARED_FOLDERS = definitions.SHARED_FOLDERS
# Groups of which every kind has a schema; an unknown kind there is a mistake, not a gap.
_COVERED_GROUPS = ("", "apps", "batch", "policy", "autoscaling")
_COVERED_SUFFIXES = (".k8s.io", ".toolkit.fluxcd.io")


def check_stacks(
    root: Path,
    stacks: Sequence[tuple[Stack, str | None]],
    progress: Callable[[str], None],
    clones: Path | None = None,
) -> Report:
    """Build and validate the trees of all stacks, given as (stack, Flux's components or None).

    With `clones`, a folder of clones of teams' repositories, also what these would deploy.
    """
    report = Report(clusters=len(stacks))
    report.findings += sorted(_stray_clusters(root, [stack.name for stack, _ in stacks]))
    report.findings += sorted(_remote_bases(root))
    if report.findings:
        # Building would go to the network.
        return report
    schemas.require()
    homes = definitions.namespace_homes(root)
    objects: list[Built] = []
    with tempfile.TemporaryDirectory(prefix="fleet-check-") as folder:
        for stack, components in stacks:
            progress(f"building clusters/{stack.name}")
            built, findings = build(root, stack, components, Path(folder) / stack.name)
            objects += built
            report.findings += findings
            report.findings += _duplicates(stack, built)
            report.findings += _missing_namespaces(stack, built, homes)
            report.findings += _missing_dependencies(built)
            report.findings += _refused_by_lockdown(built)
        if clones is not None:
            progress("building what teams would deploy")
            teams = tenant_findings.check(clones, [stack for stack, _ in stacks])
            objects += teams.objects
            report.findings += teams.findings
            report.teams, report.not_checked = teams.checked, teams.not_checked
        progress(f"validating {len(objects)} objects")
        report.objects = len(objects)
        _validate(objects, Path(folder), report)
    report.findings = sorted(set(report.findings))
    return report


def build(
    root: Path, stack: Stack, components: str | None, copy: Path
) -> tuple[list[Built], list[Finding]]:
    """Build all that one cluster's Flux will apply, in the folder `copy`, which is made.

    Starts at the entrypoint and follows every Flux Kustomization of this repository.
    """
    _write(root, copy, tree.render(stack, components), stack)
    objects: list[Built] = []
    findings: list[Finding] = []
    todo, seen = [stack.path], {stack.path}
    with ThreadPoolExecutor(max_workers=4) as pool:
        while todo:
            builds = pool.map(lambda path: _build(copy, path, findings), todo)
            fresh = [built for objects_of_path in builds for built in objects_of_path]
            objects += fresh
            paths = dict.fromkeys(_flux_paths(fresh, copy, findings))
            todo = [path for path in paths if path not in seen]
            seen.update(todo)
    return objects, findings


def _stray_clusters(root: Path, known: Sequence[str]) -> Iterator[Finding]:
    folder = root / "clusters"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and path.name not in known:
            yield Finding(
                file=f"clusters/{path.name}",
                object="",
                problem=f"no stack owns it; add Pulumi.{path.name}.yaml or remove the folder",
            )


def _remote_bases(root: Path) -> Iterator[Finding]:
    for path in definitions.yaml_files(root):
        if path.name not in KUSTOMIZATION_FILES:
            continue
        for content in yaml_reader.mappings_in(path):
            for key in ("resources", "components", "bases"):
                entries = content.get(key)
                for entry in entries if isinstance(entries, list) else ():
                    if "://" in str(entry) or "?ref=" in str(entry) or "git@" in str(entry):
                        yield Finding(
                            file=path.relative_to(root).as_posix(),
                            object=f"{key}: {entry}",
                            problem="is remote; keep a folder here, or use a Flux source",
                        )


def _write(root: Path, copy: Path, files: Mapping[str, str], stack: Stack) -> None:
    for folder in SHARED_FOLDERS:
        if (root / folder).is_dir():
            shutil.copytree(root / folder, copy / folder, symlinks=True)
    for path, text in files.items():
        target = copy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    if f"{stack.path}/{layout.COMPONENTS_FILE}" not in files:
        # Not at hand, and said so: the rest is still worth checking.
        listing = copy / stack.path / "flux-system" / "kustomization.yaml"
        name = layout.COMPONENTS_FILE.rpartition("/")[2]
        lines = [line for line in listing.read_text().splitlines() if name not in line]
        listing.write_text("\n".join(lines) + "\n")


def _build(copy: Path, path: str, findings: list[Finding]) -> list[Built]:
    kustomize.complete(copy / path)
    try:
        return [Built(path=path, content=content) for content in kustomize.build(copy, path)]
    except CommandError as error:
        findings.append(Finding(file=path, object="", problem=f"does not build: {error}"))
        return []


def _flux_paths(objects: Iterable[Built], copy: Path, findings: list[Finding]) -> Iterator[str]:
    for built in objects:
        if not _is_flux_kustomization(built):
            continue
        spec = built.content.get("spec") or {}
        source = spec.get("sourceRef") or {}
        if (source.get("kind"), source.get("name")) != ("GitRepository", layout.SYNC_NAME):
            continue  # another repository's content is not here to be built
        path = Path(str(spec.get("path", ".")))
        if (copy / path).is_dir():
            yield path.as_posix()
        else:
            findings.append(
                Finding(
                    file=built.path,
                    object=built.name,
                    problem=f"spec.path {spec.get('path')} does not exist for this cluster",
                )
            )


def _is_flux_kustomization(built: Built) -> bool:
    return built.api[0].startswith("kustomize.toolkit.fluxcd.io/") and built.api[1] == (
        "Kustomization"
    )


def _duplicates(stack: Stack, objects: Sequence[Built]) -> Iterator[Finding]:
    owners: dict[str, str] = {}
    order = _order(stack)
    for built in sorted(objects, key=lambda built: _position(order, built.path)):
        key = f"{built.api[0].rpartition('/')[0]} {built.name}"
        first = owners.setdefault(key, built.path)
        # The root delivers its own sync object and is told to apply itself: the same file.
        if first != built.path:
            yield Finding(
                file=built.path,
                object=built.name,
                problem=f"is also delivered by {first}; keep one, or they take turns",
            )


def _missing_namespaces(
    stack: Stack, objects: Sequence[Built], homes: Mapping[str, str]
) -> Iterator[Finding]:
    order = _order(stack)
    created: dict[str, int] = dict.fromkeys(
        namespaces.BUILT_IN_NAMESPACES | {tree.FLUX_NAMESPACE}, -1
    )
    for built in objects:
        if built.api == ("v1", "Namespace"):
            name = str(built.metadata.get("name"))
            created[name] = min(_position(order, built.path), created.get(name, len(order)))
    for built, namespace in ((b, needed) for b in objects for needed in _needed_namespaces(b)):
        if namespace not in created:
            home = homes.get(namespace)
            hint = f"{home} has it" if home else "no shared definition has it yet"
            problem = (
                f"namespace {namespace} is not created in this cluster; "
                f"add its folder to fleet:infrastructure in {stack.file} ({hint})"
            )
        elif created[namespace] > _position(order, built.path):
            problem = f"namespace {namespace} comes only in a later stage; move it to namespaces/"
        else:
            continue
        yield Finding(file=built.path, object=built.name, problem=problem)


def _order(stack: Stack) -> list[str]:
    """The paths that this cluster's stages are delivered from, first to last; teams are after."""
    return [
        stack.path,
        *(f"{stack.path}/{stage.value}" for stage in stages.entries_by_stage(stack)),
    ]


def _position(order: Sequence[str], path: str) -> int:
    return order.index(path) if path in order else len(order)


def _needed_namespaces(built: Built) -> list[str]:
    """Its own, and the one that a HelmRelease or a Flux Kustomization fills."""
    spec = built.content.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    needed = [built.metadata.get("namespace")]
    if built.api[1] == "HelmRelease" or _is_flux_kustomization(built):
        install = spec.get("install")
        if not (isinstance(install, dict) and install.get("createNamespace")):
            needed.append(spec.get("targetNamespace"))
    return [str(namespace) for namespace in dict.fromkeys(needed) if namespace is not None]


def _missing_dependencies(objects: Sequence[Built]) -> Iterator[Finding]:
    flux = [b for b in objects if _is_flux_kustomization(b) or b.api[1] == "HelmRelease"]
    known = {(b.api[1], b.metadata.get("namespace"), b.metadata.get("name")) for b in flux}
    for built in flux:
        spec = built.content.get("spec")
        for needed in (spec.get("dependsOn") or ()) if isinstance(spec, dict) else ():
            key = (needed.get("namespace", built.metadata.get("namespace")), needed.get("name"))
            if (built.api[1], *key) not in known:
                yield Finding(
                    file=built.path,
                    object=built.name,
                    problem=f"dependsOn {key[1]}, which this cluster does not have",
                )


def _refused_by_lockdown(objects: Iterable[Built]) -> Iterator[Finding]:
    """What `flux_manifests.FLAGS` makes Flux refuse, where it would be seen only later."""
    for built in objects:
        if not (_is_flux_kustomization(built) or built.api[1] == "HelmRelease"):
            continue
        spec = built.content.get("spec")
        spec = spec if isinstance(spec, dict) else {}
        if not spec.get("serviceAccountName"):
            yield Finding(
                file=built.path,
                object=built.name,
                problem="spec.serviceAccountName is missing, so Flux may do nothing for it; "
                f"in {tree.FLUX_NAMESPACE} name {layout.PLATFORM_ACCOUNT}",
            )
        chart = spec.get("chart")
        chart_spec = chart.get("spec") if isinstance(chart, dict) else None
        for holder in (spec, chart_spec if isinstance(chart_spec, dict) else {}):
            for key in ("sourceRef", "chartRef"):
                reference = holder.get(key)
                other = reference.get("namespace") if isinstance(reference, dict) else None
                if other not in (None, built.metadata.get("namespace")):
                    yield Finding(
                        file=built.path,
                        object=built.name,
                        problem=f"{key} is to namespace {other}, which Flux refuses; "
                        "keep the source beside it",
                    )


def _validate(objects: Sequence[Built], folder: Path, report: Report) -> None:
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
