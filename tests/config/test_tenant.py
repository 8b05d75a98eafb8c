"""Tests of fleet/config/tenant.py."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from fleet.config import load
from fleet.config.tenant import LIMITS, QUOTA, Tenant, tenants_of
from fleet.config.tenant_models import Limits, QuotaName
from tests.support import PROJECT, stack_file, write

BILLING = "name: billing, repository: {url: https://github.com/acme/billing-apps}"
TOKEN = "  fleet:tenantCredentials: {billing: {token: {secure: c2VjcmV0}}}\n"  # noqa: S105 - a fixture


def only_tenant(
    root: Path, more: str = "", defaults: str = "{}", credentials: str = "", environment: str = ""
) -> Tenant:
    """Return the tenant of a checkout whose stack dev has only the tenant billing."""
    text = stack_file("dev", more=f"  fleet:tenants:\n    - {{{BILLING}{more}}}\n{credentials}")
    if environment:
        text = text.replace("context:", f"environment: {environment}, context:")
        text = text.replace("podinfo/overlays/dev", "podinfo/base")
    shared = f"{PROJECT}  fleet:tenantDefaults:\n    value: {defaults}\n"
    write(root, {"Pulumi.yaml": shared, "Pulumi.dev.yaml": text})
    (found,) = tenants_of(load.stack(root, "dev"))
    return found


def test_a_name_and_a_url_are_enough(checkout: Path) -> None:
    billing = only_tenant(checkout)
    assert (billing.name, billing.environment) == ("billing", "dev")
    assert (billing.namespace, billing.path) == ("billing-dev", "./deploy/dev")
    assert (billing.repository.branch, billing.repository.interval) == ("main", "1m")
    assert (billing.interval, billing.role, billing.pod_security) == (
        "5m",
        "workloads",
        "restricted",
    )
    assert (billing.quota, billing.limits) == (dict(QUOTA), dict(LIMITS))
    assert (billing.suspend, billing.in_flux_system, billing.credentials) == (False, None, None)
    assert (billing.flux_namespace, billing.account) == ("billing-dev", "tenant")


def test_every_default_can_be_set_in_a_stack_file() -> None:
    assert set(QUOTA) <= set(get_args(QuotaName))
    limits = Limits.model_validate(LIMITS)
    assert limits.model_dump(by_alias=True) == LIMITS


def test_the_environment_is_not_the_name_of_the_stack(checkout: Path) -> None:
    billing = only_tenant(checkout, environment="prod")
    assert (billing.namespace, billing.path) == ("billing-prod", "./deploy/prod")


def test_a_tenant_overrides_single_keys_of_the_defaults(checkout: Path) -> None:
    billing = only_tenant(
        checkout,
        ", role: published, quota: {pods: 7}, limits: {max: {memory: 1Gi}}, interval: 10m"
        ", extraKinds: [{apiGroup: cert-manager.io, resources: [certificates]}]",
        "{podSecurity: baseline, quota: {pods: 5, services: 3}, limits: {max: {cpu: 2}},"
        " interval: 1h, extraKinds: [{apiGroup: '', resources: [serviceaccounts]}]}",
    )
    assert (billing.role, billing.pod_security, billing.interval) == (
        "published",
        "baseline",
        "10m",
    )
    assert billing.quota == {**QUOTA, "pods": "7", "services": "3"}
    assert billing.limits == {**LIMITS, "max": {"memory": "1Gi", "cpu": "2"}}
    assert [kinds.resources for kinds in billing.extra_kinds] == [
        ("serviceaccounts",),
        ("certificates",),
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("deploy/prod", "./deploy/prod"),
        ("./deploy/prod", "./deploy/prod"),
        (".", "./"),
        ("./", "./"),
        ("a", "./a"),
    ],
)
def test_a_path_of_its_own(path: str, expected: str, checkout: Path) -> None:
    assert only_tenant(checkout, f", path: {path}").path == expected


def test_flux_objects_in_flux_system(checkout: Path) -> None:
    billing = only_tenant(checkout, ", inFluxSystem: {because: moved from the old platform}")
    assert (billing.flux_namespace, billing.account) == ("flux-system", "tenant-billing")
    assert billing.namespace == "billing-dev"


def test_credentials_are_concealed(checkout: Path) -> None:
    billing = only_tenant(checkout, credentials=TOKEN)
    assert billing.credentials is not None
    assert "c2VjcmV0" not in str(billing)


def test_the_order_in_the_file_means_nothing(checkout: Path) -> None:
    other = BILLING.replace("billing", "audit")
    for first, second in ((BILLING, other), (other, BILLING)):
        more = f"  fleet:tenants:\n    - {{{first}}}\n    - {{{second}}}\n"
        write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
        found = tenants_of(load.stack(checkout, "dev"))
        assert [tenant.name for tenant in found] == ["audit", "billing"]
