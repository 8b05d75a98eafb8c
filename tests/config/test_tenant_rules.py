"""Tests of fleet/config/tenant_rules.py, beside tests/fixtures/invalid/tenant-*.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.config import definitions, load
from fleet.config.tenant import tenants_of
from fleet.errors import ConfigError
from tests.support import helm_release, stack_file, write


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
        "'ssh://git@github.com/acme/billing-apps' is already created by Pulumi.dev.yaml; "
        "write deployKey: 1 instead of create: true"
    ]
    spelled = create.replace("billing-apps}", "Billing-Apps.git}")
    write(checkout, {"Pulumi.prod.yaml": stack_file("prod", more=spelled)})
    with pytest.raises(ConfigError, match=r"is already created by Pulumi\.dev\.yaml"):
        load.stack(checkout, "prod")
    only_key = create.replace("create: true", "deployKey: 1")
    write(checkout, {"Pulumi.prod.yaml": stack_file("prod", more=only_key)})
    found = [tenants_of(stack)[0] for stack in load.stacks(checkout)]
    assert [(t.create, t.deploy_key, t.reads_with_secret) for t in found] == [
        (True, 1, True),
        (False, 1, True),
    ]


def test_a_namespace_that_helm_creates_belongs_to_the_platform(checkout: Path) -> None:
    spec = "  targetNamespace: billing-dev\n  install: {createNamespace: true}\n"
    write(
        checkout, {"infrastructure/controllers/a/release.yaml": helm_release("a", "common", spec)}
    )
    assert definitions.namespace_folders(checkout)["billing-dev"] == "infrastructure/controllers/a"
    more = (
        "  fleet:tenants: [{name: billing, repository: {url: https://github.com/acme/billing}}]\n"
    )
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
    with pytest.raises(ConfigError, match="'billing-dev' is a namespace of the platform"):
        load.stack(checkout, "dev")


def test_rules_of_valid_tenants_are_checked_beside_invalid_ones(checkout: Path) -> None:
    more = (
        "  fleet:tenants:\n"
        "    - {name: audit, repository: {url: git@github.com:acme/audit}}\n"
        "    - {name: billing, repository: {url: https://github.com/acme/billing}}\n"
        "    - {name: billing, repository: {url: https://github.com/acme/billing}}\n"
        "  fleet:tenantCredentials:\n"
        "    audit: {token: {secure: c2VjcmV0}}\n"
        "    nobody: {token: hunter2}\n"
    )
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
    with pytest.raises(ConfigError) as caught:
        load.stack(checkout, "dev")
    assert [problem.partition("; ")[0] for problem in caught.value.problems] == [
        "Pulumi.dev.yaml: fleet:tenants[0].repository.url: it must be an https:// or ssh:// URL",
        "Pulumi.dev.yaml: fleet:tenantCredentials.nobody.token: "
        "is readable by everybody who reads this file",
        "Pulumi.dev.yaml: fleet:tenants[2].name: 'billing' is there twice",
        "Pulumi.dev.yaml: fleet:tenantCredentials.nobody: no tenant of this cluster has that name",
    ]


def test_several_rules_of_one_tenant_are_reported_at_once(checkout: Path) -> None:
    url = "https://github.com/acme/billing"
    tenant = f"{{name: billing, repository: {{url: {url}, branch: x}}, path: k8s, create: true}}"
    more = f"  fleet:tenants: [{tenant}]\n"
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
    with pytest.raises(ConfigError) as caught:
        load.stack(checkout, "dev")
    assert [problem.split(": ")[1] for problem in caught.value.problems] == [
        "fleet:tenants[0].repository.url",
        "fleet:tenants[0].path",
        "fleet:tenants[0].repository.branch",
    ]
