"""`fleet render`: print or write the tree of each cluster."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from fleet.cli import install_manifests, options
from fleet.config import load
from fleet.config.models import Stack
from fleet.errors import FleetError
from fleet.render import definition_build, header, layout, rendered_cluster, tree


def register(commands: options.Commands) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("render", help="print or write the tree of clusters/<stack>")
    options.add_root(parser)
    parser.add_argument("--stack", help="only this stack (default: all)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write the files below DIR instead of printing them"
    )
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    stacks = (
        [load.stack(args.root, args.stack)] if args.stack is not None else load.stacks(args.root)
    )
    manifests = install_manifests.by_stack(stacks, args.root)
    with definition_build.reader(args.root) as definitions:
        rendered = [rendered_cluster.render(definitions, stack) for stack in stacks]
    for stack, found in zip(stacks, rendered, strict=True):
        files = tree.render(stack, manifests[stack.name], found)
        if args.out is not None:
            _write_tree(args.out, stack, files)
        else:
            sys.stdout.writelines(f"=== {path}\n{text}" for path, text in files.items())
    return 0


def _write_tree(out: Path, stack: Stack, files: Mapping[str, str]) -> None:
    """Write a tree, and remove files that an earlier run generated and this one does not.

    Files without the generated first line stay. So do Flux's install manifests, which may be
    missing from `files` only because this machine does not have them.
    """
    for path, text in files.items():
        _write(out, path, text)
    current = {*files, f"{stack.path}/{layout.COMPONENTS_FILE}"}
    for file in (out / stack.path).rglob("*.yaml"):
        if file.relative_to(out).as_posix() not in current and _is_generated(file, stack):
            file.unlink()


def _is_generated(file: Path, stack: Stack) -> bool:
    """Say whether an earlier run wrote this file; a link or a folder is the user's own."""
    if file.is_symlink() or not file.is_file():
        return False
    try:
        return file.read_bytes().startswith(header.first_line(stack.file).encode())
    except OSError as error:
        raise FleetError(f"{file}: cannot be read: {error.strerror}; remove it") from None


def _write(out: Path, path: str, text: str) -> None:
    target = out / path
    # A pull request could have made a link of a generated file.
    if not Path(os.path.realpath(target)).is_relative_to(os.path.realpath(out)):
        raise FleetError(f"{target}: leads out of {out}; remove the link")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FleetError(f"{target}: cannot be written: {error.strerror}") from None
