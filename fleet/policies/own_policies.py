"""The policies that a cluster's own tree brings, with the exceptions and filters of its Kyverno."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

from fleet.inventory.build import ClusterBuild
from fleet.inventory.built_object import BuiltObject
from fleet.kube.manifest import Manifest
from fleet.kube.once import once_for_each
from fleet.policies import configuration, policy
from fleet.policies.configuration import Configuration
from fleet.policies.policy import CEL_GROUP, MUTATING, OLDER_GROUP, Policy
from fleet.policies.subject import Namespaces, Views

_JSON = json.JSONEncoder(default=str)


@dataclass(frozen=True, kw_only=True)
class OwnPolicy:
    """A policy, and the object of the cluster that it is."""

    policy: Policy
    built: BuiltObject


@dataclass(frozen=True, kw_only=True)
class OwnPolicies:
    """All policies of a cluster, and what else decides about their results.

    Those in `mutating` change objects before the policies see them, and Kyverno heeds no exception
    in `ignored`.
    """

    policies: Sequence[OwnPolicy] = ()
    mutating: Sequence[BuiltObject] = ()
    ignored: Sequence[BuiltObject] = ()
    objects: Sequence[BuiltObject] = ()
    namespaces: Namespaces = field(default_factory=lambda: Namespaces(by_name={}))
    configuration: Configuration = field(default_factory=Configuration)


class _Role(Enum):
    """The part that an object plays in judging its cluster."""

    POLICY = auto()
    EXCEPTION = auto()
    MUTATING = auto()
    NAMESPACE = auto()
    PART_OF_KYVERNO = auto()
    # Flux may install some of the others because of it.
    MAKER = auto()
    NONE = auto()


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The policies and namespaces of all clusters, of which many are equal."""

    policies: dict[object, Policy] = field(default_factory=dict)
    views: Views = field(default_factory=dict)


def of_cluster(cluster: ClusterBuild, shared: Shared) -> OwnPolicies:
    """Return the policies of a cluster."""
    # Without a trace of Kyverno, helm need not run.
    if not any(cluster.objects.where(_is_trace)):
        return OwnPolicies()
    by_role: dict[_Role, list[BuiltObject]] = {role: [] for role in _Role}
    for built in cluster.all_objects:
        by_role[_role(built.manifest)].append(built)
    found = by_role[_Role.POLICY]
    if not found:
        return OwnPolicies()
    settings = configuration.of_objects(by_role[_Role.PART_OF_KYVERNO])
    exceptions = by_role[_Role.EXCEPTION]
    kept = [built.manifest for built in exceptions if settings.counts(built)]
    return OwnPolicies(
        policies=[OwnPolicy(policy=_policy(built, kept, shared), built=built) for built in found],
        mutating=by_role[_Role.MUTATING],
        ignored=[built for built in exceptions if not settings.counts(built)],
        objects=cluster.all_objects,
        namespaces=Namespaces(
            by_name={built.name: built.manifest for built in by_role[_Role.NAMESPACE]},
            views=shared.views,
        ),
        configuration=settings,
    )


def _policy(built: BuiltObject, exceptions: Iterable[Manifest], shared: Shared) -> Policy:
    own = [found for found in exceptions if policy.is_excepted(found, built.manifest)]
    key = (id(built.manifest), *map(id, own))
    if key not in shared.policies:
        # The policy keeps its manifests, so that no other one gets their numbers.
        shared.policies[key] = Policy(manifest=built.manifest, exceptions=own)
    return shared.policies[key]


def _is_trace(manifest: Manifest) -> bool:
    return _role(manifest) in _TRACES


@once_for_each
def _role(manifest: Manifest) -> _Role:
    built = BuiltObject(path="", manifest=manifest)
    if policy.is_policy(built):
        return _Role.POLICY
    if built.group in (CEL_GROUP, OLDER_GROUP):
        if built.kind == "PolicyException":
            return _Role.EXCEPTION
        is_mutating = built.group == CEL_GROUP and built.kind in MUTATING
        return _Role.MUTATING if is_mutating else _Role.NONE
    if built.kind == "Namespace" and not built.group:
        return _Role.NAMESPACE
    if configuration.is_part_of_kyverno(built):
        return _Role.PART_OF_KYVERNO
    names_kyverno = built.is_of_flux and "kyverno" in _JSON.encode(manifest).lower()
    return _Role.MAKER if names_kyverno else _Role.NONE


_TRACES = (_Role.POLICY, _Role.MAKER)
