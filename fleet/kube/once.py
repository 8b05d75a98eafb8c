"""Results about objects that many clusters share, each computed once.

An object never changes, so its number in memory stands for its content as long as it is kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TypeVar

from fleet.kube.manifest import Manifest, object_id

_Result = TypeVar("_Result")
# A program that runs for long, such as the tests, would keep all objects for ever.
_MAX_KEPT = 2**18


def once_for_each(compute: Callable[[Manifest], _Result]) -> Callable[[Manifest], _Result]:
    """Return a function with the results of `compute`, which is called once for each object."""
    known: dict[int, tuple[Manifest, _Result]] = {}

    @functools.wraps(compute)
    def result_of(manifest: Manifest) -> _Result:
        try:
            return known[id(manifest)][1]
        except KeyError:
            found = compute(manifest)
            if len(known) >= _MAX_KEPT:
                known.clear()
            # The object is kept too, so that no other one gets its number.
            known[id(manifest)] = (manifest, found)
            return found

    return result_of


# Returns the identity of an object.
id_of = once_for_each(object_id)


def distinct(manifests: Iterable[Manifest]) -> list[Manifest]:
    """Return the objects in their order, those that are shared only once."""
    return list({id(manifest): manifest for manifest in manifests}.values())
