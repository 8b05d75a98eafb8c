"""The errors of this project. Only an entry point turns one into an exit code."""

from __future__ import annotations

from collections.abc import Sequence


class FleetError(Exception):
    """A problem that the user can solve. The text is one line: file, conflict and one action."""


class ConfigError(FleetError):
    """All problems of a stack's config, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class NoClustersError(ConfigError):
    """A checkout or a commit has no cluster."""


class CommandError(FleetError):
    """A program failed, took too long or is missing."""


class LimitError(CommandError):
    """Another program needed more time or memory than it may use."""
