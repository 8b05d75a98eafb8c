"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # The parser to which `register` of each command adds its own; argparse has no public name.
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_command(commands: Commands, name: str, text: str, details: str) -> argparse.ArgumentParser:
    """Add a command and return its parser; its help begins with a text and ends with details."""
    return commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=details,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_root(parser: argparse.ArgumentParser) -> None:
    """Add --root, the checkout that the command reads."""
    parser.add_argument(
        "--root",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="the checkout of fleet, or of another Flux repository (default: this folder)",
    )


def add_json(parser: argparse._ActionsContainer) -> None:
    """Add --json, which prints the result for programs."""
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
