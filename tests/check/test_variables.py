"""The rules about variables, each with the file, the line and the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from fleet.check.run import check_stacks
from fleet.config import load
from tests.check.support import flux_kustomization
from tests.support import definition, manifest, stack_file, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

OFF = "annotate the object with kustomize.toolkit.fluxcd.io/substitute: disabled"
SCRIPT = "data:\n  run.sh: |\n    #!/bin/sh\n    echo {}\n"


def config_map(data: str, metadata: str = "") -> str:
    return manifest("v1", "ConfigMap", "a", "common", metadata + data)


def check(root: Path, data: str, facts: Mapping[str, str], metadata: str = "") -> list[str]:
    """Return what is found about apps/a in clusters with these facts, as texts in YAML."""
    write(root, definition("apps/a", config_map(data, metadata)))
    for stack, texts in facts.items():
        text = stack_file(stack, infrastructure="namespaces/common", apps="a")
        text += f"  fleet:facts: {texts}\n" if texts else ""
        write(root, {f"Pulumi.{stack}.yaml": text})
    return lines(root)


def lines(root: Path) -> list[str]:
    stacks = [(stack, None) for stack in load.stacks(root)]
    report = check_stacks(root, stacks, lambda _: None)
    return [*map(str, report.findings), *report.unused]


def test_a_fact_that_only_one_cluster_has(checkout: Path) -> None:
    data = "data: {host: 'a.${domain}', zone: '${zone:=none}'}\n"
    found = check(checkout, data, {"dev": "{domain: d, zone: z}", "prod": "{zone: z}"})
    assert found == [
        "apps/a/resource.yaml:6: ConfigMap common/a: ${domain} has no value in clusters/prod; "
        "set it in Pulumi.prod.yaml, or give it a default"
    ]


def test_a_fact_in_a_cluster_without_facts(checkout: Path) -> None:
    found = check(checkout, "data: {host: '${domain}'}\n", {"dev": "{domain: d}", "prod": ""})
    assert found == [
        "apps/a/resource.yaml:6: ConfigMap common/a: ${domain} is a fact that clusters/prod "
        "does not have; set it in Pulumi.prod.yaml"
    ]


def test_a_default_for_all_is_used_if_one_cluster_uses_it(checkout: Path) -> None:
    shared = (checkout / "Pulumi.yaml").read_text()
    default = "  fleet:facts: {value: {domain: d}}\n"
    write(checkout, {"Pulumi.yaml": shared.replace("config:\n", f"config:\n{default}")})
    data = "data: {host: 'a.${domain}'}\n"
    assert check(checkout, data, {"dev": "", "prod": "{domain: p}"}) == []


def test_a_fact_that_nothing_uses(checkout: Path) -> None:
    data = "data: {host: '${domain}'}\n"
    assert check(checkout, data, {"dev": "{domain: d, region: r}"}) == [
        "Pulumi.dev.yaml:5: fleet:facts.region: nothing uses it; remove it"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${HOME}", f"has no value in clusters/dev; set it in fleet:facts, or if it is meant as a text, {OFF}"),  # noqa: E501 - one line
        ("${HOME:-/}", "is in a text of several lines, and Flux replaces it in clusters/dev though no cluster has the fact HOME; set it in fleet:facts, or if it is meant as a text, " + OFF),  # noqa: E501 - one line
        ("${a[@]}", f"is no variable that Flux can read in clusters/dev; correct it, or if it is meant as a text, {OFF}"),  # noqa: E501 - one line
    ],
)  # fmt: skip
def test_a_script_with_variables_of_its_own(text: str, said: str, checkout: Path) -> None:
    facts = {"dev": "{domain: d}"}
    found = check(checkout, SCRIPT.format(f"{text} $${{domain}}"), facts)
    place = "apps/a/resource.yaml:9: ConfigMap common/a"
    assert found[0] == f"{place}: {text} {said}"


def test_a_script_without_facts_or_with_the_annotation(checkout: Path) -> None:
    script = SCRIPT.format("${HOME} ${a[@]}")
    assert check(checkout, script, {"dev": ""}) == []
    off = "  annotations: {kustomize.toolkit.fluxcd.io/substitute: disabled}\n"
    (unused,) = check(checkout, script, {"dev": "{domain: d}"}, off)
    assert unused.endswith("fleet:facts.domain: nothing uses it; remove it")
    assert check(checkout, SCRIPT.format("$${HOME} ${domain}"), {"dev": "{domain: d}"}) == []


def test_a_flux_kustomization_that_takes_no_facts(checkout: Path) -> None:
    nested = flux_kustomization("nested", "", path="./apps/b")
    write(checkout, definition("apps/b", config_map("data: {host: '${domain}'}\n")))
    write(checkout, definition("apps/a", nested))
    text = stack_file("dev", apps="a") + "  fleet:facts: {domain: d}\n"
    write(checkout, {"Pulumi.dev.yaml": text})
    (found, _) = lines(checkout)
    assert found.startswith(
        "apps/b/resource.yaml:6: ConfigMap common/a: ${domain} is a fact, and the Flux "
        "Kustomization that applies the object in clusters/dev takes none; add ConfigMap "
        "cluster-facts to its postBuild.substituteFrom, or "
    )
