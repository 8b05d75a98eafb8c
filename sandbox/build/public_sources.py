"""The public sources that the shared definitions name, built from pinned Go modules.

They are Kyverno's chart repository and the Git repository with the Gateway API's CRDs. The sandbox
serves both under their public addresses.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import yaml

from fleet import files
from fleet.process import run
from sandbox.build import parts

KYVERNO = "github.com/kyverno/kyverno"
# Charts of other repositories that Kyverno's chart depends on: module and folder of each. The
# module's version is the one that Kyverno's go.mod requires, so it has the CRDs of that release.
KYVERNO_SUBCHARTS = {"kyverno-api": ("github.com/kyverno/api", "charts/kyverno-api")}
GATEWAY_API = "sigs.k8s.io/gateway-api"
GATEWAY_API_REPOSITORY = "kubernetes-sigs/gateway-api.git"
TIMEOUT = 60

# With a fixed date every build gives the same bytes, so Flux sees no change after a second one.
_DATE = "2026-01-01T00:00:00Z"
_GIT_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "sandbox"), ("EMAIL", "sandbox@localhost"), ("DATE", _DATE))
}


def build_charts(out: Path) -> None:
    """Write the chart repository https://kyverno.github.io/kyverno/ below `out`.

    `out` is the folder to serve as the host kyverno.github.io: `kyverno/index.yaml` and
    `kyverno/kyverno-<version>.tgz`.
    """
    chart = parts.source(KYVERNO) / "charts" / "kyverno"
    metadata = _metadata(chart)
    subcharts = [
        dependency
        for dependency in metadata["dependencies"]
        if not dependency.get("repository") or dependency["name"] in KYVERNO_SUBCHARTS
    ]
    # Helm refuses a chart that lists a dependency and does not contain it. The others are optional.
    metadata = {**metadata, "dependencies": subcharts}
    contents = _contents(chart, metadata)
    for dependency in subcharts:
        if dependency.get("repository"):
            contents |= _subchart(dependency["name"], dependency["version"])
    archive = _pack(metadata["name"], contents)
    name = f"{metadata['name']}-{metadata['version']}.tgz"
    entry = {
        **metadata,
        "created": _DATE,
        "digest": hashlib.sha256(archive).hexdigest(),
        # A URL relative to the index is right at every address that serves the folder.
        "urls": [name],
    }
    index = {"apiVersion": "v1", "entries": {metadata["name"]: [entry]}, "generated": _DATE}
    # The archive is written before the index that names it.
    files.write(out / "kyverno" / name, archive)
    files.write(out / "kyverno" / "index.yaml", yaml.safe_dump(index).encode())


def build_gateway_api(out: Path) -> None:
    """Write a bare Git repository with the Gateway API's CRDs below `out`.

    It is `<out>/kubernetes-sigs/gateway-api.git`, with the folder `config/crd` and the tag of the
    pinned version. Every build gives the same commit, so a repository with the tag is kept.
    """
    module = parts.source(GATEWAY_API)
    tag = parts.source_version(GATEWAY_API)
    repository = out / GATEWAY_API_REPOSITORY
    if repository.exists() and _git(repository, "tag", "--list", tag).strip() == tag:
        return
    with files.fresh_folder(repository) as made, tempfile.TemporaryDirectory() as scratch:
        _git(made, "init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(made))
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index"), "GIT_WORK_TREE": str(module)}
        _git(made, "add", "--force", "config/crd", more=index, cwd=module)
        tree = _git(made, "write-tree", more=index).strip()
        commit = _git(made, "commit-tree", tree, "-m", f"Gateway API {tag}").strip()
        _git(made, "update-ref", "refs/heads/main", commit)
        _git(made, "update-ref", f"refs/tags/{tag}", commit)


def _metadata(chart: Path) -> dict[str, Any]:
    metadata: dict[str, Any] = yaml.safe_load((chart / "Chart.yaml").read_text())
    return metadata


def _contents(chart: Path, metadata: dict[str, Any]) -> dict[str, bytes]:
    """Return a chart's files by path, with `metadata` as its Chart.yaml and without Chart.lock."""
    contents = {
        path.relative_to(chart).as_posix(): path.read_bytes()
        for path in chart.rglob("*")
        if path.is_file()
    }
    contents.pop("Chart.lock", None)
    return contents | {"Chart.yaml": yaml.safe_dump(metadata, sort_keys=False).encode()}


def _subchart(name: str, version: str) -> dict[str, bytes]:
    """Return the files that add a chart of another repository to Kyverno's chart."""
    module, folder = KYVERNO_SUBCHARTS[name]
    chart = parts.source(module) / folder
    # The chart gets its version at its release. Helm ignores a subchart with another version.
    contents = _contents(chart, {**_metadata(chart), "version": version})
    return {f"charts/{name}/{path}": content for path, content in contents.items()}


def _pack(name: str, contents: dict[str, bytes]) -> bytes:
    """Return a chart as a gzipped tar, sorted, without this machine's dates, owners and modes."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", fileobj=buffer, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path, content in sorted(contents.items()):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _git(
    repository: Path, *args: str, more: dict[str, str] | None = None, cwd: Path | None = None
) -> str:
    # The user's Git configuration (signing, line endings, hooks) would change the commit, and so
    # would variables that Git sets when it runs a hook of this checkout.
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
        **_GIT_IDENTITY,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_DIR": str(repository),
        **(more or {}),
    }
    return run(["git", *args], timeout=TIMEOUT, cwd=cwd, env=env)
