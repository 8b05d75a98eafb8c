"""Lists of manifests that many clusters share: each question about one is answered once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from typing import Any

from fleet.kube.manifest import Manifest


class ManifestList(tuple[Manifest, ...]):
    """A list of manifests, which keeps the answers to questions about it.

    A question is a function with a name, so that it is the same one each time. Its answer must
    depend on the manifest alone.
    """

    @cached_property
    def _passing(self) -> dict[object, Sequence[int]]:
        return {}

    @cached_property
    def _answers(self) -> dict[object, frozenset[Any]]:
        return {}

    @cached_property
    def by_kind(self) -> Mapping[str, Sequence[int]]:
        """The indexes of the manifests of each kind."""
        found: dict[str, list[int]] = {}
        for index, manifest in enumerate(self):
            found.setdefault(str(manifest.get("kind", "")), []).append(index)
        return found

    def passing(self, test: Callable[[Manifest], object]) -> Sequence[int]:
        """Return the indexes of the manifests that pass a test."""
        found = self._passing.get(test)
        if found is None:
            found = [index for index, item in enumerate(self) if test(item)]
            self._passing[test] = found
        return found

    def answers(
        self, question: Callable[[Manifest], Hashable], left_out: tuple[int, ...]
    ) -> frozenset[Any]:
        """Return all answers to a question, without those of the manifests at some indexes."""
        key = (question, left_out)
        if key not in self._answers:
            self._answers[key] = frozenset(
                question(item) for index, item in enumerate(self) if index not in left_out
            )
        return self._answers[key]
