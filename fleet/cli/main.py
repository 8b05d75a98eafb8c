"""The `fleet` command: what is supposed to run where, before and without any `pulumi up`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from fleet.check.run import check_stacks
from fleet.config import load, schema
from fleet.config.models import Flux, Stack
from fleet.errors import FleetError
from fleet.render import flux_release, layout, tree


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, or 1 with the reason on standard error."""
    args = _parser().parse_args(argv)
    try:
        code: int = args.command(args)
        sys.stdout.flush()
    except FleetError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # The reader, as `head`, has seen enough; Python must not try to tell it the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fleet",
        description="One Git repository, many clusters: render and check what runs where.",
        epilog="Changes reach clusters only by `pulumi up -s <stack>`; no command here writes to "
        "Git or to a cluster.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    render = commands.add_parser("render", help="write the tree of clusters/<stack>")
    _root_option(render)
    render.add_argument("--stack", help="only this stack (default: all)")
    render.add_argument(
        "--out", type=Path, metavar="DIR", help="write files there instead of to the terminal"
    )
    render.set_defaults(command=_render)

    check = commands.add_parser(
        "check", help="validate stack files, entrypoints and every object, offline"
    )
    _root_option(check)
    check.add_argument("--json", action="store_true", help="print findings as JSON")
    check.add_argument(
        "--tenants",
        type=Path,
        metavar="DIR",
        help="also build what teams would deploy, from clones of their repositories in DIR, and "
        "find what would be refused",
    )
    check.set_defaults(command=_check)

    fetch = commands.add_parser("fetch", help="take Flux's install manifests into the cache")
    _root_option(fetch)
    fetch.set_defaults(command=_fetch)

    schema = commands.add_parser("schema", help="print the JSON Schema of a stack file")
    schema.set_defaults(command=_schema)
    return parser


def _root_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the checkout with Pulumi.yaml (default: here)",
    )


def _render(args: argparse.Namespace) -> int:
    stacks = [load.stack(args.root, args.stack)] if args.stack else load.stacks(args.root)
    components = _components(stacks, args.root)
    for stack in stacks:
        files = tree.render(stack, components[stack.name])
        if args.out is not None:
            _write_tree(args.out, stack, files)
        else:
            sys.stdout.writelines(f"=== {path}\n{text}" for path, text in files.items())
    return 0


def _write_tree(out: Path, stack: Stack, files: Mapping[str, str]) -> None:
    """Write a tree, and remove what an earlier one left; what people put there stays."""
    for path, text in files.items():
        _write(out / path, text)
    # Flux's manifests are part of the tree also when they are not at hand.
    kept = {*files, f"{stack.path}/{layout.COMPONENTS_FILE}"}
    for file in (out / stack.path).rglob("*.yaml"):
        stale = file.relative_to(out).as_posix() not in kept
        if stale and file.read_text(encoding="utf-8").startswith(tree.first_line(stack)):
            file.unlink()


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FleetError(f"{path}: cannot be written: {error.strerror}") from None


def _components(stacks: Sequence[Stack], root: Path) -> dict[str, str | None]:
    """Flux's manifests for each stack, None where they are not at hand, which is said once."""
    found: dict[Flux, str | None] = {}
    for flux in dict.fromkeys(stack.config.flux for stack in stacks):
        try:
            found[flux] = flux_release.read_for_review(flux, root)
        except flux_release.ManifestsMissingError as missing:
            print(f"{missing} ({layout.COMPONENTS_FILE} is left out)", file=sys.stderr)
            found[flux] = None
    return {stack.name: found[stack.config.flux] for stack in stacks}


def _check(args: argparse.Namespace) -> int:
    if args.tenants is not None and not args.tenants.is_dir():
        raise FleetError(
            f"--tenants {args.tenants}: is not a folder; name the folder with the tenants' clones"
        )
    stacks = load.stacks(args.root)
    components = _components(stacks, args.root)
    report = check_stacks(
        args.root,
        [(stack, components[stack.name]) for stack in stacks],
        _progress,
        clones=args.tenants,
    )
    for line in report.not_checked:
        print(line, file=sys.stderr)
    if args.json:
        print(json.dumps(report.as_dict(), indent=2))
    else:
        for finding in report.findings:
            print(finding)
        print(report.summary())
    return 1 if report.findings else 0


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        print(what, file=sys.stderr)


def _fetch(args: argparse.Namespace) -> int:
    for flux in dict.fromkeys(stack.config.flux for stack in load.stacks(args.root)):
        path = flux_release.fetch(flux, args.root)
        print(f"Flux {flux.version}: {path}")
        if flux.sha256 is None:
            print(f"pin it: fleet:flux.sha256: {flux_release.checksum(path)}")
    return 0


def _schema(args: argparse.Namespace) -> int:
    sys.stdout.write(schema.generate())
    return 0
