"""What the components, and the program as a whole, ask the engine for."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest
import yaml

from components.cluster_connection import ClusterConnection, ClusterConnectionArgs
from components.cluster_tree import ClusterTree, ClusterTreeArgs
from components.flux_installation import FluxInstallation, FluxInstallationArgs
from components.flux_sync import FluxSync, FluxSyncArgs
from components.github_connection import GitHubConnection, GitHubConnectionArgs
from components.github_repository import GitHubRepository, GitHubRepositoryArgs
from components.planting import type_token
from components.reconciliation import reconcile_source
from components.tenant_registration import DeployKeyArgs, TenantRegistration, TenantRegistrationArgs
from fleet import deploy_keys, process
from fleet.config import load
from fleet.kube import kustomize
from fleet.render import commits, flux, tree
from sandbox.pulumi.kubernetes_plugin import objects
from tests.components.recording import UNKNOWN, Answer, Recording, Resource, run, unknown
from tests.support import REPOSITORY, manifest, stack_file, write

STACK = "pulumi:pulumi:Stack"
CONNECTION = "fleet:index:ClusterConnection"
TREE = "fleet:index:ClusterTree"
FLUX = "fleet:index:FluxInstallation"
FLUX_SYNC = "fleet:index:FluxSync"
GITHUB_CONNECTION = "fleet:index:GitHubConnection"
TENANT = "fleet:index:Tenant"
TEAM_REPOSITORY = "fleet:index:TeamRepository"
KUBERNETES = "pulumi:providers:kubernetes"
GITHUB = "pulumi:providers:github"
PULL = "kubernetes:source.toolkit.fluxcd.io/v1:GitRepositoryPatch"
FILE = "github:index/repositoryFile:RepositoryFile"
SECRET = "kubernetes:core/v1:Secret"  # noqa: S105 - a type
SOURCE = "kubernetes:source.toolkit.fluxcd.io/v1:GitRepository"
DEPLOY_KEY = "github:index/repositoryDeployKey:RepositoryDeployKey"
REPOSITORY_ON_GITHUB = "github:index/repository:Repository"
TEAM_ACCESS = "github:index/teamRepository:TeamRepository"

LABELS = "  labels:\n    app.kubernetes.io/version: v2.9.2\n"
MANIFESTS = "---\n".join(
    [
        manifest("apps/v1", "Deployment", "source-controller", "flux-system", LABELS),
        manifest("v1", "ServiceAccount", "source-controller", "flux-system"),
        manifest(
            "apiextensions.k8s.io/v1",
            "CustomResourceDefinition",
            "gitrepositories.source.toolkit.fluxcd.io",
        ),
        manifest("rbac.authorization.k8s.io/v1", "ClusterRole", "crd-controller"),
        manifest("v1", "Namespace", "flux-system"),
    ]
)
# In the order in which Kubernetes can take them.
PLANTED = [
    {
        "CustomResourceDefinition/gitrepositories.source.toolkit.fluxcd.io",
        "Namespace/flux-system",
    },
    {"ServiceAccount/flux-system/source-controller", "ClusterRole/crd-controller"},
    {"Deployment/flux-system/source-controller"},
]
ACCOUNT = {"ServiceAccount/flux-system/platform", "ClusterRoleBinding/flux-system-platform"}
PULLED = "GitRepositoryPatch/flux-system/flux-system"
SYNC = ["GitRepository/flux-system/flux-system", "Kustomization/flux-system/flux-system"]


def names(resources: list[Resource]) -> list[str]:
    return [resource.name for resource in resources]


def planted_as(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document as it is planted: in the name of Flux, so that Git can change it all."""
    annotations = {"pulumi.com/patchFieldManager": "kustomize-controller"}
    metadata = document["metadata"]
    annotations |= metadata.get("annotations", {})
    return {**document, "metadata": {**metadata, "annotations": annotations}}


def decoded(value: object) -> object:
    """A provider's inputs that are no text travel as JSON."""
    return json.loads(value) if isinstance(value, str) else value


class TestClusterConnection:
    @staticmethod
    def record(kubeconfig: str = "/home/me/.kube/config", preview: bool = False) -> Recording:
        def program() -> None:
            given = unknown() if kubeconfig == UNKNOWN else kubeconfig
            args = ClusterConnectionArgs(cluster="dev", kubeconfig=given, context="k3d-dev")
            ClusterConnection("dev", args)

        return run(program, preview=preview)

    def test_one_provider_for_exactly_one_cluster(self) -> None:
        recording = self.record()
        assert [(r.type, r.name) for r in recording.resources] == [
            (STACK, "fleet-dev"),
            (CONNECTION, "dev"),
            (KUBERNETES, "dev"),
        ]
        provider = recording.one(KUBERNETES)
        assert dict(provider.inputs) == {
            "kubeconfig": "/home/me/.kube/config",
            "context": "k3d-dev",
            "clusterIdentifier": "dev",
            "deleteUnreachable": "false",
            "upsertExistingObjects": "true",
            "enablePatchForce": "true",
            "enableSecretMutable": "true",
        }
        assert recording.by_urn(provider.parent).type == CONNECTION
        assert recording.by_urn(recording.one(CONNECTION).parent).type == STACK

    def test_a_kubeconfig_that_only_an_up_will_know(self) -> None:
        """The context and the identity are known all the same."""
        inputs = self.record(UNKNOWN, preview=True).one(KUBERNETES).inputs
        assert inputs["kubeconfig"] == UNKNOWN
        assert (inputs["context"], inputs["clusterIdentifier"]) == ("k3d-dev", "dev")

    def test_nothing_ambient_gets_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBECONFIG", "/somewhere/else")
        assert self.record().one(KUBERNETES).inputs["kubeconfig"] == "/home/me/.kube/config"


