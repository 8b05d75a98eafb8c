"""Test the fields that the operating system of a pod excludes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.check.tenant_support import folder, found, pod, workload

WINDOWS: dict[str, Any] = {"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": True}}
PLAIN: dict[str, Any] = {"containers": [{"name": "a", "image": "a"}]}


def test_a_pod_for_windows(checkout: Path) -> None:
    assert found(checkout, folder(workload(PLAIN | WINDOWS))) == []


def test_a_pod_for_windows_with_fields_of_linux(checkout: Path) -> None:
    """Pod Security allows it, and Kubernetes refuses even the Deployment."""
    context = WINDOWS["securityContext"] | {"fsGroup": 0, "sysctls": []}
    spec = pod() | WINDOWS | {"securityContext": context, "hostUsers": True, "hostPID": False}
    names = [
        "container a has securityContext.allowPrivilegeEscalation",
        "container a has securityContext.capabilities",
        "container a has securityContext.seccompProfile",
        "the pod has hostUsers",
        "the pod has securityContext.fsGroup",
    ]
    assert found(checkout, folder(workload(spec))) == [
        f"Deployment billing-dev/a: refused: {name}, which os: windows excludes; remove one"
        for name in names
    ]


@pytest.mark.parametrize(("os", "is_refused"), [({"os": {"name": "linux"}}, True), ({}, False)])
def test_a_pod_for_linux_with_fields_of_windows(
    os: dict[str, Any], is_refused: bool, checkout: Path
) -> None:
    spec = pod() | os
    spec["containers"][0]["securityContext"]["windowsOptions"] = {"runAsUserName": "a"}
    finding = "container a has securityContext.windowsOptions, which os: linux excludes; remove one"
    assert found(checkout, folder(workload(spec))) == (
        [f"Deployment billing-dev/a: refused: {finding}"] if is_refused else []
    )
