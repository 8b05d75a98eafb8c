"""What can go wrong in the sandbox."""

from __future__ import annotations

from fleet.errors import FleetError


class SandboxError(FleetError):
    """The sandbox cannot go on. Its text is one line: what happened and what to do."""
