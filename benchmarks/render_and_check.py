"""How `fleet render` and `fleet check` grow with the number of clusters.

The baseline is the usual shell loop, on the very same trees: for every cluster and every
path that its Flux applies, `kustomize build | kubeconform -strict`. Run by
`python -m benchmarks.render_and_check [SIZE...]`; needs `make tools`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from fleet import cli, stack_files, tools, tree
from fleet.commands import run

CHECKOUT = Path(__file__).parents[1]
SIZES = (3, 10, 30, 100)
REPEATS = 3


def main() -> int:
    """Print one line a size: seconds (best of three), and check's ratio to the baseline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=SIZES, metavar="SIZE")
    sizes = parser.parse_args().sizes
    print(f"{'clusters':>8}  {'render s':>9}  {'check s':>9}  {'baseline s':>10}  check/baseline")
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="fleet-benchmark-") as folder:
            render, check, baseline = _measure(Path(folder), size)
        ratio = check / baseline
        print(f"{size:>8}  {render:>9.2f}  {check:>9.2f}  {baseline:>10.2f}  {ratio:>14.2f}")
    return 0


def _measure(root: Path, size: int) -> tuple[float, float, float]:
    _make_fleet(root, size)
    render = _best(lambda: _fleet("render", "--root", str(root), "--out", str(root)))
    check = _best(lambda: _fleet("check", "--root", str(root)))
    return render, check, _best(lambda: _shell_loop(root))


def _make_fleet(root: Path, size: int) -> None:
    """A checkout with the shared definitions of this one and `size` clusters like prod."""
    for folder in ("apps", "infrastructure"):
        shutil.copytree(CHECKOUT / folder, root / folder)
    shutil.copy(CHECKOUT / stack_files.PROJECT_FILE, root)
    content = yaml.safe_load((CHECKOUT / "Pulumi.prod.yaml").read_text())
    for index in range(size):
        content["config"]["fleet:cluster"] |= {"context": f"c{index}", "environment": "prod"}
        (root / f"Pulumi.prod-{index}.yaml").write_text(yaml.safe_dump(content))


def _shell_loop(root: Path) -> None:
    location = f"{tools.schemas()}/{tools.SCHEMA_TEMPLATE}"
    for cluster in sorted((root / "clusters").iterdir()):
        # The entrypoint too, where Flux's manifests were at hand for `render`.
        for path in (cluster, *(cluster / stage.value for stage in tree.Stage)):
            if path == cluster and not (cluster / tree.COMPONENTS_FILE).exists():
                continue
            built = run([*tools.kustomize(), str(path)], timeout=60)
            run(
                [
                    tools.kubeconform(), "-strict", "-ignore-missing-schemas",
                    "-schema-location", location, "-",
                ],
                timeout=60,
                stdin=built,
            )  # fmt: skip


def _fleet(*args: str) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        if cli.main(args) != 0:
            raise SystemExit(f"fleet {args[0]} failed; run it by hand on a small size")


def _best(work: Callable[[], None]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
