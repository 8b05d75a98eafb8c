"""The checkout that the sandbox runs."""

from __future__ import annotations

from pathlib import Path

# The folder with Pulumi.yaml, apps/ and infrastructure/.
CHECKOUT = Path(__file__).parents[2]
