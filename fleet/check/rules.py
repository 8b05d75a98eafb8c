"""The rules of `fleet check`, each with the name that findings and SARIF have for it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import ParamSpec

from fleet.inventory.finding import Finding

_Parameters = ParamSpec("_Parameters")


class Rule(str, Enum):
    """The names of the rules. Programs know them, so they stay."""

    FAILED = "check-failed"
    STACK_FILE = "stack-file"
    BUILD = "build"
    SCHEMA = "schema"
    FOLDER_WITHOUT_STACK = "folder-without-stack"
    EDITED_TREE = "edited-tree"
    HAND_WRITTEN = "hand-written-in-clusters"
    IMPLICIT_MEMBERSHIP = "implicit-membership"
    OVERLAY_FOR_ABSENCE = "overlay-for-absence"
    DUPLICATE_OBJECT = "duplicate-object"
    WITHOUT_NAMESPACE = "object-without-namespace"
    MISSING_NAMESPACE = "missing-namespace"
    NOT_DECRYPTED = "not-decrypted"
    DEPENDENCY = "missing-dependency"
    CYCLE = "dependency-cycle"
    ACCOUNT = "missing-account"
    OTHER_NAMESPACE = "source-in-other-namespace"
    SOURCE = "missing-source"
    CHART = "missing-chart"
    CONFIG_MAP = "missing-configmap"
    DURATION = "duration"
    VARIABLE = "variable"
    IMAGE_TAG = "image-tag"
    MOVED_OBJECT = "moved-object"
    POLICY = "policy"
    TENANT = "tenant"


TEXTS = {
    Rule.FAILED: "The check could not be made",
    Rule.STACK_FILE: "A stack file is not valid",
    Rule.BUILD: "A path that Flux applies does not build",
    Rule.SCHEMA: "An object does not fit the schema of its kind",
    Rule.FOLDER_WITHOUT_STACK: "A folder below clusters/ belongs to no stack",
    Rule.EDITED_TREE: "A generated file below clusters/ was edited by hand",
    Rule.HAND_WRITTEN: "A file below clusters/ was not generated",
    Rule.IMPLICIT_MEMBERSHIP: "A cluster gets definitions that no line names",
    Rule.OVERLAY_FOR_ABSENCE: "An overlay takes away all that its base brings",
    Rule.DUPLICATE_OBJECT: "An object is delivered twice",
    Rule.WITHOUT_NAMESPACE: "An object lacks the namespace that its kind needs",
    Rule.MISSING_NAMESPACE: "A namespace does not exist, or comes too late",
    Rule.NOT_DECRYPTED: "An encrypted object is not decrypted",
    Rule.DEPENDENCY: "A dependency does not exist",
    Rule.CYCLE: "Dependencies wait for each other",
    Rule.ACCOUNT: "A ServiceAccount is not named",
    Rule.OTHER_NAMESPACE: "A source is in another namespace",
    Rule.SOURCE: "A source does not exist",
    Rule.CHART: "A chart does not exist",
    Rule.CONFIG_MAP: "A ConfigMap does not exist",
    Rule.DURATION: "A duration is too long for Flux",
    Rule.VARIABLE: "A variable has no value, or a text would be taken for one",
    Rule.IMAGE_TAG: "An image has no fixed version",
    Rule.MOVED_OBJECT: "An object moves between Flux Kustomizations",
    Rule.POLICY: "A policy of a cluster refuses one of its objects",
    Rule.TENANT: "A cluster refuses what a tenant's repository has",
}


def of_rule(rule: Rule, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield findings with the name of their rule."""
    for finding in findings:
        yield dataclasses.replace(finding, rule=rule.value)


def finds(
    rule: Rule,
) -> Callable[[Callable[_Parameters, Iterable[Finding]]], Callable[_Parameters, Iterator[Finding]]]:
    """Return a decorator that gives all findings of a function the name of a rule."""

    def named(
        find: Callable[_Parameters, Iterable[Finding]],
    ) -> Callable[_Parameters, Iterator[Finding]]:
        @functools.wraps(find)
        def found(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> Iterator[Finding]:
            return of_rule(rule, find(*args, **kwargs))

        return found

    return named
