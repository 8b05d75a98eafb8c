"""The one exception tree. Only an entry point turns one of these into an exit code."""

from __future__ import annotations

from collections.abc import Sequence


class FleetError(Exception):
    """Something the user can mend. Its text is one line: where, what is wrong, what to do."""


class ConfigError(FleetError):
    """All that is wrong with the decisions, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class CommandError(FleetError):
    """A program that was run failed, timed out or is not there."""
