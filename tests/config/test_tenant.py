"""Tests of fleet/config/tenant.py."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from fleet.config import load
from fleet.config.tenant import LIMITS, QUOTA, Tenant, tenants_of
from fleet.config.tenant_models import Limits, QuotaName
from fleet.errors import ConfigError
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


@pytest.mark.parametrize("interval", ["1s", "8760h", "525600m", "31536000s"])
def test_intervals_up_to_a_year(interval: str, checkout: Path) -> None:
    assert only_tenant(checkout, f", interval: {interval}").interval == interval


@pytest.mark.parametrize(
    "interval", ["8761h", "525601m", "31536001s", "2562048h", f"{'9' * 5000}s"]
)
def test_longer_intervals_are_refused(interval: str, checkout: Path) -> None:
    """Flux could list no Kustomization of the cluster if one had an interval of 2562048h."""
    with pytest.raises(ConfigError, match="is longer than a year; use at most 8760h"):
        only_tenant(checkout, f", interval: {interval}")


@pytest.mark.parametrize("quota", ["pods: 0", "pods: 1k", "pods: 2000m", "count/jobs.batch: '1.0'"])
def test_counts_that_are_whole(quota: str, checkout: Path) -> None:
    name, value = quota.split(": ")
    assert only_tenant(checkout, f", quota: {{{quota}}}").quota[name] == value.strip("'")


@pytest.mark.parametrize(
    "value", ["500m", "1.5", "0.0001", "9223372036854776", "10000T", "1.0001k"]
)
@pytest.mark.parametrize("name", [name for name in QUOTA if "." not in name or "/" in name])
def test_other_counts_are_refused(name: str, value: str, checkout: Path) -> None:
    """The API server would refuse the ResourceQuota, and with it all objects of the tenant."""
    with pytest.raises(ConfigError, match="must be a whole number, at most 9223372036854775"):
        only_tenant(checkout, f", quota: {{{name}: '{value}'}}")
