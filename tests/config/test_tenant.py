"""Tenants: what defaults and decisions make of a team, and what the platform keeps for it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from fleet.config import definitions, load
from fleet.config.tenant import LIMITS, QUOTA, Tenant, tenants_of
from fleet.errors import ConfigError
from fleet.kube import quantity
from tests.support import PROJECT, helm_release, stack_file, write

BILLING = "name: billing, repository: {url: https://github.com/acme/billing-apps}"
TOKEN = "  fleet:tenantCredentials: {billing: {token: {secure: c2VjcmV0}}}\n"  # noqa: S105 - a fixture


def team(
    root: Path, more: str = "", defaults: str = "{}", credentials: str = "", environment: str = ""
) -> Tenant:
    """Return the team of a checkout whose stack dev has the tenant billing alone."""
    text = stack_file("dev", more=f"  fleet:tenants:\n    - {{{BILLING}{more}}}\n{credentials}")
    if environment:
        text = text.replace("context:", f"environment: {environment}, context:")
        text = text.replace("podinfo/overlays/dev", "podinfo/base")
    shared = f"{PROJECT}  fleet:tenantDefaults:\n    value: {defaults}\n"
    write(root, {"Pulumi.yaml": shared, "Pulumi.dev.yaml": text})
    (found,) = tenants_of(load.stack(root, "dev"))
    return found


def test_two_lines_are_enough(checkout: Path) -> None:
    billing = team(checkout)
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


def test_a_repository_is_created_by_one_stack_only(checkout: Path) -> None:
    create = (
        "  fleet:repository: {owner: acme, name: platform, knownHosts: github.com ssh-rsa AAAA}\n"
        "  fleet:deployKeySeed: {secure: c2VjcmV0}\n"
        "  fleet:tenants:\n"
        "    - name: billing\n"
        "      repository: {url: ssh://git@github.com/acme/billing-apps}\n"
        "      create: true\n"
    )
    write(checkout, {f"Pulumi.{n}.yaml": stack_file(n, more=create) for n in ("dev", "prod")})
    with pytest.raises(ConfigError) as caught:
        load.stack(checkout, "prod")
    assert list(caught.value.problems) == [
        "Pulumi.prod.yaml: fleet:tenants[0].repository.url: "
        "'ssh://git@github.com/acme/billing-apps' is made by Pulumi.dev.yaml; "
        "a repository is made once: here, write deployKey: 1"
    ]
    spelled = create.replace("billing-apps}", "Billing-Apps.git}")
    write(checkout, {"Pulumi.prod.yaml": stack_file("prod", more=spelled)})
    with pytest.raises(ConfigError, match=r"is made by Pulumi\.dev\.yaml"):
        load.stack(checkout, "prod")
    only_key = create.replace("create: true", "deployKey: 1")
    write(checkout, {"Pulumi.prod.yaml": stack_file("prod", more=only_key)})
    found = [tenants_of(stack)[0] for stack in load.stacks(checkout)]
    assert [(t.create, t.deploy_key, t.reads_with_secret) for t in found] == [
        (True, 1, True),
        (False, 1, True),
    ]


def test_the_environment_is_the_clusters_not_its_name(checkout: Path) -> None:
    billing = team(checkout, environment="prod")
    assert (billing.namespace, billing.path) == ("billing-prod", "./deploy/prod")


def test_a_team_wins_over_the_defaults_key_by_key(checkout: Path) -> None:
    billing = team(
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
    assert team(checkout, f", path: {path}").path == expected


def test_wired_up_in_flux_system(checkout: Path) -> None:
    billing = team(checkout, ", inFluxSystem: {because: moved from the old platform}")
    assert (billing.flux_namespace, billing.account) == ("flux-system", "tenant-billing")
    assert billing.namespace == "billing-dev"


def test_credentials_are_only_known_to_be_there(checkout: Path) -> None:
    billing = team(checkout, credentials=TOKEN)
    assert billing.credentials is not None
    assert "c2VjcmV0" not in str(billing)


def test_the_order_in_the_file_means_nothing(checkout: Path) -> None:
    other = BILLING.replace("billing", "audit")
    for first, second in ((BILLING, other), (other, BILLING)):
        more = f"  fleet:tenants:\n    - {{{first}}}\n    - {{{second}}}\n"
        write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
        found = tenants_of(load.stack(checkout, "dev"))
        assert [team.name for team in found] == ["audit", "billing"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", Fraction(2)),
        ("0.5", Fraction(1, 2)),
        ("500m", Fraction(1, 2)),
        ("1k", Fraction(1000)),
        ("1Ki", Fraction(1024)),
        ("2Gi", Fraction(2 * 1024**3)),
        # What a team's manifests may say besides.
        ("1.", Fraction(1)),
        (".5", Fraction(1, 2)),
        ("5n", Fraction(5, 10**9)),
        ("5u", Fraction(5, 10**6)),
        ("1P", Fraction(10**15)),
        ("1Ei", Fraction(1024**6)),
        ("2E", Fraction(2 * 10**18)),
        ("2E1", Fraction(20)),
        ("1e-3", Fraction(1, 1000)),
    ],
)
def test_quantity(text: str, number: Fraction) -> None:
    assert quantity.parse(text) == number


@pytest.mark.parametrize("text", ["", ".", "m", "1 Gi", "-1", "1gb", "1e999999999", "1_0", "1.2.3"])
def test_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="is no quantity"):
        quantity.parse(text)


def test_a_namespace_that_helm_makes_is_the_platforms(checkout: Path) -> None:
    spec = "  targetNamespace: billing-dev\n  install: {createNamespace: true}\n"
    write(
        checkout, {"infrastructure/controllers/a/release.yaml": helm_release("a", "common", spec)}
    )
    assert definitions.namespace_homes(checkout)["billing-dev"] == "infrastructure/controllers/a"
    with pytest.raises(ConfigError, match="'billing-dev' is the platform's"):
        team(checkout)
