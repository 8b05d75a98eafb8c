"""Test the properties of a built object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from fleet.check import schemas
from fleet.config import load
from fleet.inventory.built_object import BuiltObject, plural
from fleet.render import flux_release
from tests.support import REPOSITORY


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({"kind": "A", "metadata": {"name": "b", "namespace": "c"}}, "A c/b"),
        ({"kind": "A", "metadata": {"name": "b"}}, "A b"),
        ({}, "object without kind "),
        ({"metadata": "odd"}, "object without kind "),
    ],
)
def test_display_name(content: dict[str, Any], name: str) -> None:
    assert BuiltObject(path="clusters/dev", manifest=content).display_name == name


# The plurals that are more than the kind and an s, written out so that the test is independent.
PLURALS: Mapping[str, str] = {
    "backendtlspolicy": "backendtlspolicies",
    "cleanuppolicy": "cleanuppolicies",
    "clustercleanuppolicy": "clustercleanuppolicies",
    "clusterpolicy": "clusterpolicies",
    "componentstatus": "componentstatuses",
    "csistoragecapacity": "csistoragecapacities",
    "deletingpolicy": "deletingpolicies",
    "deviceclass": "deviceclasses",
    "endpoints": "endpoints",
    "gatewayclass": "gatewayclasses",
    "generatingpolicy": "generatingpolicies",
    "gitrepository": "gitrepositories",
    "globalcontextentry": "globalcontextentries",
    "helmrepository": "helmrepositories",
    "imagevalidatingpolicy": "imagevalidatingpolicies",
    "ingress": "ingresses",
    "ingressclass": "ingressclasses",
    "ipaddress": "ipaddresses",
    "mutatingadmissionpolicy": "mutatingadmissionpolicies",
    "mutatingpolicy": "mutatingpolicies",
    "namespaceddeletingpolicy": "namespaceddeletingpolicies",
    "namespacedgeneratingpolicy": "namespacedgeneratingpolicies",
    "namespacedimagevalidatingpolicy": "namespacedimagevalidatingpolicies",
    "namespacedmutatingpolicy": "namespacedmutatingpolicies",
    "namespacedvalidatingpolicy": "namespacedvalidatingpolicies",
    "networkpolicy": "networkpolicies",
    "ocirepository": "ocirepositories",
    "policy": "policies",
    "priorityclass": "priorityclasses",
    "runtimeclass": "runtimeclasses",
    "storageclass": "storageclasses",
    "validatingadmissionpolicy": "validatingadmissionpolicies",
    "validatingpolicy": "validatingpolicies",
    "volumeattributesclass": "volumeattributesclasses",
}


def test_plurals_of_all_kinds() -> None:
    named = {file.name.rpartition("_")[0] for file in schemas.folder().rglob("*.json")}
    # These are answers of the API, not objects.
    kinds = named - {"status", "apiversions", "apigroup"}
    assert {"gateway", "httproute", "deployment", "kustomization", *PLURALS} <= kinds
    for kind in kinds:
        assert plural(kind) == PLURALS.get(kind, f"{kind}s")


def test_plurals_as_crds_say() -> None:
    stack = load.stack(REPOSITORY, "dev")
    text = flux_release.read_for_review(stack.config.flux, REPOSITORY)
    documents = yaml.load_all(text, Loader=yaml.CSafeLoader)
    names = [
        item["spec"]["names"]
        for item in documents
        if item and item["kind"] == "CustomResourceDefinition"
    ]
    assert len(names) > 8
    for name in names:
        assert plural(name["kind"]) == name["plural"]
