"""Tests of fleet/config/outlines.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.config import outlines
from fleet.config.outlines import StackOutline, TenantOutline
from tests.support import write


def test_a_stack(checkout: Path) -> None:
    tenant = "{name: billing, repository: {url: 'ssh://git@Host/Acme/B.git'}, create: true}"
    cluster = "{kubeconfig: k, context: c, environment: eu}"
    text = f"config: {{fleet:cluster: {cluster}, fleet:tenants: [{tenant}, 1, {{name: 2}}]}}\n"
    write(checkout, {"Pulumi.dev.yaml": text})
    assert outlines.read(checkout)["dev"] == StackOutline(
        name="dev",
        file="Pulumi.dev.yaml",
        environment="eu",
        cluster=("k", "c"),
        tenants=(
            TenantOutline(
                name="billing",
                repository="host/acme/b",
                has_own_path=False,
                creates_repository=True,
            ),
        ),
    )


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        ("config: [", "dev"),
        ("config: {fleet:cluster: 1, fleet:tenants: 1}", "dev"),
        ("config: {fleet:cluster: {kubeconfig: 1}, fleet:tenants: [[]]}", "dev"),
        ("config: {fleet:cluster: {environment: 7}}", None),
        ("config: {fleet:cluster: {environment: ../x}}", None),
    ],
)
def test_an_invalid_stack(text: str, environment: str | None, checkout: Path) -> None:
    write(checkout, {"Pulumi.dev.yaml": text})
    assert outlines.read(checkout)["dev"] == StackOutline(
        name="dev", file="Pulumi.dev.yaml", environment=environment, cluster=None, tenants=()
    )
