"""The peers of fleet in a measurement: the usual shell loop, and flate if it is at hand."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measuring import Cost, run
from fleet.check import schemas
from fleet.kube import kustomize
from fleet.render import layout, stages

PROCESSORS = os.cpu_count() or 1
# A tenant's path has one file, which kubeconform reads without a build.
_LOOP = """
xargs -P "$1" -n 1 sh -c '
  if [ -d "$0" ]; then {kustomize} "$0"; else cat "$0"; fi |
    {kubeconform} -strict -ignore-missing-schemas -schema-location "{schemas}" || exit 255
' < "$0"
"""


def shell_loop(root: Path, env: Mapping[str, str]) -> Cost:
    """Run `kustomize build | kubeconform -strict`, one process on each processor.

    It runs for each cluster's entrypoint, for each of its stages and for each tenant.
    """
    paths = root.with_name(f"{root.name}-paths")
    paths.write_text("".join(f"{path}\n" for path in _paths(root)))
    script = _LOOP.format(
        kustomize=" ".join(kustomize.command()),
        kubeconform=schemas.kubeconform(),
        schemas=f"{schemas.folder()}/{schemas.SCHEMA_TEMPLATE}",
    )
    return run(["sh", "-c", script, paths, str(PROCESSORS)], env)


def _paths(root: Path) -> list[Path]:
    found: list[Path] = []
    for cluster in sorted((root / "clusters").iterdir()):
        names = [cluster, *(cluster / stage.value for stage in stages.Stage)]
        found += [path for path in names if path.is_dir()]
        found += sorted((cluster / layout.TENANTS).glob(f"*/{layout.TENANT_FILE}"))
    return found


@dataclass(frozen=True, kw_only=True)
class Flate:
    """The program flate, which reads one cluster in a run; `cache` is its own cache folder."""

    program: str
    cache: Path

    def test(self, root: Path) -> float:
        """Build all clusters, and return the seconds. It validates nothing against a schema."""
        started = time.perf_counter()
        self._each(root, "test", "all")
        return time.perf_counter() - started

    def diff(self, root: Path, *options: str) -> tuple[float, dict[str, list[str]]]:
        """Compare all clusters with the last commit: the seconds, and the changed objects."""
        started = time.perf_counter()
        found = self._each(root, "diff", "all", "--base", "HEAD", "--output", "diff", *options)
        seconds = time.perf_counter() - started
        objects = {name: re.findall(r"^--- (.*)$", out, re.M) for name, out in found.items()}
        return seconds, objects

    def _each(self, root: Path, *words: str) -> dict[str, str]:
        """Return the output for each cluster; one process runs on each processor."""
        names = sorted(path.name for path in (root / "clusters").iterdir())

        def output(name: str) -> str:
            command = [self.program, *words, "--path", f"clusters/{name}", "--no-progress"]
            env = {**os.environ, "FLATE_CACHE_DIR": str(self.cache)}
            done = subprocess.run(
                command, cwd=root, env=env, check=True, text=True, stdout=-1, stderr=-3
            )
            return done.stdout

        with ThreadPoolExecutor(PROCESSORS) as pool:
            return dict(zip(names, pool.map(output, names), strict=True))
