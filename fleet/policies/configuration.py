"""The settings of a cluster's own Kyverno that keep objects from its policies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from fleet.inventory.built_object import BuiltObject
from fleet.kube.fields import Fields, mapping_at, mappings_in
from fleet.policies import selectors
from fleet.policies.selectors import Labels

# Kyverno's chart gives this label to everything that it brings.
_OF_KYVERNO = ("app.kubernetes.io/part-of", "kyverno")
_FILTER = re.compile(r"\[([^\]]*)\]")
# Arguments of Kyverno's controllers.
_SWITCH = "enablePolicyException"
_NAMESPACE = "exceptionNamespace"
_VERSION = re.compile(r"v\d\w*")


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """The filters of Kyverno's ConfigMap, as (kind, namespace, name), and the webhooks' selectors.

    Without a ConfigMap in the tree nothing is kept from the policies.
    """

    filters: Sequence[tuple[str, str, str]] = ()
    namespace_selector: Fields | None = None
    object_selector: Fields | None = None
    has_exceptions: bool = True
    # The only namespace whose exceptions count, empty if all do.
    exception_namespace: str = ""

    def is_filtered(self, built: BuiltObject, namespace_labels: Labels) -> bool:
        """Tell whether Kyverno leaves an object alone."""
        if not (self.filters or self.namespace_selector or self.object_selector):
            return False
        place = built.namespace or ""
        if any(
            fnmatchcase(built.kind, kind)
            and fnmatchcase(place, namespace)
            and fnmatchcase(built.name, name)
            for kind, namespace, name in self.filters
        ):
            return True
        own = mapping_at(built.metadata, "labels")
        # A namespace selector selects a Namespace by its own labels.
        labels = own if built.kind == "Namespace" and not built.group else namespace_labels
        by_namespace = self.namespace_selector or {}
        has_namespace = bool(place) or built.kind == "Namespace"
        return (has_namespace and not selectors.matches(by_namespace, labels)) or (
            not selectors.matches(self.object_selector or {}, own)
        )

    def counts(self, exception: BuiltObject) -> bool:
        """Tell whether Kyverno heeds an exception."""
        is_there = self.exception_namespace in ("", exception.namespace)
        return self.has_exceptions and is_there


def is_part_of_kyverno(built: BuiltObject) -> bool:
    """Tell whether an object is one of those that install Kyverno."""
    key, value = _OF_KYVERNO
    return bool(mapping_at(built.metadata, "labels").get(key) == value)


def of_objects(own: Sequence[BuiltObject]) -> Configuration:
    """Return the configuration among the objects that install Kyverno in a cluster."""
    data = [
        mapping_at(built.manifest, "data")
        for built in own
        if built.kind == "ConfigMap" and "resourceFilters" in mapping_at(built.manifest, "data")
    ]
    arguments = dict(
        argument.removeprefix("--").split("=", 1)
        for built in own
        if built.kind == "Deployment"
        for argument in _arguments(built)
        if "=" in argument
    )
    webhooks = _webhooks(data[0].get("webhooks")) if data else {}
    return Configuration(
        filters=[*_filters(str(data[0]["resourceFilters"]))] if data else [],
        namespace_selector=mapping_at(webhooks, "namespaceSelector"),
        object_selector=mapping_at(webhooks, "objectSelector"),
        has_exceptions=arguments.get(_SWITCH) != "false",
        exception_namespace=arguments.get(_NAMESPACE, "").replace("*", ""),
    )


def _arguments(built: BuiltObject) -> Iterator[str]:
    for container in mappings_in(mapping_at(built.spec, "template", "spec").get("containers")):
        arguments = container.get("args")
        yield from map(str, arguments if isinstance(arguments, list) else [])


def _webhooks(text: object) -> Fields:
    try:
        content = json.loads(str(text))
    except ValueError:
        return {}
    # Older versions have a list with one item.
    return mapping_at(content[0] if isinstance(content, list) and content else content)


def _filters(text: str) -> Iterator[tuple[str, str, str]]:
    for found in _FILTER.findall(text):
        kind, namespace, name = [*(part.strip() for part in found.split(",")), "", "*", "*"][:3]
        selected = _kind(kind)
        if selected:
            yield selected, namespace or "*", name or "*"


def _kind(text: str) -> str:
    """Return the pattern of a kind, an empty text for one that stands for subresources only."""
    parts = text.split("/")
    if _VERSION.fullmatch(parts[0]):
        parts = parts[1:]
    elif len(parts) > 2:
        parts = parts[2:]
    is_whole = len(parts) == 1 or parts[1:] == ["*"]
    return parts[0] if is_whole else ""
