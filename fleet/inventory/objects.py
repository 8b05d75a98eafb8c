"""The objects of one cluster, in parts of which clusters share the most.

What a rule asks about a shared list of manifests is answered once for all clusters, so a rule takes
little time for each of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from fleet.inventory.built_object import BuiltObject
from fleet.inventory.manifest_list import ManifestList
from fleet.kube.manifest import Manifest

# A question about a manifest. It must be a function with a name, and the answer the same each time.
Test = Callable[[Manifest], object]
Question = Callable[[Manifest], Hashable]


@dataclass(frozen=True, kw_only=True)
class OwnPart:
    """Objects of a path that no other cluster has."""

    path: str
    objects: Sequence[BuiltObject]

    def __len__(self) -> int:
        return len(self.objects)

    def __iter__(self) -> Iterator[BuiltObject]:
        return iter(self.objects)

    def where(self, test: Test) -> Sequence[BuiltObject]:
        """Return the objects whose manifests pass a test."""
        return [built for built in self.objects if test(built.manifest)]

    def of_kinds(self, kinds: Collection[str]) -> Sequence[BuiltObject]:
        """Return the objects of some kinds."""
        return [built for built in self.objects if built.kind in kinds]

    def answers(self, question: Question) -> Collection[Any]:
        """Return all answers to a question about the manifests."""
        return {question(built.manifest) for built in self.objects}


@dataclass(frozen=True, kw_only=True)
class SharedPart:
    """Objects of a path, whose manifests clusters share.

    `own` has by their index those that only this cluster has, because of its variables. `make`
    makes the object of any other manifest.
    """

    path: str
    manifests: ManifestList
    own: Mapping[int, BuiltObject]
    make: Callable[[Manifest], BuiltObject]
    _made: dict[int, BuiltObject] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.manifests)

    def __iter__(self) -> Iterator[BuiltObject]:
        return map(self.at, range(len(self.manifests)))

    @property
    def key(self) -> object:
        """The same value for all parts that share everything but their own objects."""
        return id(self.manifests), tuple(self.own)

    def at(self, index: int) -> BuiltObject:
        """Return the object at an index, which is the same one each time."""
        found = self.own.get(index) or self._made.get(index)
        if found is None:
            found = self._made[index] = self.make(self.manifests[index])
        return found

    def where(self, test: Test) -> Sequence[BuiltObject]:
        """Return the objects whose manifests pass a test."""
        own = [index for index, built in self.own.items() if test(built.manifest)]
        return self._chosen(self.manifests.passing(test), own)

    def of_kinds(self, kinds: Collection[str]) -> Sequence[BuiltObject]:
        """Return the objects of some kinds."""
        by_kind = self.manifests.by_kind
        shared = sorted(index for kind in kinds for index in by_kind.get(kind, ()))
        own = [index for index, built in self.own.items() if built.kind in kinds]
        return self._chosen(shared, own)

    def having(self, manifests: Collection[int], shared: Sequence[int]) -> Sequence[BuiltObject]:
        """Return the objects that have manifests with these numbers in memory.

        The shared ones among them are at the indexes `shared`.
        """
        own = [index for index, built in self.own.items() if id(built.manifest) in manifests]
        return self._chosen(shared, own)

    def _chosen(self, shared: Sequence[int], own: Sequence[int]) -> Sequence[BuiltObject]:
        """Return the shared objects at some indexes, and own ones at others, in their order."""
        if self.own and (shared or own):
            shared = sorted([*(index for index in shared if index not in self.own), *own])
        return [self.at(index) for index in shared]

    def answers(self, question: Question) -> Collection[Any]:
        """Return all answers to a question about the manifests."""
        shared = self.manifests.answers(question, tuple(self.own))
        return shared.union(question(built.manifest) for built in self.own.values())


Part = OwnPart | SharedPart


class Objects(Sequence[BuiltObject]):
    """The objects of one cluster, in their order."""

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self.parts = [*parts]
        self._passing: dict[tuple[Test, int], Sequence[BuiltObject]] = {}

    @classmethod
    def of(cls, objects: Iterable[BuiltObject]) -> Objects:
        """Return objects that no other cluster has."""
        by_path = itertools.groupby(objects, lambda built: built.path)
        return cls(OwnPart(path=path, objects=[*found]) for path, found in by_path)

    def with_own(self, objects: Sequence[BuiltObject]) -> Objects:
        """Return these objects, and then some that no other cluster has."""
        return Objects([*self.parts, *Objects.of(objects).parts])

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __iter__(self) -> Iterator[BuiltObject]:
        return itertools.chain.from_iterable(self.parts)

    @overload
    def __getitem__(self, index: int) -> BuiltObject: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[BuiltObject]: ...

    def __getitem__(self, index: int | slice) -> BuiltObject | Sequence[BuiltObject]:
        return list(self)[index]

    def where(self, test: Test) -> Sequence[BuiltObject]:
        """Return the objects whose manifests pass a test."""
        # Further parts may come.
        key = (test, len(self.parts))
        if key not in self._passing:
            found = [built for part in self.parts for built in part.where(test)]
            self._passing[key] = found
        return self._passing[key]

    def of_kinds(self, *kinds: str) -> list[BuiltObject]:
        """Return the objects of some kinds, of any API group."""
        return [built for part in self.parts for built in part.of_kinds(kinds)]

    def answers(self, question: Question) -> Collection[Any]:
        """Return all answers to a question about the manifests."""
        return frozenset[Any]().union(*(part.answers(question) for part in self.parts))


def distinct(clusters: Iterable[Objects]) -> Iterator[BuiltObject]:
    """Yield one object for each manifest of clusters, of those that they share only one."""
    lists: set[object] = set()
    manifests: set[int] = set()
    for part in _parts(clusters):
        found: Iterable[BuiltObject] = part
        if isinstance(part, SharedPart):
            found = part.own.values() if part.key in lists else part
            lists.add(part.key)
        for built in found:
            if id(built.manifest) not in manifests:
                manifests.add(id(built.manifest))
                yield built


def having(clusters: Iterable[Objects], manifests: Collection[int]) -> Iterator[BuiltObject]:
    """Yield the objects of clusters that have manifests with these numbers in memory."""
    indexes: dict[object, list[int]] = {}
    for part in _parts(clusters) if manifests else ():
        if isinstance(part, OwnPart):
            yield from (built for built in part.objects if id(built.manifest) in manifests)
            continue
        if part.key not in indexes:
            indexes[part.key] = [
                index for index, item in enumerate(part.manifests) if id(item) in manifests
            ]
        yield from part.having(manifests, indexes[part.key])


def _parts(clusters: Iterable[Objects]) -> Iterator[Part]:
    return (part for found in clusters for part in found.parts)
