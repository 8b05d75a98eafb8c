"""The reasons why a policy cannot be judged from files alone.

Kyverno's command line would answer such questions from the objects at hand, or with nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from fleet.kube.fields import Fields, mapping_at, mappings_in

_ASKS_WHO = "it asks who makes the request"
_ASKS_CLUSTER = "it looks something up that only a cluster can answer"
ASKS_REGISTRY = "it asks registries for images, and nothing here uses the network"
_CHANGES = "it gives another answer each time"
_UPDATES_ONLY = "it has no rule for the operation CREATE"
# Functions of CEL that Kyverno's libraries have: https://kyverno.io/docs/policy-types/cel-libraries
_LOOKUP = re.compile(
    r"(?<![\w.])(resource|http|globalContext|image[dD]ata)\s*\.\s*"
    r"(get|list|post|client|toGVR|getMetadata)\s*\(",
    re.IGNORECASE,
)
_WHO = re.compile(
    r"request\s*(\.\s*\??\s*userInfo|\[\??\s*\\?[\"']userInfo)|(?<![\w.])authorizer\b"
)
_CHANGING = re.compile(r"(?<![\w.])(time\.now|now|random(\.random)?)\s*\(")
# Variables and functions of JMESPath in the older kinds.
_OLDER_WHO = re.compile(
    r"\{\{[^}]*(request\.(userInfo|roles|clusterRoles)|serviceAccountName(space)?)"
)
_OLDER_CHANGING = re.compile(r"\{\{[^}]*(time_now|time_now_utc|random)\s*\(")
_WHO_KEYS = ("subjects", "roles", "clusterRoles")


def of_cel(spec: Fields) -> Iterator[str]:
    """Yield the reasons for a policy that is written in CEL."""
    text = json.dumps(spec, default=str)
    if _LOOKUP.search(text):
        yield _ASKS_CLUSTER
    if _WHO.search(text):
        yield _ASKS_WHO
    if _CHANGING.search(text):
        yield _CHANGES
    rules = mappings_in(mapping_at(spec, "matchConstraints").get("resourceRules"))
    operations = [
        str(operation)
        for rule in rules
        if _names_whole_objects(rule) and isinstance(rule.get("operations"), list)
        for operation in rule["operations"]
    ]
    if operations and not {"CREATE", "*"} & {*operations}:
        yield _UPDATES_ONLY


def _names_whole_objects(rule: Fields) -> bool:
    names = rule.get("resources")
    return isinstance(names, list) and any("/" not in str(name) for name in names)


def of_rule(rule: Fields) -> str:
    """Return the reason for a rule of a ClusterPolicy or Policy, an empty text if there is none."""
    text = json.dumps(rule, default=str)
    if mappings_in(rule.get("verifyImages")) or mapping_at(rule, "validate", "manifests"):
        return ASKS_REGISTRY
    if any(_asks_cluster(entry) for entry in _contexts(rule)) or _has_parameters(rule):
        return _ASKS_CLUSTER
    if _OLDER_WHO.search(text) or _has_key(rule, _WHO_KEYS) or _WHO.search(text):
        return _ASKS_WHO
    if _OLDER_CHANGING.search(text):
        return _CHANGES
    return ""


def _contexts(content: object) -> Iterator[Fields]:
    """Yield the entries of all contexts in a rule, also in those of its loops."""
    if isinstance(content, list):
        for item in content:
            yield from _contexts(item)
    elif isinstance(content, dict):
        for name, value in content.items():
            yield from mappings_in(value) if name == "context" else _contexts(value)


def _asks_cluster(entry: Fields) -> bool:
    return any(key not in ("name", "variable") for key in entry)


def _has_parameters(rule: Fields) -> bool:
    return bool(mapping_at(rule, "validate", "cel", "paramKind"))


def _has_key(rule: Fields, names: tuple[str, ...]) -> bool:
    """Tell whether the match or the exclusion of a rule has one of some keys."""
    filters = [
        part
        for side in ("match", "exclude")
        for part in (
            mapping_at(rule, side),
            *mappings_in(mapping_at(rule, side).get("any")),
            *mappings_in(mapping_at(rule, side).get("all")),
        )
    ]
    return any(part.get(name) for part in filters for name in names)
