"""The build of one cluster: all objects that its Flux would apply from this repository."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fleet.check.built_object import Build, BuiltObject
from fleet.check.fields import mapping_at
from fleet.check.findings import Finding
from fleet.config.definitions import SHARED_FOLDERS
from fleet.config.models import Stack
from fleet.errors import CommandError
from fleet.kube import kustomize
from fleet.render import flux, layout, tree


def build_cluster(root: Path, stack: Stack, components: str | None, copy: Path) -> Build:
    """Build all paths that the Flux of one cluster applies, in the new folder `copy`.

    The build starts at the entrypoint and follows every Flux Kustomization of this repository.
    `components` are Flux's own manifests, None if they are missing.
    """
    _write_copy(root, stack, components, copy)
    objects: list[BuiltObject] = []
    findings: list[Finding] = []
    todo, seen = [stack.path], {stack.path}
    with ThreadPoolExecutor(max_workers=4) as pool:
        while todo:
            builds = list(pool.map(lambda path: _build_path(copy, path), todo))
            built_now = [built for build in builds for built in build.objects]
            objects += built_now
            findings += [finding for build in builds for finding in build.findings]
            applied = [(built, _applied_path(built)) for built in built_now]
            paths = dict.fromkeys(path for _, path in applied if path is not None)
            existing = {path for path in paths if (copy / path).is_dir()}
            findings += [_missing_path(b) for b, path in applied if path not in (None, *existing)]
            todo = [path for path in paths if path in existing - seen]
            seen.update(todo)
    return Build(objects, findings)


def _write_copy(root: Path, stack: Stack, components: str | None, copy: Path) -> None:
    """Write the shared definitions and the tree of one cluster, nothing of other clusters."""
    files = tree.render(stack, components)
    for folder in SHARED_FOLDERS:
        if (root / folder).is_dir():
            shutil.copytree(root / folder, copy / folder, symlinks=True)
    for path, text in files.items():
        target = copy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    if components is None:
        # The tree lists a file that is not there; the rest of it can still be checked.
        listing = copy / stack.path / "flux-system" / "kustomization.yaml"
        name = layout.COMPONENTS_FILE.rpartition("/")[2]
        lines = [line for line in listing.read_text().splitlines() if name not in line]
        listing.write_text("\n".join(lines) + "\n")


def _build_path(copy: Path, path: str) -> Build:
    kustomize.write_missing_kustomization(copy / path)
    try:
        manifests = kustomize.build(copy, path)
    except CommandError as error:
        return Build([], [Finding(file=path, object="", problem=f"does not build: {error}")])
    return Build([BuiltObject(path=path, manifest=manifest) for manifest in manifests], [])


def _applied_path(built: BuiltObject) -> str | None:
    """Return the path that a Flux Kustomization applies; None for one of another repository."""
    source = mapping_at(built.spec, "sourceRef")
    if not built.is_flux_kustomization or (source.get("kind"), source.get("name")) != (
        "GitRepository",
        flux.SYNC_NAME,
    ):
        return None
    return Path(str(built.spec.get("path", "."))).as_posix()


def _missing_path(built: BuiltObject) -> Finding:
    path = built.spec.get("path")
    return built.finding(f"spec.path {path} does not exist for this cluster; correct it")
