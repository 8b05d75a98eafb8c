"""Access to the parts of a manifest that may be malformed: a part of a wrong type counts as absent.

Schema validation reports the malformed parts, so that no other rule has to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# A part of a manifest, such as its spec or one container.
Fields = Mapping[str, Any]


def mapping_at(content: object, *keys: str) -> Fields:
    """Return the mapping at a path of keys, empty if there is none."""
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}


def mappings_in(value: object) -> list[Fields]:
    """Return the mappings among the items of a list, none if `value` is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def values_at(content: object, path: str) -> Iterator[Any]:
    """Yield the values at a path, without null; `a[].b` looks into each item of the list a."""
    key, _, rest = path.partition(".")
    found = content.get(key.removesuffix("[]")) if isinstance(content, dict) else None
    for value in found if key.endswith("[]") and isinstance(found, list) else [found]:
        if value is not None:
            yield from values_at(value, rest) if rest else (value,)
