"""Figures of fleet on generated fleets, against the usual shell loop and against flate.

Run `python -m benchmarks [SIZE...]` after `make check-tools`. A SIZE is a number of clusters,
CLUSTERSxTENANTS, `shipped` for the clusters of this checkout, or `policies` for the table about
policies. flate is optional: the program is taken from PATH, or named by --flate.
"""

from __future__ import annotations

import argparse
import compileall
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import checkouts, fleets, measuring, policies
from benchmarks.checkouts import Size
from benchmarks.measuring import Cost, best, run
from benchmarks.peers import PROCESSORS, Flate, shell_loop
from fleet.policies import program

_POLICIES = "policies"
SIZES = ("shipped", "3", "30", "300", "1000", "1x100", _POLICIES)
# The impact on more clusters is not compared: flate runs once for each.
_LARGEST_IMPACT = 300
_ABSENT = "-"
_ALL_KINDS = ("--skip-crds=false", "--skip-secrets=false")


def main() -> int:
    """Print four tables: check, impact, deletions and policies."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*", default=SIZES, metavar="SIZE")
    parser.add_argument("--flate", default=shutil.which("flate"), metavar="PROGRAM")
    parser.add_argument(
        "--peers-up-to",
        type=int,
        default=1000,
        metavar="N",
        help="measure the loop and flate only for fleets of up to N clusters (default: 1000)",
    )
    args = parser.parse_args()
    # pip compiles what it installs. With PYTHONDONTWRITEBYTECODE each run from a checkout would.
    compileall.compile_dir(measuring.CHECKOUT / "fleet", quiet=1)
    sizes = [Size.of_text(text) for text in args.sizes if text != _POLICIES]
    bench = _Bench(flate=args.flate, peers_up_to=args.peers_up_to)
    load = os.getloadavg()[0]
    print(f"{PROCESSORS} processors, load {load:.1f} at the start; best of up to three runs")
    if sizes:
        bench.check(sizes)
        generated = [size for size in sizes if not (size.is_shipped or size.tenants)]
        impact = [size for size in generated if size.clusters <= _LARGEST_IMPACT]
        bench.impact(impact)
        bench.deletions(impact[:1])
    if _POLICIES in args.sizes:
        _print_policies()
    return 0


def _print_policies() -> None:
    """Print the costs of policies on about 3,000 objects."""
    kyverno = program.find()
    if kyverno is None:
        print("\nkyverno: not found; the table about policies is left out")
        return
    _print("policies", policies.HEADING)
    for row in policies.rows(kyverno):
        _print("", row)


@dataclass(frozen=True, kw_only=True)
class _Bench:
    flate: str | None
    peers_up_to: int

    def check(self, sizes: Sequence[Size]) -> None:
        """Print the costs of `fleet check`, of the loop and of flate, by size."""
        _print(
            "check",
            ["clusters", "cold", "again", "one file changed", "loop", "fleet/loop", "flate cold",
             "flate again"],
        )  # fmt: skip
        for size in sizes:
            with _checkout(size) as root:
                _print("", [str(size), *self._check(root, size)])

    def _check(self, root: Path, size: Size) -> Iterator[str]:
        # The others judge no policies, so fleet does not do it here.
        command = measuring.fleet("check", "--root", root)

        def cold() -> Cost:
            with measuring.empty_cache(*program.NAMES) as env:
                return run(command, env)

        first = best(cold)
        yield str(first)
        with measuring.empty_cache(*program.NAMES) as env:
            run(command, env)
            yield str(best(lambda: run(command, env)))
            numbers = itertools.count(1)

            def changed() -> Cost:
                # Each run has a change that no run before it had.
                checkouts.git(root, "checkout", "--quiet", ".")
                checkouts.change_one_file(root, size, next(numbers))
                return run(command, env)

            yield str(best(changed))
            checkouts.git(root, "checkout", "--quiet", ".")
        if size.clusters > self.peers_up_to:
            yield from [_ABSENT] * 4
            return
        loop = best(lambda: shell_loop(root, os.environ))
        yield f"{loop.seconds:.2f} s ({loop.cpu:.2f} s CPU)"
        yield f"{first.seconds / loop.seconds:.2f}"
        with self._flate() as flate:
            for _ in range(2):
                # flate fetches the sources of charts and of tenants, so it cannot run here.
                is_alike = not (size.is_shipped or size.tenants)
                yield f"{flate.test(root):.2f} s" if flate and is_alike else _ABSENT

    @contextmanager
    def _flate(self) -> Iterator[Flate | None]:
        with tempfile.TemporaryDirectory(prefix="fleet-benchmark-flate-") as cache:
            yield Flate(program=self.flate, cache=Path(cache)) if self.flate else None

    def impact(self, sizes: Sequence[Size]) -> None:
        """Print the cost of the impact of a changed base, and how many clusters are named."""
        _print(
            "impact of a base that prod overrides",
            ["clusters", "reached", "cold", "named", "again", "flate cold", "named", "flate again",
             "fleet/flate"],
        )  # fmt: skip
        for size in sizes:
            with _checkout(size) as root:
                reached = fleets.change_base(root, size.clusters)
                _print("", [str(size), str(len(reached)), *self._impact(root, reached)])

    def _impact(self, root: Path, reached: Sequence[str]) -> Iterator[str]:
        command = measuring.fleet("impact", "--root", root, "--json")
        out = root.with_name("impact.json")
        with measuring.empty_cache() as env:
            cold = run(command, env, out)
            again = best(lambda: run(command, env, out))
        named = [item["name"] for item in _clusters(out) if item["isReached"]]
        yield from (str(cold), _score(named, reached), str(again))
        with self._flate() as flate:
            if flate is None:
                yield from [_ABSENT] * 4
                return
            seconds, objects = flate.diff(root)
            later, _ = flate.diff(root)
        named = [name for name, found in objects.items() if found]
        yield from (f"{seconds:.2f} s", _score(named, reached), f"{later:.2f} s")
        yield f"{cold.seconds / seconds:.2f}"

    def deletions(self, sizes: Sequence[Size]) -> None:
        """Print the objects that a removed Flux Kustomization takes with it, and who shows them."""
        _print("deletions by a removed Flux Kustomization", ["shown by", "objects", "missed"])
        for size in sizes:
            with _checkout(size) as root:
                expected = fleets.remove_parent(root)
                for name, shown in self._deletions(root).items():
                    missed = [item for item in expected if item not in shown]
                    count = f"{len(expected) - len(missed)} of {len(expected)}"
                    _print("", [name, count, ", ".join(missed) or "none"])

    def _deletions(self, root: Path) -> Mapping[str, Sequence[str]]:
        """Return the objects of the first cluster that each program shows."""
        out = root.with_name("impact.json")
        with measuring.empty_cache() as env:
            run(measuring.fleet("impact", "--root", root, "--json"), env, out)
        changes = [change for change in _clusters(out)[0]["changes"] if change["isDeleted"]]
        found = {"fleet impact": [_name(**change["object"]) for change in changes]}
        with self._flate() as flate:
            if flate is None:
                return found
            for options in ((), _ALL_KINDS):
                name = " ".join(["flate diff all", *options])
                found[name] = next(iter(flate.diff(root, *options)[1].values()))
        return found


@contextmanager
def _checkout(size: Size) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fleet-benchmark-") as folder:
        root = Path(folder) / "checkout"
        root.mkdir()
        checkouts.make(root, size)
        yield root


def _clusters(file: Path) -> list[dict[str, Any]]:
    clusters: list[dict[str, Any]] = json.loads(file.read_text())["clusters"]
    return clusters


def _name(group: str, kind: str, namespace: str, name: str) -> str:
    return f"{kind} {'/'.join(part for part in (namespace, name) if part)}"


def _score(named: Sequence[str], expected: Sequence[str]) -> str:
    """Return how many names are right, and how many are wrong."""
    right = len({*named} & {*expected})
    wrong = len({*named} - {*expected})
    return f"{right} right, {wrong} wrong"


def _print(title: str, cells: Sequence[str]) -> None:
    """Print a line of a Markdown table; with a title, its heading."""
    if title:
        print(f"\n{title}\n")
    print(f"| {' | '.join(cells)} |", flush=True)
    if title:
        print(f"|{' --- |' * len(cells)}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
