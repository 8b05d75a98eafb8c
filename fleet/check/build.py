"""All that one cluster's Flux would apply, built in a copy of the checkout."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fleet.check.findings import Built, Finding
from fleet.config.definitions import SHARED_FOLDERS
from fleet.config.models import Stack
from fleet.errors import CommandError
from fleet.kube import kustomize
from fleet.render import flux, layout, tree


def build_cluster(
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
    kustomize.write_missing_kustomization(copy / path)
    try:
        return [Built(path=path, content=content) for content in kustomize.build(copy, path)]
    except CommandError as error:
        findings.append(Finding(file=path, object="", problem=f"does not build: {error}"))
        return []


def _flux_paths(objects: Iterable[Built], copy: Path, findings: list[Finding]) -> Iterator[str]:
    for built in objects:
        if not is_flux_kustomization(built):
            continue
        spec = built.content.get("spec") or {}
        source = spec.get("sourceRef") or {}
        if (source.get("kind"), source.get("name")) != ("GitRepository", flux.SYNC_NAME):
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


def is_flux_kustomization(built: Built) -> bool:
    """Tell whether an object is a Flux Kustomization."""
    return built.api[0].startswith("kustomize.toolkit.fluxcd.io/") and built.api[1] == (
        "Kustomization"
    )
