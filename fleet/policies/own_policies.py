"""The policies that a cluster's own tree brings, with the exceptions and filters of its Kyverno."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from fleet.inventory.build import ClusterBuild
from fleet.inventory.built_object import BuiltObject
from fleet.kube.manifest import Manifest
from fleet.kube.once import once_for_each
from fleet.policies import configuration, policy, subject
from fleet.policies.configuration import Configuration
from fleet.policies.policy import CEL_GROUP, MUTATING, OLDER_GROUP, Policy
from fleet.policies.subject import Namespaces


@dataclass(frozen=True, kw_only=True)
class OwnPolicy:
    """A policy, and the object of the cluster that it is."""

    policy: Policy
    built: BuiltObject


@dataclass(frozen=True, kw_only=True)
class OwnPolicies:
    """All policies of a cluster, and what else decides about their results.

    Those in `mutating` change objects before the policies see them.
    """

    policies: Sequence[OwnPolicy] = ()
    mutating: Sequence[BuiltObject] = ()
    objects: Sequence[BuiltObject] = ()
    namespaces: Namespaces = field(default_factory=lambda: Namespaces(by_name={}))
    configuration: Configuration = field(default_factory=Configuration)


def of_cluster(cluster: ClusterBuild, known: dict[object, Policy]) -> OwnPolicies:
    """Return the policies of a cluster. `known` has those of other clusters, which may be equal."""
    # Without a trace of Kyverno, helm need not run.
    if not any(_names_kyverno(built.manifest) for built in cluster.objects):
        return OwnPolicies()
    objects = cluster.all_objects
    found = [built for built in objects if policy.is_policy(built)]
    if not found:
        return OwnPolicies()
    settings = configuration.of_objects(objects)
    exceptions = [
        built.manifest
        for built in objects
        if built.kind == "PolicyException" and built.group in (CEL_GROUP, OLDER_GROUP)
    ]
    return OwnPolicies(
        policies=[
            OwnPolicy(
                policy=_policy(built, exceptions if settings.has_exceptions else (), known),
                built=built,
            )
            for built in found
        ],
        mutating=[
            built for built in objects if built.group == CEL_GROUP and built.kind in MUTATING
        ],
        objects=objects,
        namespaces=subject.namespaces_of(objects),
        configuration=settings,
    )


def _policy(
    built: BuiltObject, exceptions: Iterable[Manifest], known: dict[object, Policy]
) -> Policy:
    own = [found for found in exceptions if policy.is_excepted(found, built.manifest)]
    key = (id(built.manifest), *map(id, own))
    if key not in known:
        # The policy keeps its manifests, so that no other one gets their numbers.
        known[key] = Policy(manifest=built.manifest, exceptions=own)
    return known[key]


@once_for_each
def _names_kyverno(manifest: Manifest) -> bool:
    """Tell whether an object is one of Kyverno's kinds, or may make Flux install some."""
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    if group in (CEL_GROUP, OLDER_GROUP):
        return True
    is_of_flux = group.endswith(".toolkit.fluxcd.io")
    return is_of_flux and "kyverno" in json.dumps(manifest, default=str).lower()
