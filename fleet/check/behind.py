"""The distance between a rendered tree as it is committed and its shared definitions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fleet.config.models import Stack
from fleet.kube.manifest import Manifest, ObjectId, object_id
from fleet.render import layout, rendered_moves, stages

# More objects than these are counted, and not named.
_NAMED = 5


def read_tree(root: Path, stack: Stack) -> dict[str, str]:
    """Return the files of a cluster's stages in a checkout, path in the repository to text."""
    files: dict[str, str] = {}
    for stage in stages.entries_by_stage(stack):
        for file in sorted((root / stack.path / stage.value).rglob("*.yaml")):
            if file.is_file() and not file.is_symlink():
                path = file.relative_to(root).as_posix()
                files[path] = file.read_text(encoding="utf-8", errors="replace")
    return files


def line(stack: Stack, committed: Mapping[str, str], files: Mapping[str, str]) -> str | None:
    """Return the line that says how far a rendered tree is behind; None if it is not.

    `committed` are the files of its stages as they are, and `files` the tree as it would be.
    """
    now, then = _objects(stack, committed), _objects(stack, files)
    how = f"`pulumi up -s {stack.name}` commits it"
    if not now:
        return f"{stack.path}: is not rendered yet in this checkout; {how}"
    changes = [
        *(f"{name} changes" for name in then if name in now and now[name] != then[name]),
        *(f"{name} comes" for name in then if name not in now),
        *(f"{name} goes" for name in now if name not in then),
    ]
    if not changes:
        return None
    more = f" and {len(changes) - _NAMED} more" if len(changes) > _NAMED else ""
    count = f"{len(changes)} of {len(now.keys() | then.keys())} objects"
    named = ", ".join(changes[:_NAMED])
    return f"{stack.path}: is behind its definitions in {count} ({named}{more}); {how}"


def _objects(stack: Stack, files: Mapping[str, str]) -> dict[ObjectId, Manifest]:
    """Return the objects in the files of the stages, without the lists."""
    return {
        object_id(manifest): manifest
        for path, text in files.items()
        if _is_rendered(stack, path)
        for manifest in rendered_moves.manifests_in(text)
    }


def _is_rendered(stack: Stack, path: str) -> bool:
    folder, _, name = path.removeprefix(f"{stack.path}/").partition("/")
    is_stage = folder in {stage.value for stage in stages.entries_by_stage(stack)}
    return is_stage and bool(name) and not path.endswith(f"/{layout.KUSTOMIZATION}")
