"""Between Pulumi's property values and plain data, with secrets kept secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pulumi.provider.experimental.property_value import PropertyValue
from pulumi.runtime.rpc import UNKNOWN

from sandbox.pulumi.kubernetes_plugin.objects import Json, Object

Properties = Mapping[str, PropertyValue]


def plain(properties: Properties) -> Object:
    """Return properties as plain data; whole numbers become int, as Kubernetes wants them."""
    return {key: _plain(value) for key, value in properties.items()}


def has_unknown(properties: Properties) -> bool:
    """Return whether any value is known only after an update (the engine sends a placeholder)."""
    return any(_unknown(value) for value in properties.values())


def to_properties(
    data: Mapping[str, Json], secrets: Properties, *, whole: frozenset[str] = frozenset()
) -> dict[str, PropertyValue]:
    """Return plain data as properties, secret wherever `secrets` is and at the keys in `whole`.

    A list with a secret anywhere inside is secret as a whole: the server may reorder it.
    """
    properties = {}
    for key, value in data.items():
        made = _mark(_property(value), secrets.get(key))
        properties[key] = made.with_secret(True) if key in whole else made
    return properties


def _plain(value: PropertyValue) -> Json:
    inner = value.value
    if isinstance(inner, Mapping):
        return {key: _plain(item) for key, item in inner.items()}
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        return [_plain(item) for item in inner]
    if isinstance(inner, float) and inner.is_integer():
        return int(inner)
    return inner


def _property(value: Json) -> PropertyValue:
    if isinstance(value, Mapping):
        return PropertyValue({key: _property(item) for key, item in value.items()})
    if isinstance(value, Sequence) and not isinstance(value, str):
        return PropertyValue([_property(item) for item in value])
    if isinstance(value, int) and not isinstance(value, bool):
        return PropertyValue(float(value))
    return PropertyValue(value)


def _mark(value: PropertyValue, like: PropertyValue | None) -> PropertyValue:
    if like is None or not like.contains_secret():
        return value
    if like.is_secret or not (isinstance(like.value, Mapping) and isinstance(value.value, Mapping)):
        return value.with_secret(True)
    return PropertyValue(
        {key: _mark(item, like.value.get(key)) for key, item in value.value.items()}
    )


def _unknown(value: PropertyValue) -> bool:
    inner = value.value
    if isinstance(inner, Mapping):
        return any(_unknown(item) for item in inner.values())
    if isinstance(inner, Sequence) and not isinstance(inner, str):
        return any(_unknown(item) for item in inner)
    return inner == UNKNOWN
