"""The deploy key of a tenant."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_kubernetes as kubernetes
import pytest

from components.cluster_connection import ClusterConnection, ClusterConnectionArgs
from components.deploy_key import DeployKeyArgs
from components.tenant_registration import TenantRegistration, TenantRegistrationArgs
from fleet import deploy_keys
from fleet.deploy_keys import DeployKey
from tests.components.helpers import (
    DEPLOY_KEY,
    GITHUB,
    NAMESPACE,
    PULL,
    SECRET,
    SOURCE,
    SOURCE_MANIFEST,
    options_on_github,
)
from tests.components.recording import Answer, Recording, run


class TestDeployKey:
    KEYS, WITHOUT_OWNER = (
        tuple(
            deploy_keys.derive(
                "x" * 44, cluster="dev", tenant="billing", repository=repository, generation=number
            )
            for number in (1, 2)
        )
        for repository in ("acme/billing-apps", "billing-apps")
    )
    # Keys on GitHub: title and public key.
    FORMER = ("fleet: dev/billing 1", KEYS[0].public)
    MINE = ("fleet: dev/billing 2", KEYS[1].public)
    OLD_FORMER = ("fleet: dev/billing 1", WITHOUT_OWNER[0].public)
    OLD_MINE = ("fleet: dev/billing 2", WITHOUT_OWNER[1].public)

    def record(
        self,
        generation: int = 1,
        *,
        preview: bool = False,
        on_github: Sequence[tuple[str, str]] | None = (),
        suspend: bool = False,
        former_cluster: str | None = None,
    ) -> Recording:
        """Record a tenant; `on_github` lists titles and keys, None stands for no repository."""

        def program() -> None:
            connection = ClusterConnection(
                "dev",
                ClusterConnectionArgs(cluster="dev", kubeconfig="/kubeconfig", context="k3d-dev"),
            )
            made = DeployKeyArgs(
                key=self.KEYS[generation - 1],
                key_without_owner=self.WITHOUT_OWNER[generation - 1],
                cluster="dev",
                tenant="billing",
                repository="billing-apps",
                generation=generation,
                known_hosts="github.com ssh-rsa A",
                after=[pulumi.CustomResource("test:index:Flux", "flux")],
                former_cluster=former_cluster,
            )
            source = {**SOURCE_MANIFEST, "spec": {"suspend": suspend}}
            args = TenantRegistrationArgs(
                namespace=NAMESPACE,
                source=source,
                secret="billing-repo",  # noqa: S106 - a name
                deploy_key=made,
            )
            github = options_on_github().provider
            assert isinstance(github, pulumi.ProviderResource)
            opts = pulumi.ResourceOptions(providers=[connection.provider, github])
            tenant = TenantRegistration("billing", args, opts)
            assert [type(r) for r in tenant.resources][1:] == [kubernetes.core.v1.Secret]

        keys = [
            {"id": number, "key": key, "title": title, "verified": True}
            for number, (title, key) in enumerate(on_github or (), start=41)
        ]
        # GitHub answers with an error for the keys of a repository that does not exist.
        answers: dict[str, Answer] = {"getRepository": lambda _: {}}
        if on_github is not None:
            answers = {
                "getRepository": lambda _: {"nodeId": "R_1"},
                "getRepositoryDeployKeys": lambda _: {"keys": keys},
            }
        return run(program, preview=preview, found=answers)

    def test_github_gets_the_public_half_and_may_only_be_read(self) -> None:
        recording = self.record()
        key = recording.one(DEPLOY_KEY)
        assert dict(key.inputs) == {
            "repository": "billing-apps",
            "title": "fleet: dev/billing 1",
            "key": self.KEYS[0].public,
            "readOnly": True,
        }
        assert key.provider == recording.one(GITHUB).urn
        assert not key.retain_on_delete
        assert key.import_id == ""

    def test_the_cluster_gets_the_private_half_as_a_secret(self) -> None:
        """The private key is encrypted in the state, and nowhere else."""
        recording = self.record()
        secret = recording.one(SECRET)
        assert secret.inputs["stringData"] == {
            "identity": self.KEYS[0].private,
            "known_hosts": "github.com ssh-rsa A",
        }
        assert secret.secrets == {"stringData"}
        private = self.KEYS[0].private.splitlines()[1]
        for resource in recording.resources:
            assert resource.type == SECRET or private not in str(resource)

    @pytest.mark.parametrize("preview", [False, True])
    def test_flux_tries_the_key(self, preview: bool) -> None:
        """Flux tries the key after GitHub and the cluster have it, and the run waits for that."""
        recording = self.record(preview=preview)
        pull, source = recording.one(PULL), recording.one(SOURCE)
        key = recording.one(DEPLOY_KEY).name
        assert recording.before(recording.one(SECRET)) >= {key, "flux"}
        assert recording.before(source) >= {"billing/Secret/billing-dev/billing-repo", "flux"}
        assert recording.before(pull) >= {source.name, key}
        metadata = pull.inputs["metadata"]
        assert (metadata["namespace"], metadata["name"]) == ("billing-dev", "billing-repo")
        assert source.ignore_changes == ("*",)
        assert source.retain_on_delete

    @pytest.mark.parametrize("preview", [False, True])
    @pytest.mark.parametrize(
        ("on_github", "again"),
        [
            ([FORMER], True),
            ([FORMER, MINE], True),
            # This key comes from another seed, or is for another repository.
            ([("fleet: dev/billing 2", KEYS[0].public)], True),
            ([MINE], False),
            ([], False),
            (None, False),
            ([("fleet: prod/billing 1", "k"), ("fleet: dev/billings 1", "l"), ("x", "m")], False),
        ],
    )
    def test_it_is_tried_in_every_run_until_the_former_key_is_gone(
        self, on_github: list[tuple[str, str]] | None, again: bool, preview: bool
    ) -> None:
        """The next refresh forgets a run that failed; the former key on GitHub stays known."""
        runs = [self.record(2, preview=preview, on_github=on_github) for _ in range(2)]
        first, second = (found.one(PULL) for found in runs)
        assert first.inputs != second.inputs
        assert first.ignore_changes == (() if again else ("*",))

    def test_the_key_of_a_renamed_stack_is_tried_before_the_former_one_goes(self) -> None:
        """The stack's name is part of the key, so a renamed stack has another one."""
        former = ("fleet: old/billing 1", self.KEYS[1].public)
        pull = self.record(on_github=[former], former_cluster="old").one(PULL)
        assert pull.ignore_changes == ()

    def test_a_key_that_github_has_already_is_taken_over(self) -> None:
        """GitHub has the key after an interrupted run or a lost state, under any title."""
        renamed = ("by hand", self.KEYS[1].public)
        key = self.record(2, on_github=[self.FORMER, renamed]).one(DEPLOY_KEY)
        assert key.import_id == "billing-apps:42"
        assert key.inputs["title"] == "by hand"

    @pytest.mark.parametrize(
        ("on_github", "keys"),
        [
            ([OLD_MINE], WITHOUT_OWNER),
            ([OLD_FORMER, OLD_MINE], WITHOUT_OWNER),
            ([OLD_FORMER], KEYS),
            ([MINE], KEYS),
            ([], KEYS),
            (None, KEYS),
        ],
    )
    def test_a_key_without_the_owner_stays_until_its_number_is_raised(
        self, on_github: list[tuple[str, str]] | None, keys: Sequence[DeployKey]
    ) -> None:
        """Earlier versions left the owner out, so two owners could have the same key."""
        recording = self.record(2, on_github=on_github)
        key, secret = recording.one(DEPLOY_KEY), recording.one(SECRET)
        assert key.inputs["key"] == keys[1].public
        assert key.name == f"billing/{keys[1].digest}"
        assert secret.inputs["stringData"]["identity"] == keys[1].private
        assert bool(key.import_id) == (keys[1].public in dict(on_github or ()).values())

    def test_another_generation_is_another_key_and_the_same_secret(self) -> None:
        """The engine removes the former key last, after Flux has pulled with the new one."""
        first, second = self.record(), self.record(2, on_github=[self.FORMER])
        assert first.one(DEPLOY_KEY).urn != second.one(DEPLOY_KEY).urn
        assert first.one(DEPLOY_KEY).inputs["key"] != second.one(DEPLOY_KEY).inputs["key"]
        for kind in (SECRET, PULL, SOURCE):
            assert first.one(kind).urn == second.one(kind).urn
        assert first.one(SECRET).inputs != second.one(SECRET).inputs

    def test_flux_is_not_awaited_while_it_is_suspended(self) -> None:
        recording = self.record(suspend=True)
        assert not recording.all(PULL)
        assert not recording.all(SOURCE)
        with pytest.raises(pulumi.RunError, match=r"billing: .* with suspend: true, .*; remove"):
            self.record(2, on_github=[self.FORMER], suspend=True)
