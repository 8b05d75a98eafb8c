"""The place that a cluster's Flux follows."""

from __future__ import annotations

from dataclasses import dataclass

from fleet.config.git_urls import same_repository
from fleet.config.models import Stack


@dataclass(frozen=True, kw_only=True)
class Place:
    """A path of a branch of a repository; a part that a cluster does not name is empty."""

    url: str
    branch: str
    path: str

    def __str__(self) -> str:
        """Return the place as problems and annotations name it."""
        return f"{self.path or '?'} of {self.url or '?'} at {self.branch or '?'}"

    def is_part_of(self, other: Place) -> bool:
        """Say whether the other place has all parts that this one names."""
        return (
            self.branch in ("", other.branch)
            and self.path in ("", other.path)
            and same_repository(self.url) in ("", same_repository(other.url))
        )


def of_stack(stack: Stack) -> Place:
    """Return the place that a stack's cluster is to follow."""
    repository = stack.config.repository
    return Place(url=repository.pull_url, branch=repository.branch, path=stack.path)
