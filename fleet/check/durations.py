"""The rule about durations, which the API server takes at any length."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fleet.check.rules import Rule, finds
from fleet.inventory.built_object import is_of_flux
from fleet.inventory.finding import Finding
from fleet.inventory.objects import Objects
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import Manifest
from fleet.kube.once import once_for_each

_PART = re.compile(r"([0-9]+)(\.[0-9]+)?(ms|s|m|h)")
_DURATION = re.compile(rf"({_PART.pattern})+")
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
# Go counts nanoseconds in 64 bits.
_LONGEST = 2562047 * _MILLISECONDS["h"]


@finds(Rule.DURATION)
def too_long_durations(objects: Objects) -> Iterator[Finding]:
    """Rule: no duration of a Flux object is longer than Go can hold.

    With one such object, its controller can list no object of that kind any more. Everything of
    that kind stands still, and no commit can mend it.
    """
    for built in objects.where(is_of_flux):
        for text in _too_long(built.manifest):
            yield built.finding(f"duration {text[:20]} is longer than Go can hold; shorten it")


@once_for_each
def _too_long(manifest: Manifest) -> list[str]:
    spec = mapping_at(manifest, "spec")
    # The values of a chart are no durations of Flux.
    fields = {key: value for key, value in spec.items() if key != "values"}
    return [text for text in dict.fromkeys(_texts(fields)) if _is_too_long(text)]


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _is_too_long(text: str) -> bool:
    if not _DURATION.fullmatch(text):
        return False
    parts = [(match[1].lstrip("0"), match[3]) for match in _PART.finditer(text)]
    # Python reads no number of some thousand digits.
    if any(len(digits) > 16 for digits, _ in parts):
        return True
    return sum(int(digits or "0") * _MILLISECONDS[unit] for digits, unit in parts) > _LONGEST
