"""The sandbox's exception."""

from __future__ import annotations

from fleet.errors import FleetError


class SandboxError(FleetError):
    """The sandbox cannot go on. The text is one line: what happened and what to do."""
