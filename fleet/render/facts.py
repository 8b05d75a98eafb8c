"""Cluster facts: texts that differ from cluster to cluster, and that Flux puts into definitions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fleet.config.models import Stack
from fleet.kube import yaml_reader
from fleet.kube.fields import mapping_at
from fleet.kube.manifest import Manifest
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.kube.yaml_writer import to_yaml
from fleet.render import header

CONFIG_MAP = "cluster-facts"
# No definition needs this variable. It changes the Flux Kustomization of a stage whenever a fact
# changes. So a stage that is ready as it is now has applied the facts as they are now: Flux applies
# the ConfigMap before the stages.
CHECKSUM = "cluster_facts_sha256"
# Other Flux Kustomizations may take the facts too, and need no change of their own to see new ones.
_WATCHED: Mapping[str, str] = {"reconcile.fluxcd.io/watch": "Enabled"}


def of_stack(stack: Stack) -> dict[str, str]:
    """Return the facts of a cluster by name, with those that fleet sets; none without any."""
    if not stack.config.facts:
        return {}
    own = {"cluster": stack.name, "environment": stack.environment}
    return dict(sorted((own | stack.config.facts).items()))


def config_map(facts: Mapping[str, str]) -> Manifest:
    """Return the ConfigMap that the stages take their facts from."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP, "namespace": FLUX_NAMESPACE, "labels": dict(_WATCHED)},
        "data": dict(facts),
    }


def post_build(facts: Mapping[str, str]) -> dict[str, Any]:
    """Return the field of a stage's Flux Kustomization that makes Flux put facts into it."""
    return {
        "substitute": {CHECKSUM: checksum(facts)},
        "substituteFrom": [{"kind": "ConfigMap", "name": CONFIG_MAP}],
    }


def texts_to_commit(stack: Stack, former: str | None, new: str) -> list[str]:
    """Return the texts that the file of the facts gets, one after the other.

    Definitions that use a fact go after the fact comes and before it goes. So a file that loses
    facts has them once more, until the definitions that use them have gone.
    """
    lost = _data(former).keys() - _data(new).keys() if former else set[str]()
    if not lost:
        return [new]
    kept = dict(sorted((_data(former) | _data(new)).items()))
    return [header.with_header(stack.file, to_yaml(config_map(kept))), new]


def of_cluster(texts: Mapping[str, str], file: str, name: str) -> dict[str, str]:
    """Return the texts of a tree's files, without their headers, for a cluster of another name.

    `file` is the one with the facts.
    """
    former = _data(texts.get(file))
    if not former:
        return dict(texts)
    new = {**former, "cluster": name}
    sums = checksum(former), checksum(new)
    return {path: text.replace(*sums) for path, text in texts.items()} | {
        file: to_yaml(config_map(new))
    }


def _data(text: str | None) -> dict[str, str]:
    try:
        found = yaml_reader.documents(text or "")
    except ValueError:
        return {}
    data = mapping_at(found[0], "data") if found and isinstance(found[0], dict) else {}
    return {str(name): str(value) for name, value in data.items()}


def checksum(facts: Mapping[str, str]) -> str:
    """Return a text that changes with the facts."""
    return hashlib.sha256(json.dumps(dict(sorted(facts.items()))).encode()).hexdigest()