def options_on_github(token: str = "hunter2") -> pulumi.ResourceOptions:  # noqa: S107 - a test's
    """Return options for what is on GitHub."""
    args = GitHubConnectionArgs(
        api_url="https://api.github.com/",
        owner="acme",
        token=unknown() if token == UNKNOWN else pulumi.Output.secret(token),
    )
    return pulumi.ResourceOptions(provider=GitHubConnection("dev", args).provider)


class TestGitHubConnection:
    def test_an_explicit_provider(self) -> None:
        recording = run(lambda: void(options_on_github()))
        provider = recording.one(GITHUB)
        inputs = dict(provider.inputs)
        assert decoded(inputs.pop("retryableErrors")) == [409, 500, 502, 503, 504]
        assert decoded(inputs.pop("maxRetries")) == 8
        assert inputs == {
            "baseUrl": "https://api.github.com/",
            "owner": "acme",
            "token": "hunter2",
        }
        assert provider.secrets == {"token"}
        assert recording.by_urn(provider.parent).type == GITHUB_CONNECTION

    def test_a_token_that_only_an_up_will_know(self) -> None:
        recording = run(lambda: void(options_on_github(UNKNOWN)), preview=True)
        assert recording.one(GITHUB).inputs["token"] == UNKNOWN


class TestClusterTree:
    FILES: Mapping[str, str] = {
        "clusters/dev/apps/kustomization.yaml": "leaf\n",
        "clusters/dev/infra/kustomization.yaml": "leaf too\n",
        "clusters/dev/apps.yaml": "refers to the leaf\n",
        "clusters/dev/kustomization.yaml": "refers to all\n",
    }
    WAVES = (
        ("clusters/dev/apps/kustomization.yaml", "clusters/dev/infra/kustomization.yaml"),
        ("clusters/dev/apps.yaml",),
        ("clusters/dev/kustomization.yaml",),
    )

    def record(
        self,
        *,
        preview: bool = False,
        files: Mapping[str, str] = FILES,
        commits: Mapping[str, str] | None = None,
    ) -> Recording:
        """`commits` are those that the provider knows of files, by path."""

        def program() -> None:
            args = ClusterTreeArgs(
                repository="platform",
                branch="main",
                files=files,
                messages={path: f"dev: {path}" for path in self.FILES},
                waves=self.WAVES,
                entrypoint="clusters/dev/kustomization.yaml",
            )
            tree = ClusterTree("dev", args, options_on_github())
            assert [f._name for f in tree.files] == [path for wave in self.WAVES for path in wave]
            pulumi.export("digest", tree.digest)

        computed = {path: {"commitSha": sha} for path, sha in (commits or {}).items()}
        return run(program, preview=preview, computed=computed)

    def test_one_file_resource_a_file(self) -> None:
        recording = self.record()
        files = recording.all(FILE)
        assert {file.name: dict(file.inputs) for file in files} == {
            path: {
                "repository": "platform",
                "branch": "main",
                "file": path,
                "content": text,
                "commitMessage": f"dev: {path}",
                "overwriteOnCreate": True,
            }
            for path, text in self.FILES.items()
        }
        for file in files:
            assert file.provider == recording.one(GITHUB).urn
            assert recording.by_urn(file.parent).type == TREE
            assert not file.secrets
            # Without its entrypoint a running Flux would prune what it runs.
            entrypoint = file.name == "clusters/dev/kustomization.yaml"
            assert file.protect is entrypoint
            assert file.retain_on_delete is entrypoint
        assert len(recording.resources) == 4 + len(self.FILES)

    @pytest.mark.parametrize("preview", [False, True])
    def test_what_is_referenced_is_committed_before(self, preview: bool) -> None:
        """And, as Pulumi deletes the other way round, removed after."""
        recording = self.record(preview=preview)
        earlier: set[str] = set()
        for wave in self.WAVES:
            for path in wave:
                assert recording.before(recording.one(FILE, path)) == earlier
            earlier |= set(wave)

    COMMITS: Mapping[str, str] = {path: f"{number:040}" for number, path in enumerate(FILES)}

    def digest(
        self,
        *,
        preview: bool = False,
        files: Mapping[str, str] = FILES,
        commits: Mapping[str, str] = COMMITS,
    ) -> str:
        digest = self.record(preview=preview, files=files, commits=commits).outputs["digest"]
        assert isinstance(digest, str)
        return digest

    def test_the_digest_is_the_same_until_something_is_committed(self) -> None:
        digest = self.digest()
        assert re.fullmatch(r"[0-9a-f]{12}", digest)
        assert self.digest() == digest
        # A preview knows the commits of files that it leaves as they are.
        assert self.digest(preview=True) == digest

    @pytest.mark.parametrize("path", FILES)
    def test_any_commit_is_another_digest(self, path: str) -> None:
        """Also where the contents are as before, as after somebody's edit by hand."""
        assert self.digest(commits={**self.COMMITS, path: "f" * 40}) != self.digest()

    @pytest.mark.parametrize("path", FILES)
    def test_other_contents_are_another_digest(self, path: str) -> None:
        """Also where the state does not know the commit, as after an interrupted run."""
        assert self.digest(files={**self.FILES, path: "other\n"}) != self.digest()

    def test_the_digest_of_what_only_an_up_will_commit(self) -> None:
        *known, new = self.FILES
        commits = {path: self.COMMITS[path] for path in known}
        assert new not in commits
        assert self.digest(preview=True, commits=commits) == UNKNOWN


