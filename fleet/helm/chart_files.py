"""The files of a chart, from an archive or a folder, and the changes that Flux makes to them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

from fleet.helm import versions
from fleet.helm.charts import NotRenderedError
from fleet.kube import yaml_reader, yaml_writer

METADATA = "Chart.yaml"
VALUES = "values.yaml"
# Helm has the same limit for a chart.
BYTES = 100 * 2**20
# The content of each file by its path below the chart's folder.
Files = Mapping[str, bytes]


def unpacked(archive: bytes, below: str = "") -> dict[str, bytes]:
    """Return the files of a tar that are below a folder of it, by their paths below that folder.

    Links and special files are left out, and so are names that lead to another folder. Raises
    NotRenderedError.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
            return dict(_members(opened, PurePosixPath(below)))
    except (tarfile.TarError, zlib.error, OSError, EOFError) as error:
        raise NotRenderedError(f"the archive of the chart cannot be read: {error}") from None


def _members(archive: tarfile.TarFile, below: PurePosixPath) -> Iterator[tuple[str, bytes]]:
    size = 0
    for member in archive:
        path = PurePosixPath(member.name)
        content = archive.extractfile(member) if member.isreg() else None
        if content is None or path.is_absolute() or ".." in path.parts:
            continue
        if not path.is_relative_to(below):
            continue
        size += member.size
        if size > BYTES:
            raise NotRenderedError(f"the chart is larger than {BYTES // 2**20} MiB")
        yield path.relative_to(below).as_posix(), content.read()


def of_archive(archive: bytes) -> dict[str, bytes]:
    """Return the files of a packaged chart, whose one folder has any name."""
    return {
        path.partition("/")[2]: content
        for path, content in unpacked(archive).items()
        if "/" in path
    }


def of_git(tree: Files, path: str) -> dict[str, bytes]:
    """Return the files of a chart at a path of a Git repository: a folder or a packaged chart."""
    if path in tree:
        return of_archive(tree[path])
    folder = "" if path == "." else f"{path}/"
    return {
        name.removeprefix(folder): content
        for name, content in tree.items()
        if name.startswith(folder)
    }


def folder_tree(root: Path, paths: Iterable[str]) -> dict[str, bytes]:
    """Return the files at some paths below a folder; a path may be a file or a folder."""
    found: dict[str, bytes] = {}
    for path in paths:
        start = root / path
        for file in [start] if start.is_file() else sorted(start.rglob("*")):
            if file.is_file() and not file.is_symlink():
                found[file.relative_to(root).as_posix()] = file.read_bytes()
    return found


def packed(tree: Files) -> bytes:
    """Return files as a tar that is the same on every machine, so it is not compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in sorted(tree.items()):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def digest(tree: Files) -> str:
    """Return the checksum of some files and their paths."""
    return hashlib.sha256(packed(tree)).hexdigest()


def version(chart: Files) -> str:
    """Return the version of a chart. Raises NotRenderedError."""
    return str(_metadata(chart).get("version") or "")


def with_version_metadata(chart: Files, metadata: str) -> dict[str, bytes]:
    """Return a chart with other build metadata in its version. Raises NotRenderedError."""
    fields = _metadata(chart)
    changed = versions.with_metadata(str(fields.get("version") or ""), metadata)
    if changed is None:
        raise NotRenderedError(f"the version of the chart is no semantic version: {version(chart)}")
    text = yaml_writer.to_yaml({**fields, "version": changed})
    return {**chart, METADATA: text.encode()}


def _metadata(chart: Files) -> dict[str, object]:
    if METADATA not in chart:
        raise NotRenderedError(f"the chart has no {METADATA}; correct its name or path")
    try:
        documents = yaml_reader.documents(chart[METADATA])
    except ValueError as error:
        raise NotRenderedError(f"{METADATA} of the chart: {error}") from None
    fields = documents[0] if documents else None
    if not isinstance(fields, dict):
        raise NotRenderedError(f"{METADATA} of the chart is no mapping")
    return fields


def may_have_crds(chart: Files) -> bool:
    """Tell whether a chart or one of its subcharts may have a folder of CRDs; one may be packed."""
    return any("crds" in path.split("/") or path.endswith(".tgz") for path in chart)


def write(chart: Files, folder: Path) -> None:
    """Write a chart to a new folder."""
    for path, content in chart.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
