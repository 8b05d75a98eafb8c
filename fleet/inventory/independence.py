"""The builds of a list's entries: may they be put together, or must the list be built whole?

In a whole build an entry can change another one. kustomize gives an object a new name or namespace
in everything that refers to it, and some keys of a kustomization hold for all that is above it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from fleet.inventory.manifest_list import ManifestList
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.kube.manifest import Manifest, ObjectId, object_id

# Keys of a kustomization, case-folded, whose effect reaches the list above it, or is unknown.
_REACHES_FURTHER = (
    "nameprefix", "namesuffix", "vars", "configurations", "crds", "openapi", "generators",
    "transformers", "validators", "replacements", "helmcharts",
)  # fmt: skip
# Keys that count only in the folder that a build starts with.
_ONLY_AT_THE_START = ("buildmetadata", "sortoptions")
_GENERATORS = ("configmapgenerator", "secretgenerator")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The objects that kustomize builds from one entry of a list.

    Each ManifestList of them is shared by other entries, and all other `lists` are not.

    In a whole build kustomize would replace the names in `renamed` in other entries, where they
    are among the `texts`. An entry that is a list, built whole, goes together with no other.
    """

    lists: Sequence[Sequence[Manifest]]
    renamed: frozenset[str] = frozenset()
    is_whole: bool = False

    @property
    def manifests(self) -> Sequence[Manifest]:
        """All objects, in their order."""
        return [manifest for found in self.lists for manifest in found]

    @cached_property
    def texts(self) -> frozenset[str]:
        """All texts in the objects."""
        return frozenset(text for manifest in self.manifests for text in _texts(manifest))


def is_separate(contents: Sequence[Fields]) -> bool:
    """Tell whether an entry can be built without its list.

    `contents` are all kustomizations that its build reads, with case-folded keys; that of its own
    folder is the first.
    """
    first = contents[0]
    is_component = first.get("kind") == "Component"
    if is_component or any(first.get(key) for key in _ONLY_AT_THE_START):
        return False
    return not any(_reaches_further(content) for content in contents)


def entry(contents: Sequence[Fields], manifests: Sequence[Manifest]) -> Entry:
    """Return an entry that is built without its list, from the same kustomizations."""
    renamed = {name for content in contents for name in _generated_names(content)}
    if any(content.get("namespace") for content in contents):
        renamed |= {object_id(manifest).name for manifest in manifests}
    return Entry(lists=(ManifestList(manifests),), renamed=frozenset(renamed))


def _reaches_further(content: Fields) -> bool:
    # A patch with options may change the name or the kind of its target.
    has_options = any(mapping_at(patch, "options") for patch in mappings_in(content.get("patches")))
    return has_options or any(content.get(key) for key in _REACHES_FURTHER)


def _generated_names(content: Fields) -> Iterator[str]:
    """Yield the names of generated objects, to which kustomize adds a hash."""
    for key in _GENERATORS:
        for generator in mappings_in(content.get(key)):
            yield str(generator.get("name"))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _versioned_ids(manifests: Sequence[Manifest]) -> Iterable[tuple[str, ObjectId]]:
    if isinstance(manifests, ManifestList):
        return manifests.answers(_versioned_id, ())
    return map(_versioned_id, manifests)


def _versioned_id(manifest: Manifest) -> tuple[str, ObjectId]:
    return str(manifest.get("apiVersion")), object_id(manifest)


def are_independent(entries: Sequence[Entry]) -> bool:
    """Tell whether the builds of the entries, one after the other, are the build of their list."""
    if len(entries) < 2:
        return True
    if any(entry.is_whole for entry in entries):
        return False
    lists = [found for entry in entries for found in entry.lists]
    ids = {found for item in lists for found in _versioned_ids(item)}
    if len(ids) != sum(map(len, lists)):
        # kustomize refuses the list, and says why.
        return False
    all_renamed = frozenset(name for entry in entries for name in entry.renamed)
    if not all_renamed:
        return True
    users = Counter(text for entry in entries for text in entry.texts & all_renamed)
    return all(users[name] <= (name in entry.texts) for entry in entries for name in entry.renamed)