class TestReconcileSource:
    def record(self, token: str = "abc", *, preview: bool = False) -> Recording:  # noqa: S107
        def program() -> None:
            connection = ClusterConnection(
                "dev",
                ClusterConnectionArgs(cluster="dev", kubeconfig="/kubeconfig", context="k3d-dev"),
            )
            reconcile_source(
                "billing-dev",
                "billing-repo",
                token=unknown() if token == UNKNOWN else token,
                opts=pulumi.ResourceOptions(
                    provider=connection.provider,
                    depends_on=[pulumi.CustomResource("test:index:File", "committed")],
                ),
            )

        return run(program, preview=preview)

    def test_a_patch_of_what_git_owns(self) -> None:
        recording = self.record()
        pull = recording.one(PULL)
        assert pull.name == "GitRepositoryPatch/billing-dev/billing-repo"
        assert pull.inputs["apiVersion"] == "source.toolkit.fluxcd.io/v1"
        assert pull.inputs["kind"] == "GitRepository"
        assert set(pull.inputs) == {"apiVersion", "kind", "metadata"}
        assert pull.provider == recording.one(KUBERNETES).urn
        assert recording.before(pull) == {"committed"}
        assert pull.retain_on_delete
        # A new token has to get through.
        assert not pull.ignore_changes

    def test_it_is_awaited_for_two_minutes(self) -> None:
        pull = self.record().one(PULL)
        metadata = pull.inputs["metadata"]
        assert (metadata["namespace"], metadata["name"]) == ("billing-dev", "billing-repo")
        assert metadata["annotations"]["reconcile.fluxcd.io/requestedAt"] == "abc"
        assert json.loads(metadata["annotations"]["pulumi.com/waitFor"]) == [
            "jsonpath={.status.lastHandledReconcileAt}=abc",
            "condition=Ready",
        ]
        assert set(metadata) == {"namespace", "name", "annotations"}
        assert set(metadata["annotations"]) == {
            "reconcile.fluxcd.io/requestedAt",
            "pulumi.com/waitFor",
        }
        assert pull.timeouts == {"create": "2m", "update": "2m"}

    def test_the_sandbox_waits_for_the_same(self) -> None:
        """The stand-in for the official plugin understands what is asked of it."""
        pull = self.record().one(PULL)
        assert objects.is_patch(pull.urn, "GitRepository")
        assert objects.awaited(dict(pull.inputs)) == (
            "{.status.lastHandledReconcileAt}=abc",
            "Ready=True",
        )

    def test_the_same_token_asks_for_nothing(self) -> None:
        assert self.record("abc").one(PULL) == self.record("abc").one(PULL)
        assert self.record("abc").one(PULL) != self.record("abd").one(PULL)

    def test_a_token_that_only_an_up_will_know(self) -> None:
        metadata = self.record(UNKNOWN, preview=True).one(PULL).inputs["metadata"]
        assert metadata["name"] == "billing-repo"
        assert set(metadata["annotations"].values()) == {UNKNOWN}


