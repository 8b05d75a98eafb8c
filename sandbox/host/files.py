"""The checkout that the sandbox tries out, and the safe ways to write files and folders."""

from __future__ import annotations

from pathlib import Path

from fleet.files import fresh_folder, write

__all__ = ["CHECKOUT", "fresh_folder", "write"]

# The sandbox runs what is in this folder, which has Pulumi.yaml, apps/ and infrastructure/.
CHECKOUT = Path(__file__).parents[2]
