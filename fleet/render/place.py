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
        return all(
            mine in ("", others) for mine, others in zip(self._parts, other._parts, strict=True)
        )

    def is_same(self, other: Place) -> bool:
        """Say whether both are one place, however the repository's URL is spelled."""
        return self._parts == other._parts

    @property
    def _parts(self) -> tuple[str, str, str]:
        return same_repository(self.url), self.branch, self.path


def of_stack(stack: Stack) -> Place:
    """Return the place that a stack's cluster is to follow."""
    repository = stack.config.repository
    return Place(url=repository.pull_url, branch=repository.branch, path=stack.path)
