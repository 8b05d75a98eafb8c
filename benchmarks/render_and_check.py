"""Time of `fleet render` and `fleet check` by number of clusters and of tenants in each.

The baseline is the usual shell loop over the same trees: `kustomize build | kubeconform -strict`
for each path that Flux applies in each cluster. A tenant's path has one file, which kubeconform
reads without a build. Run `python -m benchmarks.render_and_check [SIZE...]` after
`make check-tools`; a SIZE is CLUSTERS or CLUSTERSxTENANTS.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from fleet.check import schemas
from fleet.config import stack_files
from fleet.kube import kustomize
from fleet.process import run
from fleet.render import layout, stages

CHECKOUT = Path(__file__).parents[1]
SIZES = ("3", "10", "30", "100", "1x10", "1x100", "1x1000", "100x20")
REPEATS = 3
# A command is not repeated once its runs took longer together, in seconds.
LONG = 20.0


def main() -> int:
    """Print one line for each size: seconds (best of three), memory, and check's ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=SIZES, metavar="SIZE")
    print(
        f"{'clusters':>8}  {'tenants':>7}  {'render s':>8}  {'check s':>8}  {'check MiB':>9}  "
        f"{'baseline s':>10}  check/baseline"
    )
    for size in parser.parse_args().sizes:
        clusters, _, tenants = size.partition("x")
        with tempfile.TemporaryDirectory(prefix="fleet-benchmark-") as folder:
            root = Path(folder)
            _make_fleet(root, int(clusters), int(tenants or 0))
            render, _ = _best(lambda: _fleet("render", "--root", root, "--out", root))  # noqa: B023
            check, memory = _best(lambda: _fleet("check", "--root", root))  # noqa: B023
            baseline, _ = _best(lambda: _shell_loop(root))  # noqa: B023
        print(
            f"{clusters:>8}  {tenants or '-':>7}  {render:>8.2f}  {check:>8.2f}  {memory:>9.0f}  "
            f"{baseline:>10.2f}  {check / baseline:>14.2f}",
            flush=True,
        )
    return 0


def _make_fleet(root: Path, clusters: int, tenants: int) -> None:
    """Make a checkout with the shared definitions of this one and with clusters like prod."""
    for folder in ("apps", "infrastructure"):
        shutil.copytree(CHECKOUT / folder, root / folder)
    shutil.copy(CHECKOUT / stack_files.PROJECT_FILE, root)
    content = yaml.safe_load((CHECKOUT / "Pulumi.prod.yaml").read_text())
    content["config"]["fleet:tenants"] = [
        {"name": f"team-{n}", "repository": {"url": f"https://github.com/acme/team-{n}"}}
        for n in range(tenants)
    ]
    for index in range(clusters):
        content["config"]["fleet:cluster"] |= {"context": f"c{index}", "environment": "prod"}
        (root / f"Pulumi.prod-{index}.yaml").write_text(yaml.safe_dump(content))


def _shell_loop(root: Path) -> float:
    for cluster in sorted((root / "clusters").iterdir()):
        # Without Flux's install manifests the entrypoint does not build.
        for path in (cluster, *(cluster / stage.value for stage in stages.Stage)):
            if path == cluster and not (cluster / layout.COMPONENTS_FILE).exists():
                continue
            _kubeconform("-", stdin=run([*kustomize.command(), str(path)], timeout=60))
        for file in sorted((cluster / layout.TENANTS).glob(f"*/{layout.TENANT_FILE}")):
            _kubeconform(str(file))
    return 0


def _kubeconform(file: str, stdin: str | None = None) -> None:
    run(
        [
            schemas.kubeconform(), "-strict", "-ignore-missing-schemas",
            "-schema-location", f"{schemas.folder()}/{schemas.SCHEMA_TEMPLATE}", file,
        ],
        timeout=60,
        stdin=stdin,
    )  # fmt: skip


def _fleet(*args: str | Path) -> float:
    """Run a `fleet` command in a process of its own and return its peak memory in MiB."""
    command = [sys.executable, "-m", "fleet", *map(str, args)]
    child = subprocess.Popen(
        command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: failed; run it by hand on a small size")
    # Linux reports KiB, and macOS reports bytes.
    return usage.ru_maxrss / (1 << 10 if sys.platform == "linux" else 1 << 20)


def _best(work: Callable[[], float]) -> tuple[float, float]:
    """Return the seconds of the shortest run, and the result of the last one."""
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < LONG:
        started = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - started)
    return min(times), result


if __name__ == "__main__":
    sys.exit(main())
