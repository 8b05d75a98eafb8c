"""The registration of a tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from components.cluster_connection import ClusterConnection, ClusterConnectionArgs
from components.tenant_registration import TenantRegistration, TenantRegistrationArgs
from tests.components.helpers import (
    KUBERNETES,
    NAMESPACE,
    SECRET,
    SOURCE_MANIFEST,
    STACK,
    TENANT,
    as_applied,
)
from tests.components.recording import UNKNOWN, Recording, run, unknown


class TestTenantRegistration:
    def record(
        self,
        credentials: Mapping[str, str] | str | None,
        *,
        preview: bool = False,
        tenants: tuple[str, ...] = ("billing",),
    ) -> Recording:
        def program() -> None:
            connection = ClusterConnection(
                "dev",
                ClusterConnectionArgs(cluster="dev", kubeconfig="/kubeconfig", context="k3d-dev"),
            )
            for tenant_name in tenants:
                given: Any = unknown() if credentials == UNKNOWN else credentials
                args = TenantRegistrationArgs(
                    namespace=NAMESPACE,
                    source=SOURCE_MANIFEST,
                    secret=f"{tenant_name}-repo",
                    credentials=given,
                )
                opts = pulumi.ResourceOptions(provider=connection.provider)
                tenant = TenantRegistration(tenant_name, args, opts)
                expected = [] if credentials is None else 2 * [pulumi.CustomResource]
                assert all(map(isinstance, tenant.resources, expected))
                assert len(tenant.resources) == len(expected)

        return run(program, preview=preview)

    @pytest.mark.parametrize(
        ("credentials", "data"),
        [
            ({"token": "hunter2"}, {"username": "git", "password": "hunter2"}),
            (
                {"privateKey": "hunter2", "knownHosts": "github.com ssh-ed25519 A"},
                {"identity": "hunter2", "known_hosts": "github.com ssh-ed25519 A"},
            ),
        ],
    )
    def test_the_credentials_are_a_secret_in_the_cluster(
        self, credentials: Mapping[str, str], data: Mapping[str, str]
    ) -> None:
        """The state encrypts credentials that came as plain text; no other resource has them."""
        recording = self.record(credentials)
        secret = recording.one(SECRET)
        assert secret.name == "billing/Secret/billing-dev/billing-repo"
        assert secret.inputs["metadata"] == {"name": "billing-repo", "namespace": "billing-dev"}
        assert secret.inputs["stringData"] == data
        assert secret.secrets == {"stringData"}
        others = [r for r in recording.resources if r.type != SECRET]
        assert "hunter2" not in str(others)

    def test_the_namespace_is_applied_once_and_managed_by_flux(self) -> None:
        recording = self.record({"token": "hunter2"})
        applied = recording.one("kubernetes:core/v1:Namespace")
        assert dict(applied.inputs) == as_applied(NAMESPACE, "tenant-billing")
        assert applied.ignore_changes == ("*",)
        assert applied.retain_on_delete
        secret = recording.one(SECRET)
        assert recording.before(secret) == {applied.name}
        # Only Pulumi manages the Secret, and removes it with the tenant.
        assert not secret.retain_on_delete
        assert not secret.ignore_changes
        for resource in (applied, secret):
            assert resource.provider == recording.one(KUBERNETES).urn
            assert recording.by_urn(resource.parent).type == TENANT

    def test_a_repository_that_all_can_read(self) -> None:
        recording = self.record(None)
        assert recording.by_urn(recording.one(TENANT).parent).type == STACK
        assert not recording.all(SECRET)
        assert not recording.all("kubernetes:core/v1:Namespace")

    def test_tenants_of_one_namespace_have_urns_of_their_own(self) -> None:
        """Several tenants may share flux-system."""
        recording = self.record({"token": "hunter2"}, tenants=("billing", "audit"))
        urns = [resource.urn for resource in recording.resources]
        assert len(urns) == len(set(urns))
        assert len(recording.all(SECRET)) == 2

    def test_credentials_that_only_an_up_will_know(self) -> None:
        secret = self.record(UNKNOWN, preview=True).one(SECRET)
        assert secret.inputs["stringData"] == UNKNOWN
        assert secret.inputs["metadata"]["namespace"] == "billing-dev"