class TestFluxInstallation:
    WAVES = tuple(tuple(wave) for wave in flux.apply_waves(flux.with_flags(MANIFESTS)))

    def record(
        self,
        *,
        token: str | None = None,
        preview: bool = False,
        waves: Any = WAVES,  # noqa: ANN401 - documents
    ) -> Recording:
        sync: tuple[Mapping[str, Any], Mapping[str, Any]] = (
            {
                "apiVersion": "source.toolkit.fluxcd.io/v1",
                "kind": "GitRepository",
                "metadata": {"name": "flux-system", "namespace": "flux-system"},
                "spec": {"url": "https://github.com/acme/platform"},
            },
            {
                "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
                "kind": "Kustomization",
                "metadata": {"name": "flux-system", "namespace": "flux-system"},
                "spec": {"path": "./clusters/dev"},
            },
        )

        def program() -> None:
            connection = ClusterConnection(
                "dev",
                ClusterConnectionArgs(cluster="dev", kubeconfig="/kubeconfig", context="k3d-dev"),
            )
            committed = pulumi.CustomResource("test:index:File", "committed")
            opts = pulumi.ResourceOptions(provider=connection.provider)
            flux = FluxInstallation(
                "dev",
                FluxInstallationArgs(
                    namespace="flux-system",
                    waves=waves,
                    pull_secret="flux-system",  # noqa: S106 - a name
                    pull_token=unknown() if token == UNKNOWN else token,
                ),
                opts,
            )
            source, root = sync
            args = FluxSyncArgs(
                source=source,
                root=root,
                flux=flux.resources,
                tree=[committed],
                digest=unknown() if preview else "abc",
            )
            FluxSync("dev", args, opts)

        return run(program, preview=preview)

    @staticmethod
    def planted(recording: Recording) -> list[Resource]:
        return [
            r
            for r in recording.resources
            if r.custom and r.type.startswith("kubernetes:") and r.type not in (SECRET, PULL)
        ]

    def test_the_documents_as_they_are(self) -> None:
        recording = self.record()
        types = {resource.name: resource.type for resource in self.planted(recording)}
        assert types == {
            "Namespace/flux-system": "kubernetes:core/v1:Namespace",
            "CustomResourceDefinition/gitrepositories.source.toolkit.fluxcd.io": (
                "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
            ),
            "ServiceAccount/flux-system/source-controller": "kubernetes:core/v1:ServiceAccount",
            "ClusterRole/crd-controller": "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",
            "Deployment/flux-system/source-controller": "kubernetes:apps/v1:Deployment",
            SYNC[0]: "kubernetes:source.toolkit.fluxcd.io/v1:GitRepository",
            SYNC[1]: "kubernetes:kustomize.toolkit.fluxcd.io/v1:Kustomization",
        }
        documents = list(yaml.safe_load_all(MANIFESTS))
        deployment = recording.one("kubernetes:apps/v1:Deployment")
        assert dict(deployment.inputs) == planted_as(documents[0])

    def test_on_the_given_cluster_and_left_to_git(self) -> None:
        """Never through a default provider; later changes and removal are not Pulumi's."""
        recording = self.record(token="hunter2")  # noqa: S106 - a test's
        for resource in [*self.planted(recording), recording.one(SECRET)]:
            assert resource.provider == recording.one(KUBERNETES).urn
            owner = FLUX_SYNC if resource.name in SYNC else FLUX
            assert recording.by_urn(resource.parent).type == owner
        for resource in self.planted(recording):
            assert resource.ignore_changes == ("*",)
            assert resource.retain_on_delete
        assert recording.one(SECRET).retain_on_delete

    @pytest.mark.parametrize("preview", [False, True])
    def test_in_an_order_that_kubernetes_can_take(self, preview: bool) -> None:
        recording = self.record(preview=preview)
        by_name = {resource.name: resource for resource in self.planted(recording)}
        earlier: set[str] = set()
        for wave in PLANTED:
            for name in wave:
                assert recording.before(by_name[name]) == earlier
            earlier |= wave
        # What is pulled has to be there before Flux is told to pull it.
        earlier |= {"committed"}
        by_name[PULLED] = recording.one(PULL)
        # What keeps Flux from pulling is said by the source, not by what waits for it.
        for name in (SYNC[0], PULLED, SYNC[1]):
            assert recording.before(by_name[name]) == earlier
            earlier |= {name}

    def test_flux_is_told_to_pull_what_was_committed(self) -> None:
        recording = self.record()
        pull = recording.one(PULL)
        assert pull.inputs["metadata"]["namespace"] == "flux-system"
        annotations = pull.inputs["metadata"]["annotations"]
        assert annotations["reconcile.fluxcd.io/requestedAt"] == "abc"
        assert pull.provider == recording.one(KUBERNETES).urn
        assert recording.by_urn(pull.parent).type == FLUX_SYNC

    def test_a_pull_of_what_only_an_up_will_commit(self) -> None:
        annotations = self.record(preview=True).one(PULL).inputs["metadata"]["annotations"]
        assert set(annotations.values()) == {UNKNOWN}

    def test_a_wave_without_documents_does_not_lose_the_order(self) -> None:
        recording = self.record(waves=(self.WAVES[0], (), self.WAVES[2]))
        deployment = recording.one("kubernetes:apps/v1:Deployment")
        assert recording.before(deployment) == PLANTED[0]

    def test_the_pull_token_is_a_secret(self) -> None:
        """There before Flux pulls, and nowhere but in that one value."""
        recording = self.record(token="hunter2")  # noqa: S106 - a test's
        secret = recording.one(SECRET)
        assert secret.name == "Secret/flux-system/flux-system"
        assert secret.inputs["metadata"] == {"name": "flux-system", "namespace": "flux-system"}
        assert secret.inputs["stringData"] == {"username": "git", "password": "hunter2"}
        assert "stringData" in secret.secrets or "stringData.password" in secret.secrets
        assert recording.before(secret) == set().union(*PLANTED)
        source = recording.one("kubernetes:source.toolkit.fluxcd.io/v1:GitRepository")
        assert secret.name in recording.before(source)
        others = [r for r in recording.resources if r.type != SECRET]
        assert "hunter2" not in str(others)

    def test_no_secret_without_a_pull_token(self) -> None:
        assert not self.record().all(SECRET)

    def test_a_pull_token_that_only_an_up_will_know(self) -> None:
        recording = self.record(token=UNKNOWN, preview=True)
        assert UNKNOWN in str(recording.one(SECRET).inputs["stringData"])
        assert names(self.planted(recording))[-2:] == SYNC

    @pytest.mark.parametrize(
        ("api_version", "kind", "token"),
        [
            ("v1", "Namespace", "kubernetes:core/v1:Namespace"),
            ("apps/v1", "Deployment", "kubernetes:apps/v1:Deployment"),
            (
                "source.toolkit.fluxcd.io/v1",
                "GitRepository",
                "kubernetes:source.toolkit.fluxcd.io/v1:GitRepository",
            ),
        ],
    )
    def test_type_token(self, api_version: str, kind: str, token: str) -> None:
        assert type_token(api_version, kind) == token


