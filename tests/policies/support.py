"""Clusters with policies, without a checkout, and a Kyverno that tests write themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fleet.inventory import build
from fleet.inventory.build import ClusterBuild
from fleet.inventory.built_object import BuiltObject
from fleet.inventory.objects import Objects
from fleet.kube.manifest import Manifest
from fleet.policies.batches import Run
from fleet.policies.outcome import Outcome
from fleet.policies.policy import Policy

CREATE_PODS = {
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "operations": ["CREATE", "UPDATE"],
    "resources": ["pods"],
}


def validating(
    name: str = "a",
    expression: str = "!object.spec.?hostPID.orValue(false)",
    **spec: Any,  # noqa: ANN401 - a part of a manifest
) -> dict[str, Any]:
    """Return a ValidatingPolicy about pods that refuses; `spec` replaces fields of its spec."""
    return {
        "apiVersion": "policies.kyverno.io/v1",
        "kind": "ValidatingPolicy",
        "metadata": {"name": name},
        "spec": {
            "validationActions": ["Deny"],
            "matchConstraints": {"resourceRules": [CREATE_PODS]},
            "validations": [{"expression": expression, "message": "No hostPID."}],
            **spec,
        },
    }


def cluster_policy(
    *rules: Mapping[str, Any],
    **spec: Any,  # noqa: ANN401 - a part of a manifest
) -> dict[str, Any]:
    """Return a ClusterPolicy with these rules; `spec` has more fields of its spec."""
    return {
        "apiVersion": "kyverno.io/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "older"},
        "spec": {"rules": [*rules], **spec},
    }


def rule(name: str = "a", **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - a part of a manifest
    """Return a rule about pods of a ClusterPolicy; `fields` replaces fields."""
    return {
        "name": name,
        "match": {"any": [{"resources": {"kinds": ["Pod"]}}]},
        "validate": {"message": "No.", "pattern": {"spec": {"=(hostPID)": "false"}}},
        **fields,
    }


def pod(name: str = "pod", namespace: str = "common", **spec: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a Pod; `spec` has more fields of its spec."""
    containers = [{"name": "a", "image": "registry.example.com/a:1"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": containers, **spec},
    }


def deployment(name: str = "web", namespace: str = "common", **spec: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a Deployment; `spec` has more fields of the spec of its pods."""
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": pod(**spec)["spec"]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def namespace(name: str, **labels: str) -> dict[str, Any]:
    """Return a Namespace."""
    metadata = {"name": name, **({"labels": labels} if labels else {})}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def built(manifest: Manifest, **fields: Any) -> BuiltObject:  # noqa: ANN401 - fields of the object
    """Return an object of the Kustomization flux-system/apps."""
    return BuiltObject(
        path="clusters/dev/apps", manifest=manifest, applied_by="flux-system/apps", **fields
    )


def cluster(root: Path, *objects: Manifest | BuiltObject) -> ClusterBuild:
    """Return a cluster with these objects."""
    repository = build.Repository(root=root, copy=root, definitions=None, entries=None)  # type: ignore[arg-type]
    found = [item if isinstance(item, BuiltObject) else built(item) for item in objects]
    return ClusterBuild(repository=repository, objects=Objects.of(found))


class WrittenKyverno:
    """A Kyverno that refuses every object whose pods use the PIDs of their node."""

    identity = "written"

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def judge(self, run: Run) -> Mapping[tuple[str, int], Sequence[Outcome]]:
        """Return the outcomes, and remember the run."""
        self.runs.append(run)
        return {
            (policy.key, number): self._outcomes(policy, subject.manifest)
            for policy in run.policies
            for number, subject in enumerate(run.subjects)
        }

    def _outcomes(self, policy: Policy, manifest: Manifest) -> list[Outcome]:
        spec = manifest["spec"].get("template", manifest)["spec"]
        name = policy.spec["rules"][0]["name"] if policy.is_older else ""
        return [Outcome(name, "fail" if spec.get("hostPID") else "pass", "No hostPID.")]
