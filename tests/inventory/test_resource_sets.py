"""The objects that ResourceSets make, and those that only the cluster knows."""

from __future__ import annotations

import pytest

from fleet.inventory import resource_sets
from fleet.inventory.built_object import BuiltObject
from fleet.kube import yaml_reader
from tests.support import manifest

TEMPLATE = """
  resources:
    - apiVersion: v1
      kind: ConfigMap
      metadata: {name: "<< inputs.team >>", namespace: apps}
      data: {text: "team << inputs.team >>", port: << inputs.port >>}
"""
TEAMS = "  inputs: [{team: a, port: 80}, {team: b, port: 'true'}]\n"
KIND = "  resources: [{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}]\n"


def made(spec: str, kind: str = "ResourceSet") -> tuple[list[BuiltObject], list[str]]:
    """Return what an object of the operator makes, and the findings."""
    text = manifest("fluxcd.controlplane.io/v1", kind, "set", "apps", f"spec:\n{spec}")
    (content,) = yaml_reader.documents(text)
    objects, findings = resource_sets.made_by(BuiltObject(path="apps", manifest=content))
    return list(objects), [finding.problem for finding in findings]


def test_an_object_for_each_input() -> None:
    objects, problems = made(TEAMS + TEMPLATE)
    assert problems == []
    assert [built.name for built in objects] == ["a", "b"]
    assert [built.manifest["data"] for built in objects] == [
        {"text": "team a", "port": 80},
        # As in the operator, the text goes into YAML, in which it may be something else.
        {"text": "team b", "port": True},
    ]
    assert all(built.made_by and built.path == "apps" for built in objects)


def test_a_template_without_inputs() -> None:
    objects, problems = made(KIND)
    assert ([built.name for built in objects], problems) == (["a"], [])


def test_steps_and_a_template_of_several_documents() -> None:
    documents = (f"        {{kind: {kind}, metadata: {{name: a}}}}\n" for kind in "AB")
    text = "|\n" + "        ---\n".join(documents)
    objects, problems = made(f"  steps:\n    - resourcesTemplate: {text}")
    assert ([built.kind for built in objects], problems) == (["A", "B"], [])


def test_objects_that_are_made_twice_or_switched_off() -> None:
    off = "metadata: {name: b, annotations: {fluxcd.controlplane.io/reconcile: disabled}}"
    spec = KIND.replace("}]", "}, {kind: ConfigMap, " + off + "}]")
    objects, problems = made(f"  inputs: [{{x: 1}}, {{x: 2}}]\n{spec}")
    assert ([built.name for built in objects], problems) == (["a"], [])


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            f"  inputsFrom: [{{kind: ResourceSetInputProvider}}]\n{KIND}",
            "has inputs from elsewhere",
        ),
        (TEMPLATE, "has no plain input port"),
        (f"  inputs: [{{team: [a], port: 1}}]\n{TEMPLATE}", "has no plain input team"),
        (
            TEAMS + TEMPLATE.replace("<< inputs.port >>", "<< inputs.port | quote >>"),
            "is a template with more than plain inputs",
        ),
        (
            "  inputs: [{team: a, port: '{'}]\n" + TEMPLATE,
            "is a template that makes no plain YAML",
        ),
    ],
)
def test_what_only_the_cluster_knows(spec: str, problem: str) -> None:
    assert made(spec) == ([], [f"{problem}, so only the cluster knows what it makes"])


def test_an_instance_makes_flux_itself() -> None:
    spec = "  distribution: {version: 2.x}\n  kustomize: {patches: [{patch: a}, {patch: b}]}\n"
    problem = "installs Flux 2.x with 2 patches, which is in no file here"
    assert made(spec, "FluxInstance") == ([], [problem])


def test_other_objects_make_nothing() -> None:
    assert made(KIND, "ResourceSetInputProvider") == ([], [])