class TestTenant:
    NAMESPACE: Mapping[str, Any] = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "billing-dev", "labels": {"a": "b"}},
    }
    SOURCE: Mapping[str, Any] = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": "billing-repo", "namespace": "billing-dev"},
        "spec": {"url": "ssh://git@github.com/acme/billing-apps"},
    }

    def record(
        self,
        credentials: Mapping[str, str] | str | None,
        *,
        preview: bool = False,
        teams: tuple[str, ...] = ("billing",),
    ) -> Recording:
        def program() -> None:
            connection = ClusterConnection(
                "dev",
                ClusterConnectionArgs(cluster="dev", kubeconfig="/kubeconfig", context="k3d-dev"),
            )
            for team in teams:
                given: Any = unknown() if credentials == UNKNOWN else credentials
                args = TenantRegistrationArgs(
                    namespace=self.NAMESPACE,
                    source=self.SOURCE,
                    secret=f"{team}-repo",
                    credentials=given,
                )
                opts = pulumi.ResourceOptions(provider=connection.provider)
                tenant = TenantRegistration(team, args, opts)
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
        """Encrypted in the state though they came in plain, and nowhere else."""
        recording = self.record(credentials)
        secret = recording.one(SECRET)
        assert secret.name == "billing/Secret/billing-dev/billing-repo"
        assert secret.inputs["metadata"] == {"name": "billing-repo", "namespace": "billing-dev"}
        assert secret.inputs["stringData"] == data
        assert secret.secrets == {"stringData"}
        others = [r for r in recording.resources if r.type != SECRET]
        assert "hunter2" not in str(others)

    def test_the_namespace_is_planted_for_it_and_left_to_git(self) -> None:
        recording = self.record({"token": "hunter2"})
        planted = recording.one("kubernetes:core/v1:Namespace")
        assert dict(planted.inputs) == planted_as(self.NAMESPACE)
        assert planted.ignore_changes == ("*",)
        assert planted.retain_on_delete
        secret = recording.one(SECRET)
        assert recording.before(secret) == {planted.name}
        # Ours alone, and gone with the team.
        assert not secret.retain_on_delete
        assert not secret.ignore_changes
        for resource in (planted, secret):
            assert resource.provider == recording.one(KUBERNETES).urn
            assert recording.by_urn(resource.parent).type == TENANT

    def test_a_repository_that_all_can_read(self) -> None:
        recording = self.record(None)
        assert recording.by_urn(recording.one(TENANT).parent).type == STACK
        assert not recording.all(SECRET)
        assert not recording.all("kubernetes:core/v1:Namespace")

    def test_teams_of_one_namespace_are_told_apart(self) -> None:
        """As several in flux-system are."""
        recording = self.record({"token": "hunter2"}, teams=("billing", "audit"))
        urns = [resource.urn for resource in recording.resources]
        assert len(urns) == len(set(urns))
        assert len(recording.all(SECRET)) == 2

    def test_credentials_that_only_an_up_will_know(self) -> None:
        secret = self.record(UNKNOWN, preview=True).one(SECRET)
        assert secret.inputs["stringData"] == UNKNOWN
        assert secret.inputs["metadata"]["namespace"] == "billing-dev"


