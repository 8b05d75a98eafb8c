"""Label selectors of Kubernetes, as policies and Kyverno's configuration use them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from fleet.kube.fields import Fields, mapping_at, mappings_in

Labels = Mapping[str, object]


def matches(selector: Fields, labels: Labels) -> bool:
    """Tell whether a selector selects an object with these labels; an empty one selects all."""
    wanted = mapping_at(selector, "matchLabels")
    return all(
        any(fnmatchcase(key, name) and fnmatchcase(str(labels[key]), str(value)) for key in labels)
        for name, value in wanted.items()
    ) and all(
        _is_met(expression, labels) for expression in mappings_in(selector.get("matchExpressions"))
    )


def _is_met(expression: Fields, labels: Labels) -> bool:
    key, operator = str(expression.get("key")), expression.get("operator")
    values = expression.get("values")
    listed = [str(value) for value in values] if isinstance(values, list) else []
    if operator == "In":
        return key in labels and str(labels[key]) in listed
    if operator == "NotIn":
        return key not in labels or str(labels[key]) not in listed
    if operator == "Exists":
        return key in labels
    return operator == "DoesNotExist" and key not in labels


def keys(content: object) -> Iterator[str]:
    """Yield the keys of labels that the namespace selectors anywhere in a content ask for."""
    if isinstance(content, list):
        for item in content:
            yield from keys(item)
    elif isinstance(content, dict):
        for name, value in content.items():
            if name == "namespaceSelector":
                yield from map(str, mapping_at(value, "matchLabels"))
                for expression in mappings_in(mapping_at(value).get("matchExpressions")):
                    yield str(expression.get("key"))
            else:
                yield from keys(value)
