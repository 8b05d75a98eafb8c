"""Shipped policies, judged by Kyverno's own command line.

`objects/<policy>.yaml` has objects whose names start with the expected result: `good-` passes,
`bad-` fails, `outside-` is not judged. An image's signature cannot be looked up without its
registry, so `unreachable-` shows only that Kyverno loads the policy and selects the image.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.errors import CommandError
from fleet.kube import kustomize
from fleet.kube.manifest import Manifest
from fleet.process import run
from sandbox.build.parts import program
from sandbox.sandbox_error import SandboxError
from tests.support import REPOSITORY, write

pytestmark = pytest.mark.slow

Policy = Mapping[str, Any]
# Result and message by the names of policy and object.
Results = Mapping[tuple[str, str], tuple[str, str]]
Shipped = Mapping[str, Mapping[str, Policy]]
Judge = Callable[[str, str], Results]

OBJECTS = Path(__file__).parent / "objects"
ROLLOUT = REPOSITORY / "infrastructure/policies/kyverno"
ENFORCED = "-enforced"
EXPECTED = {"good": "pass", "bad": "fail", "unreachable": "error", "outside": "none"}
# Nothing listens on this port.
UNREACHABLE = "http://127.0.0.1:9"
VALUES = """\
apiVersion: cli.kyverno.io/v1alpha1
kind: Values
metadata:
  name: values
globalValues:
  request.operation: {operation}
"""
NAMES = sorted(
    content["metadata"]["name"]
    for file in REPOSITORY.glob("infrastructure/policies/**/*.yaml")
    for content in yaml.safe_load_all(file.read_text())
    if content["kind"] != "Kustomization"
)
# A request for a debug container is always an update that adds one.
JUDGED_WHEN_CREATED = [name for name in NAMES if name != "disallow-privileged-debug-containers"]


def _built(folder: Path) -> list[Manifest]:
    return kustomize.manifests(kustomize.build(REPOSITORY, str(folder.relative_to(REPOSITORY))))


@pytest.fixture(scope="module")
def shipped() -> Shipped:
    """Returns the policies of each rollout folder by name."""
    return {
        folder.name: {policy["metadata"]["name"]: policy for policy in _built(folder)}
        for folder in ROLLOUT.iterdir()
    }


@pytest.fixture(scope="module")
def judge(shipped: Shipped, tmp_path_factory: pytest.TempPathFactory) -> Judge:
    """Judges a policy's objects by it and by its enforced form, at one operation."""
    try:
        command = program("kubectl-kyverno")
    except SandboxError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("kyverno")
    policies = {name: policy for found in shipped.values() for name, policy in found.items()}

    @cache
    def results(name: str, operation: str) -> Results:
        forms = [policies[form] for form in (name, name + ENFORCED) if form in policies]
        # The command line cannot send requests for subresources, so it sends the whole pod.
        text = yaml.safe_dump_all(forms).replace("pods/ephemeralcontainers", "pods")
        write(folder, {"policies.yaml": text, "values.yaml": VALUES.format(operation=operation)})
        out = run(
            [
                command, "apply", "policies.yaml", "--resource", OBJECTS / f"{name}.yaml",
                "--values-file", "values.yaml", "--policy-report", "--output-format", "json",
            ],
            timeout=120,
            accept=(0, 1),  # 1 is a failure or an error, told in the report
            cwd=folder,
            env={"HOME": str(folder), "HTTPS_PROXY": UNREACHABLE},
        )  # fmt: skip
        reports = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        return {
            (found["policy"], found["resources"][0]["name"]): (found["result"], found["message"])
            for report in reports
            for found in report["results"]
        }

    return results


def test_every_policy_is_shipped(shipped: Shipped) -> None:
    assert sorted([*shipped["test-only"], *shipped["shared"]]) == NAMES
    assert {name.removesuffix(ENFORCED) for name in shipped["prod"]} <= set(shipped["shared"])


def test_prod_denies_what_the_others_audit(shipped: Shipped) -> None:
    assert shipped["prod"]
    for rollout, policies in shipped.items():
        for name, policy in policies.items():
            action = "Deny" if rollout == "prod" else "Audit"
            assert policy["spec"]["validationActions"] == [action], name
            assert name.endswith(ENFORCED) is (rollout == "prod")


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_judges_its_objects(name: str, shipped: Shipped, judge: Judge) -> None:
    file = OBJECTS / f"{name}.yaml"
    assert file.exists(), f"{file.name}: write an object that passes and one that fails"
    objects = [content["metadata"]["name"] for content in yaml.safe_load_all(file.read_text())]
    assert len(objects) == len(set(objects))
    expected = {each: EXPECTED[each.partition("-")[0]] for each in objects}
    assert "pass" in expected.values()
    assert {"fail", "error"} & set(expected.values())
    found = judge(name, "CREATE" if name in JUDGED_WHEN_CREATED else "UPDATE")
    forms = [name, name + ENFORCED] if name + ENFORCED in shipped["prod"] else [name]
    for form in forms:
        assert {each: found.get((form, each), ("none",))[0] for each in objects} == expected


@pytest.mark.parametrize("name", JUDGED_WHEN_CREATED)
def test_an_update_that_leaves_the_spec_alone_passes(name: str, judge: Judge) -> None:
    """The command line updates each object to itself."""
    assert {result for result, _ in judge(name, "UPDATE").values()} <= {"skip"}


def test_an_image_that_must_be_signed_is_looked_up(judge: Judge) -> None:
    messages = {
        each: message
        for (_, each), (result, message) in judge("require-signed-images", "CREATE").items()
        if result == "error"
    }
    registries = {
        "unreachable-podinfo": "https://ghcr.io/",
        "unreachable-podinfo-of-deployment": "https://ghcr.io/",
        "unreachable-podinfo-of-cron-job": "https://ghcr.io/",
        "unreachable-kubernetes": "https://registry.k8s.io/",
    }
    assert set(messages) == set(registries)
    for each, registry in registries.items():
        assert registry in messages[each]


@pytest.mark.parametrize(
    "policy",
    [
        {"apiVersion": "policies.kyverno.io/v1", "kind": "ValidatingPolicy", "spec": {}},
        {"apiVersion": "policies.kyverno.io/v1", "kind": "ImageValidatingPolicy", "spec": {}},
        {"apiVersion": "kyverno.io/v1", "kind": "ClusterPolicy", "spec": {"rules": []}},
    ],
    ids=lambda policy: policy["kind"],
)
def test_prod_does_not_build_with_a_policy_that_it_cannot_enforce(
    policy: Policy, tmp_path: Path
) -> None:
    content = yaml.safe_load((ROLLOUT / "prod/kustomization.yaml").read_text())
    content["resources"] = ["policy.yaml"]
    named = {**policy, "metadata": {"name": "a"}}
    files = {"kustomization.yaml": yaml.safe_dump(content), "policy.yaml": yaml.safe_dump(named)}
    write(tmp_path, files)
    with pytest.raises(CommandError, match="validationActions"):
        kustomize.build(tmp_path, ".")
