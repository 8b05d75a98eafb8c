"""Policies in the output of `fleet check` and `fleet impact`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet import cache
from fleet.policies import program
from tests.inventory.support import commit
from tests.policies.support import WrittenKyverno, deployment, validating
from tests.support import Run, definition, namespace, stack_file, with_manifests, write

pytestmark = pytest.mark.slow

POLICY_FILE = "infrastructure/policies/shared/resource.yaml"
FILE = "clusters/dev/apps"
OBJECT = "Deployment common/web"
REFUSED = (
    "ValidatingPolicy a would refuse it in dev: No hostPID; Flux then refuses the whole "
    "Kustomization flux-system/apps; correct the object, or except it by a PolicyException"
)
SOURCE = "apps/web/resource.yaml:1"
NEWLY_REFUSED = (
    "at merge: ValidatingPolicy a would refuse 1 object: Deployment common/web: No hostPID; Flux "
    "then refuses the whole Kustomization flux-system/apps"
)


def web(*, is_bad: bool) -> str:
    limits = {"cpu": "1", "memory": "1Mi"}
    found = deployment(hostPID=is_bad)
    for container in found["spec"]["template"]["spec"]["containers"]:
        container["resources"] = {"limits": limits, "requests": limits}
    return yaml.safe_dump(found)


def policy(action: str) -> str:
    return yaml.safe_dump(validating(validationActions=[action]))


def files(*, action: str, is_bad: bool) -> Mapping[str, str]:
    return {
        **definition("infrastructure/policies/shared", policy(action)),
        **definition("infrastructure/namespaces/common", namespace("common")),
        **definition("apps/web", web(is_bad=is_bad)),
        "Pulumi.dev.yaml": stack_file(
            "dev", infrastructure="namespaces/common policies/shared", apps="web"
        ),
    }


@pytest.fixture
def root(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a checkout with the stack dev, which has a policy, a bad object, and a Kyverno."""
    written = WrittenKyverno()
    monkeypatch.setattr(program, "find", lambda: written)
    monkeypatch.setattr(cache, "judged", lambda key: tmp_path / "judged" / key)
    (checkout / "Pulumi.prod.yaml").unlink()
    with_manifests(checkout)
    write(checkout, files(action="Deny", is_bad=True))
    return checkout


def test_what_a_policy_refuses_is_a_finding(root: Path, fleet: Run) -> None:
    ended = fleet("check", "--root", root)
    assert ended.code == 1
    assert f"{FILE}: {OBJECT}: {REFUSED} [{SOURCE}]" in ended.out.splitlines()
    found = json.loads(fleet("check", "--root", root, "--json").out)
    file, line = SOURCE.split(":")
    assert found["findings"] == [
        {
            "file": FILE,
            "object": OBJECT,
            "problem": REFUSED,
            "rule": "policy",
            "source": {"file": file, "line": int(line)},
        }
    ]
    assert "audit" not in found


def test_what_a_policy_reports_is_listed_on_request(root: Path, fleet: Run) -> None:
    write(root, {POLICY_FILE: policy("Audit")})
    reported = "ValidatingPolicy a reports it in dev: No hostPID"
    plain = fleet("check", "--root", root)
    assert (plain.code, "reports" in plain.out) == (0, False)
    ended = fleet("check", "--root", root, "--audit")
    assert ended.code == 0
    *_, line, summary = ended.out.splitlines()
    assert line == f"audit: {FILE}: {OBJECT}: {reported}"
    assert "0 findings, 1 reports of policies" in summary
    found = json.loads(fleet("check", "--root", root, "--audit", "--json").out)
    (item,) = found["audit"]
    assert (item["file"], item["object"], item["problem"]) == (FILE, OBJECT, reported)


def test_without_kyverno_the_exit_code_is_the_same(
    root: Path, fleet: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "find", lambda: None)
    ended = fleet("check", "--root", root)
    assert ended.code == 0
    lines = [line for line in ended.err.splitlines() if "kyverno" in line]
    assert lines == [
        "policies are not judged: kyverno: not found; put Kyverno's command line on PATH or run "
        "`make tools`"
    ]


CHANGES = {
    "the policy turns to Deny": ({"action": "Audit", "is_bad": True}, True),
    "the object turns bad": ({"action": "Deny", "is_bad": False}, True),
    "it was refused before": ({"action": "Deny", "is_bad": True}, False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_impact_names_what_a_change_makes_policies_refuse(
    name: str, root: Path, fleet: Run
) -> None:
    before, is_new = CHANGES[name]
    write(root, files(**before))  # type: ignore[arg-type]
    commit(root)
    write(root, files(action="Deny", is_bad=True))
    text = fleet("impact", "--root", root).out
    assert (f"  ! {NEWLY_REFUSED}" in text.splitlines()) is is_new
    assert ("; policies would refuse 1 object" in text) is is_new
    assert (
        f"> - dev: {NEWLY_REFUSED}" in fleet("impact", "--root", root, "--markdown").out
    ) is is_new
    results = json.loads(fleet("impact", "--root", root, "--sarif").out)["runs"][0]["results"]
    levels = [item["level"] for item in results if item["ruleId"] == "policy-refusal"]
    assert levels == (["error"] if is_new else [])
    assert _refusals(json.loads(fleet("impact", "--root", root, "--json").out)) == (
        [
            {
                "at": "merge",
                "policy": "ValidatingPolicy a",
                "objects": [OBJECT],
                "message": "No hostPID",
                "consequences": ["Flux then refuses the whole Kustomization flux-system/apps"],
            }
        ]
        if is_new
        else []
    )


def _refusals(found: dict[str, Any]) -> list[dict[str, Any]]:
    assert found["notJudged"] == []
    refusals: list[dict[str, Any]] = found["clusters"][0]["refusals"]
    return refusals
