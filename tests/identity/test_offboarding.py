"""Tests of the warning about a tenant's namespace that does not end."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fleet.config import load
from fleet.identity import offboarding
from fleet.render.flux import TENANT_LABEL

SINCE = "2026-11-25T00:30:00Z"
CONTENT = "Some resources are remaining: configmaps. has 2 resource instances, "
CONTENT += "widgets.example.com has 1 resource instances"
FINALIZERS = "Some content in the namespace has finalizers remaining: "
FINALIZERS += "example.com/hold in 2 resource instances"


def namespace(name: str, *messages: str, ends: bool = True) -> dict[str, Any]:
    """Return a tenant's namespace with these conditions, and with one that does not matter."""
    conditions = [{"status": "True", "message": message} for message in messages]
    conditions.append({"status": "False", "message": "All resources successfully discovered"})
    metadata = {"name": name, "labels": {TENANT_LABEL: "billing"}}
    if ends:
        metadata |= {"deletionTimestamp": SINCE}
    return {"metadata": metadata, "status": {"conditions": conditions}}


def kubectl(tmp_path: Path, answers: Mapping[str, str]) -> list[str]:
    """Return a command that answers `get KIND`, and fails for a kind without an answer."""
    script = tmp_path / "kubectl.py"
    script.write_text(
        "import sys\n"
        f"answers = {dict(answers)!r}\n"
        "request, get, kind, *options = sys.argv[1:]\n"
        "assert (request, get) == ('--request-timeout=20s', 'get')\n"
        "sys.exit(print(answers[kind], end='') if kind in answers else f'no {kind}')\n"
    )
    return [sys.executable, str(script)]


def lines(checkout: Path, command: Sequence[str]) -> list[str]:
    stack = load.stack(checkout, "dev")
    return offboarding.warnings(stack, offboarding.read(command), command)


def test_each_object_that_waits_is_named_with_the_way_out(checkout: Path, tmp_path: Path) -> None:
    command = kubectl(
        tmp_path,
        {
            "namespaces": json.dumps({"items": [namespace("billing-dev", CONTENT, FINALIZERS)]}),
            "configmaps": 'app\t["example.com/hold"]\nfree\t\n',
            "widgets.example.com": 'w\t["example.com/hold","example.com/more"]\n',
        },
    )
    way_out = f"{shlex.join(command)} --namespace billing-dev patch"
    ending = (
        "Pulumi.dev.yaml: fleet:tenants: the namespace billing-dev of the tenant billing has been "
        f"Terminating since {SINCE}, because"
    )
    patch = """--type merge --patch '{"metadata": {"finalizers": null}}'"""
    assert lines(checkout, command) == [
        f"{ending} configmaps/app waits for example.com/hold; if nobody will finish that, run: "
        f"{way_out} configmaps/app {patch}",
        f"{ending} widgets.example.com/w waits for example.com/hold, example.com/more; if nobody "
        f"will finish that, run: {way_out} widgets.example.com/w {patch}",
    ]


def test_a_namespace_that_ends_without_finalizers_is_named_with_its_reasons(
    checkout: Path, tmp_path: Path
) -> None:
    """Pods may be ending, the API of a kind may be down, or a kind cannot be listed."""
    items = [
        namespace("billing-dev", "Some resources are remaining: pods. has 1 resource instances"),
        namespace("billing-old", "Discovery failed"),
        namespace("billing-new"),
        namespace("billing-odd", "Some resources are remaining: a.b.c has 1 resource instances"),
    ]
    command = kubectl(tmp_path, {"namespaces": json.dumps({"items": items}), "pods": "p\t\n"})
    found = lines(checkout, command)
    because = [line.partition("Terminating ")[2].partition("; look at it: ") for line in found]
    assert [before for before, _, _ in because] == [
        f"since {SINCE}: Some resources are remaining: pods. has 1 resource instances",
        f"since {SINCE}: Discovery failed",
        f"since {SINCE}",
        f"since {SINCE}: Some resources are remaining: a.b.c has 1 resource instances",
    ]
    assert because[0][2] == f"{shlex.join(command)} describe namespace billing-dev"


def test_other_namespaces_and_unreachable_clusters_are_no_warning(
    checkout: Path, tmp_path: Path
) -> None:
    alive = {"namespaces": json.dumps({"items": [namespace("billing-dev", ends=False)]})}
    assert lines(checkout, kubectl(tmp_path, alive)) == []
    assert lines(checkout, kubectl(tmp_path, {})) == []


def test_the_command_has_the_connection_of_the_stack(checkout: Path) -> None:
    stack = load.stack(checkout, "dev")
    assert offboarding.command(stack, Path("/home/my files/kubeconfig")) == [
        "kubectl", "--kubeconfig", "/home/my files/kubeconfig", "--context", "k3d-dev",
    ]  # fmt: skip