class TestDeployKey:
    KEYS = tuple(
        deploy_keys.derive(
            "x" * 44, cluster="dev", tenant="billing", repository="billing-apps", generation=number
        )
        for number in (1, 2)
    )
    # What GitHub has: title and key.
    FORMER = ("fleet: dev/billing 1", KEYS[0].public)
    MINE = ("fleet: dev/billing 2", KEYS[1].public)

    def record(
        self,
        generation: int = 1,
        *,
        preview: bool = False,
        on_github: Sequence[tuple[str, str]] | None = (),
        suspend: bool = False,
    ) -> Recording:
        """`on_github` are titles and keys there; None where there is no repository."""

        def program() -> None:
            connection = ClusterConnection(
                "dev",
                ClusterConnectionArgs(cluster="dev", kubeconfig="/kubeconfig", context="k3d-dev"),
            )
            made = DeployKeyArgs(
                key=self.KEYS[generation - 1],
                cluster="dev",
                tenant="billing",
                repository="billing-apps",
                generation=generation,
                known_hosts="github.com ssh-rsa A",
                after=[pulumi.CustomResource("test:index:Flux", "flux")],
            )
            source = {**TestTenant.SOURCE, "spec": {"suspend": suspend}}
            args = TenantRegistrationArgs(
                namespace=TestTenant.NAMESPACE,
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
        # Nobody may ask for the keys of a repository that is not there.
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
        """Encrypted in the state, and nowhere else."""
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
    def test_the_key_is_seen_to_work(self, preview: bool) -> None:
        """Flux tries it, when GitHub and the cluster have it, and the run waits for that."""
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
            # Made of another seed, or for another repository.
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
        """A run that failed is forgotten by the next one's refresh, the former key is not."""
        runs = [self.record(2, preview=preview, on_github=on_github) for _ in range(2)]
        first, second = (found.one(PULL) for found in runs)
        assert first.inputs != second.inputs
        assert first.ignore_changes == (() if again else ("*",))

    def test_a_key_that_github_has_already_is_taken_over(self) -> None:
        """After an interrupted run, or with another state; under whatever title."""
        renamed = ("by hand", self.KEYS[1].public)
        key = self.record(2, on_github=[self.FORMER, renamed]).one(DEPLOY_KEY)
        assert key.import_id == "billing-apps:42"
        assert key.inputs["title"] == "by hand"

    def test_another_generation_is_another_key_and_the_same_secret(self) -> None:
        """So the engine removes the former key last, when the new one was seen to work."""
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
        with pytest.raises(pulumi.RunError, match=r"billing: .* while it is suspended; take"):
            self.record(2, on_github=[self.FORMER], suspend=True)


class TestTeamRepository:
    FILES: Mapping[str, str] = {
        "deploy/README.md": "# What\n",
        "deploy/dev/kustomization.yaml": "a: b\n",
    }

    def record(
        self, github_team: str | None = None, there: Sequence[str] | None = None
    ) -> Recording:
        """`there` are the paths of files and folders; None where there is no repository."""
        args = GitHubRepositoryArgs(
            repository="billing-apps", branch="main", files=self.FILES, github_team=github_team
        )

        def program() -> None:
            GitHubRepository("billing", args, options_on_github())

        def file(args: Mapping[str, Any]) -> Mapping[str, Any]:
            return {"id": f"billing-apps/{args['file']}"} if args["file"] in (there or ()) else {}

        repository = {} if there is None else {"nodeId": "R_1"}
        return run(
            program, found={"getRepository": lambda _: repository, "getRepositoryFile": file}
        )

    def test_a_private_repository_with_a_branch(self) -> None:
        recording = self.record()
        repository = recording.one(REPOSITORY_ON_GITHUB)
        inputs = repository.inputs
        assert (inputs["name"], inputs["visibility"], inputs["autoInit"]) == (
            "billing-apps",
            "private",
            True,
        )
        assert repository.import_id == ""
        assert not recording.all(TEAM_ACCESS)

    def test_it_starts_with_the_files(self) -> None:
        recording = self.record()
        files = recording.all(FILE)
        assert {file.inputs["file"]: file.inputs["content"] for file in files} == self.FILES
        earlier = {"billing-apps"}
        for file in files:
            assert recording.before(file) == earlier
            assert file.import_id == ""
            earlier |= {file.name}

    @pytest.mark.parametrize(
        ("there", "expected"),
        [
            # A run that was interrupted.
            ([], {"deploy/README.md": "", "deploy/dev/kustomization.yaml": ""}),
            (
                ["deploy", "deploy/README.md"],
                {
                    "deploy/README.md": "billing-apps:deploy/README.md:main",
                    "deploy/dev/kustomization.yaml": "",
                },
            ),
            # The team's own files, whatever is in them.
            (
                ["deploy", "deploy/dev", "deploy/dev/kustomization.yaml"],
                {
                    "deploy/dev/kustomization.yaml": (
                        "billing-apps:deploy/dev/kustomization.yaml:main"
                    )
                },
            ),
            (["deploy", "deploy/dev"], {}),
        ],
    )
    def test_what_is_there_is_taken_as_it_is(
        self, there: list[str], expected: dict[str, str]
    ) -> None:
        recording = self.record(there=there)
        assert recording.one(REPOSITORY_ON_GITHUB).import_id == "billing-apps"
        found = {file.inputs["file"]: file.import_id for file in recording.all(FILE)}
        assert found == expected
        for file in recording.all(FILE):
            assert "overwriteOnCreate" not in file.inputs

    def test_from_then_on_it_is_the_teams(self) -> None:
        """What they change is not undone; no code is removed with the stack or the team."""
        recording = self.record(github_team="billing-devs")
        made = [r for r in recording.resources if r.custom and r.type != GITHUB]
        assert len(made) == 4
        for resource in made:
            assert resource.provider == recording.one(GITHUB).urn
            assert recording.by_urn(resource.parent).type == TEAM_REPOSITORY
            access = resource.type == TEAM_ACCESS
            assert resource.retain_on_delete is not access
            assert resource.ignore_changes == (() if access else ("*",))

    def test_the_team_may_write(self) -> None:
        access = self.record(github_team="billing-devs").one(TEAM_ACCESS)
        assert dict(access.inputs) == {
            "repository": "billing-apps",
            "teamId": "billing-devs",
            "permission": "push",
        }


KUBECONFIG = "contexts: [{name: k3d-dev}, {name: k3d-prod}]\n"


class TestProgram:
    """`__main__.py` as `pulumi up -s dev` runs it: in the checkout, with the files' config."""

    TOKEN = "hunter2"  # noqa: S105 - a test's

    @pytest.fixture(autouse=True)
    def here(self, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        project = (checkout / "Pulumi.yaml").read_text()
        project = project.replace("v2.9.2\n", "v2.9.2\n      manifests: flux.yaml\n")
        policies = "namespaces/common policies/shared"
        write(
            checkout,
            {
                "Pulumi.yaml": project,
                "Pulumi.dev.yaml": stack_file("dev", infrastructure=policies),
                "flux.yaml": MANIFESTS,
                "kubeconfig": KUBECONFIG,
            },
        )
        monkeypatch.chdir(checkout)
        return checkout

    def record(
        self,
        root: Path,
        *,
        preview: bool = False,
        pull_token: str = "",
        given: Mapping[str, object] | None = None,
    ) -> Recording:
        """Run the program with the config that the engine would read, but for what is `given`."""
        project = yaml.safe_load((root / "Pulumi.yaml").read_text())["config"]
        values = {key: json.dumps(item["value"]) for key, item in project.items()}
        own = yaml.safe_load((root / "Pulumi.dev.yaml").read_text())["config"]
        values |= {key: json.dumps(value) for key, value in own.items()}
        values["github:token"] = self.TOKEN
        if pull_token:
            values["fleet:pullToken"] = pull_token
        values |= {f"fleet:{key}": json.dumps(value) for key, value in (given or {}).items()}
        return run(
            lambda: void(runpy.run_path(str(REPOSITORY / "__main__.py"), run_name="__main__")),
            preview=preview,
            values=values,
            secret_keys=("github:token", "fleet:pullToken", "fleet:tenantCredentials"),
        )

    @pytest.mark.parametrize("preview", [False, True])
    def test_the_resources(self, preview: bool, here: Path) -> None:
        recording = self.record(here, preview=preview)
        kinds = {r.type: r.name for r in recording.resources if not r.custom}
        assert kinds == {
            STACK: "fleet-dev",
            **dict.fromkeys((CONNECTION, GITHUB_CONNECTION, TREE, FLUX, FLUX_SYNC), "dev"),
        }
        stack = load.stack(here, "dev")
        files = tree.render(stack, MANIFESTS)
        assert sorted(names(recording.all(FILE))) == sorted(files)
        assert {f.name: f.inputs["content"] for f in recording.all(FILE)} == files
        messages = commits.messages(stack, files)
        assert {f.name: f.inputs["commitMessage"] for f in recording.all(FILE)} == messages
        planted = [r for r in recording.resources if r.type.startswith("kubernetes:")]
        assert {r.name for r in planted} == set().union(*PLANTED, ACCOUNT, SYNC, {PULLED})
        assert len(recording.resources) == len(kinds) + 2 + len(files) + len(planted)

    def test_every_resource_is_a_components_and_has_an_explicit_provider(self, here: Path) -> None:
        recording = self.record(here)
        providers = {
            "github": recording.one(GITHUB).urn,
            "kubernetes": recording.one(KUBERNETES).urn,
        }
        for resource in recording.resources:
            if not resource.custom:
                continue
            assert recording.by_urn(resource.parent).type in (
                CONNECTION,
                GITHUB_CONNECTION,
                TREE,
                FLUX,
                FLUX_SYNC,
            )
            package = resource.type.partition(":")[0]
            if package != "pulumi":
                assert resource.provider == providers[package], resource.name

    def test_the_order(self, here: Path) -> None:
        """Leaves, lists, entrypoint; Flux is told to pull when all of it is committed."""
        recording = self.record(here)
        files = set(names(recording.all(FILE)))
        entrypoint = recording.one(FILE, "clusters/dev/kustomization.yaml")
        assert [r.name for r in recording.resources if r.protect] == [entrypoint.name]
        assert recording.before(entrypoint) == files - {entrypoint.name}
        apps = recording.one(FILE, "clusters/dev/apps.yaml")
        assert "clusters/dev/apps/kustomization.yaml" in recording.before(apps)
        root = recording.one("kubernetes:kustomize.toolkit.fluxcd.io/v1:Kustomization")
        pull = recording.one(PULL)
        assert {d for d in pull.dependencies if recording.by_urn(d).name in files} == {
            file.urn for file in recording.all(FILE)
        }
        assert recording.before(pull) == files | set().union(*PLANTED, ACCOUNT) | {SYNC[0]}
        assert recording.before(root) == recording.before(pull) | {PULLED}
        # Nothing of the cluster waits for Git but what needs it.
        deployment = recording.one("kubernetes:apps/v1:Deployment")
        assert not recording.before(deployment) & files

    def test_the_same_documents_as_in_the_tree(self, here: Path) -> None:
        recording = self.record(here)
        write(here, tree.render(load.stack(here, "dev"), MANIFESTS))
        folder = here / "clusters/dev/flux-system"
        in_git = list(yaml.safe_load_all(process.run([*kustomize.kustomize(), folder], timeout=60)))
        planted = [
            dict(r.inputs)
            for r in recording.resources
            if r.type.startswith("kubernetes:") and r.type != PULL
        ]
        assert sorted(planted, key=identity) == sorted(map(planted_as, in_git), key=identity)

    def test_the_connection_is_the_decided_one(self, here: Path) -> None:
        inputs = self.record(here).one(KUBERNETES).inputs
        assert inputs["kubeconfig"] == str(here / "kubeconfig")
        assert inputs["context"] == "k3d-dev"
        assert inputs["clusterIdentifier"] == "dev"

    def test_secrets_stay_secret(self, here: Path) -> None:
        more = "  fleet:pullToken: {secure: c2VjcmV0}\n"
        write(here, {"Pulumi.dev.yaml": stack_file("dev", more=more)})
        recording = self.record(here, pull_token="pull-hunter2")  # noqa: S106 - a test's
        assert recording.one(GITHUB).secrets == {"token"}
        secret = recording.one(SECRET)
        assert secret.inputs["stringData"] == {"username": "git", "password": "pull-hunter2"}
        assert any(path.startswith("stringData") for path in secret.secrets)
        for resource in recording.resources:
            if resource.type not in (GITHUB, SECRET):
                assert "hunter2" not in str(resource), resource.name
        assert "hunter2" not in str(recording.outputs)
        source = recording.one("kubernetes:source.toolkit.fluxcd.io/v1:GitRepository")
        assert source.inputs["spec"]["secretRef"] == {"name": "flux-system"}

    TENANTS = (
        "  fleet:tenants:\n"
        "    - {name: billing, repository: {url: https://github.com/acme/billing}}\n"
        "    - {name: legacy, repository: {url: https://github.com/acme/legacy},"
        " inFluxSystem: {because: it was there}}\n"
        "    - {name: public, repository: {url: https://github.com/acme/public}}\n"
        "  fleet:tenantCredentials:\n"
        "    billing: {token: {secure: c2VjcmV0}}\n"
        "    legacy: {token: {secure: c2VjcmV0}}\n"
    )

    @pytest.mark.parametrize("preview", [False, True])
    def test_tenants(self, preview: bool, here: Path) -> None:
        """A team's credentials are there before its file is, and in no file."""
        write(here, {"Pulumi.dev.yaml": stack_file("dev", more=self.TENANTS)})
        recording = self.record(
            here,
            preview=preview,
            given={
                "tenantCredentials": {
                    "billing": {"token": "billing-hunter2"},
                    "legacy": {"token": "legacy-hunter2"},
                }
            },
        )
        assert sorted(names(recording.all(TENANT))) == ["billing", "legacy", "public"]
        found = {r.name: r for r in recording.all(SECRET)}
        assert {name: r.inputs["stringData"]["password"] for name, r in found.items()} == {
            "billing/Secret/billing-dev/billing-repo": "billing-hunter2",
            "legacy/Secret/flux-system/legacy-repo": "legacy-hunter2",
        }
        for name, secret in found.items():
            assert "stringData" in secret.secrets
            team = name.partition("/")[0]
            file = recording.one(FILE, f"clusters/dev/tenants/{team}/tenant.yaml")
            assert name in recording.before(file)
            # One team's trouble with its cluster keeps no other file from being committed.
            other = recording.one(FILE, "clusters/dev/tenants/public/tenant.yaml")
            assert name not in recording.before(other)
        assert [file for file in recording.all(FILE) if file.secrets] == []
        others = [r for r in recording.resources if r.type != SECRET]
        assert "-hunter2" not in str(others)
        planted = recording.one("kubernetes:core/v1:Namespace", "billing/Namespace/billing-dev")
        text = recording.one(FILE, "clusters/dev/tenants/billing/tenant.yaml").inputs["content"]
        assert dict(planted.inputs) == planted_as(next(yaml.safe_load_all(text)))

    PUBLIC = (
        "  fleet:tenants:\n"
        "    - {name: a, repository: {url: https://github.com/acme/a}}\n"
        "    - {name: b, repository: {url: https://github.com/acme/b}}\n"
    )

    @pytest.mark.parametrize(
        "decided",
        [
            {"more": PUBLIC[: PUBLIC.index("    - {name: b")]},
            {"more": ""},
            {"more": PUBLIC, "infrastructure": "namespaces/common"},
        ],
    )
    def test_flux_pulls_what_only_removes_something(
        self, decided: dict[str, str], here: Path
    ) -> None:
        """A team of several, the only ones, a whole stage: some list that stays says so."""

        def record() -> tuple[Mapping[str, Any], dict[str, Any]]:
            recording = self.record(here)
            contents = {file.name: file.inputs["content"] for file in recording.all(FILE)}
            return recording.one(PULL).inputs, contents

        policies = {"infrastructure": "namespaces/common policies/shared"}
        write(here, {"Pulumi.dev.yaml": stack_file("dev", **policies, more=self.PUBLIC)})
        pull, before = record()
        assert record() == (pull, before)
        write(here, {"Pulumi.dev.yaml": stack_file("dev", **{**policies, **decided})})
        pull_after, after = record()
        assert after.keys() < before.keys()
        assert [path for path in after if after[path] != before[path]]
        assert pull_after != pull

    def test_outputs(self, here: Path) -> None:
        kubectl = f"kubectl --kubeconfig {here}/kubeconfig --context k3d-dev"
        assert self.record(here).outputs == {
            "path": "clusters/dev",
            "repository": "acme/platform",
            "branch": "main",
            "context": "k3d-dev",
            "fluxVersion": "v2.9.2",
            "look": {
                "sync": f"{kubectl} -n flux-system get gitrepositories,kustomizations",
                "releases": f"{kubectl} get helmreleases -A",
                "workloads": f"{kubectl} get deployments,daemonsets -A",
            },
        }

    def refused(self, here: Path, given: Mapping[str, object] | None = None) -> str:
        with pytest.raises(pulumi.RunError) as caught:
            self.record(here, given=given)
        # The engine shows the text of a RunError, and what caused it where it is chained.
        assert caught.value.__suppress_context__
        return str(caught.value)

    def test_an_invalid_stack_is_one_line(self, here: Path) -> None:
        write(here, {"Pulumi.dev.yaml": stack_file("dev", apps="podinfo/overlays/prod")})
        said = self.refused(here)
        assert said.startswith("Pulumi.dev.yaml: fleet:apps[0]: 'podinfo/overlays/prod' is for")
        assert "\n" not in said

    def test_another_cluster_behind_the_kubeconfig_is_refused(self, here: Path) -> None:
        write(here, {"kubeconfig": "contexts: [{name: k3d-prod}]"})
        assert self.refused(here).endswith("contexts there: k3d-prod")

    def test_an_ambient_owner_is_refused(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GITHUB_OWNER", "other")
        assert self.refused(here).endswith("unset GITHUB_OWNER")

    def test_other_decisions_than_the_files_are_refused(self, here: Path) -> None:
        assert self.refused(here, {"apps": ["podinfo/base"]}) == (
            "Pulumi.dev.yaml: fleet:apps: is not what the engine was given; decide in this file "
            "and run without --config-file"
        )

    def test_missing_manifests_are_one_line(self, here: Path) -> None:
        (here / "flux.yaml").unlink()
        assert self.refused(here) == (f"fleet:flux.manifests: {here / 'flux.yaml'} does not exist")

    def test_nothing_is_registered_before_all_is_validated(self, here: Path) -> None:
        (here / "flux.yaml").unlink()
        recordings: list[Recording] = []

        def program() -> None:
            with pytest.raises(pulumi.RunError):
                runpy.run_path(str(REPOSITORY / "__main__.py"), run_name="__main__")

        recordings.append(run(program))
        assert [r.type for r in recordings[0].resources] == [STACK]

    def test_a_missing_token_is_one_line(self, here: Path) -> None:
        project = yaml.safe_load((here / "Pulumi.yaml").read_text())["config"]
        values = {key: json.dumps(item["value"]) for key, item in project.items()}
        own = yaml.safe_load((here / "Pulumi.dev.yaml").read_text())["config"]
        values |= {key: json.dumps(value) for key, value in own.items()}
        with pytest.raises(pulumi.RunError, match=r"github:token"):
            run(
                lambda: void(runpy.run_path(str(REPOSITORY / "__main__.py"), run_name="__main__")),
                values=values,
            )


def test_only_components_and_the_program_import_pulumi() -> None:
    """`fleet render` and `fleet check` need no Pulumi, so they work where it is not installed."""
    code = (
        "import sys; sys.modules['pulumi'] = None; "
        "import fleet.cli.main, fleet.check.run, fleet.config.schema; "
        "fleet.cli.main.main(['schema'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr


def identity(document: Mapping[str, Any]) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]


def void(_: object) -> None:
    """A program must return nothing; the engine would await it."""
