"""One team in one cluster: what of it may never be in Git."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import pulumi
import pulumi_github as github
import pulumi_kubernetes as kubernetes
from pulumi_github import outputs

from components.apply_once import Document, plant
from components.reconciliation import reconcile_source
from fleet.deploy_keys import DeployKey


@dataclass(frozen=True, kw_only=True)
class DeployKeyArgs:
    """The key that fleet makes, and where it goes.

    `known_hosts` is GitHub's. `after` is what has to be there before Flux can try the key: its own
    definitions, and the repository.
    """

    key: DeployKey
    cluster: str
    tenant: str
    repository: str
    generation: int
    known_hosts: str
    after: Sequence[pulumi.Resource]


@dataclass(frozen=True, kw_only=True)
class TenantRegistrationArgs:
    """Where a team's credentials go, and what they are.

    `namespace` and `source` are the team's Namespace and GitRepository, as in the tree, and
    `secret` is what the latter names. `credentials` is what the stack file has, decrypted: `token`
    for an https:// URL, or `privateKey` and `knownHosts` for an ssh:// one; None for a repository
    that all can read, or whose key is made here.
    """

    namespace: Document
    source: Document
    secret: str
    credentials: pulumi.Input[Mapping[str, str]] | None = None
    deploy_key: DeployKeyArgs | None = None


class TenantRegistration(pulumi.ComponentResource):
    """The credentials with which Flux reads a team's repository, in the cluster only.

    All else of a team is in the tree and Git's to own, the namespace too: it is planted here, as
    the credentials have to be there before Flux pulls.
    """

    resources: list[pulumi.Resource]
    """What has to be there before the team's file is committed."""

    def __init__(
        self, name: str, args: TenantRegistrationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:Tenant", name, None, opts)
        self.resources = []
        if args.credentials is not None:
            data = pulumi.Output.secret(args.credentials).apply(secret_data)
            self._secret(name, args, data, [])
        elif args.deploy_key is not None:
            self._deploy_key(name, args, args.deploy_key)
        self.register_outputs({})

    def _secret(
        self,
        name: str,
        args: TenantRegistrationArgs,
        data: pulumi.Input[Mapping[str, str]],
        after: Sequence[pulumi.Resource],
    ) -> None:
        where = args.namespace["metadata"]["name"]
        namespace = plant(args.namespace, parent=self, after=[], whose=name)
        secret = kubernetes.core.v1.Secret(
            f"{name}/Secret/{where}/{args.secret}",
            metadata={"name": args.secret, "namespace": where},
            string_data=data,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[namespace, *after]),
        )
        self.resources = [namespace, secret]

    def _deploy_key(self, name: str, args: TenantRegistrationArgs, made: DeployKeyArgs) -> None:
        mine, former = self._on_github(made)
        suspended = args.source["spec"].get("suspend")
        if suspended and former:
            raise pulumi.RunError(
                f"{name}: Flux cannot try another deployKey while it is suspended; "
                "take `suspend` out first"
            )
        registered = github.RepositoryDeployKey(
            # By key: a former one goes at the end of a run in which nothing has failed.
            f"{name}/{made.key.digest}",
            repository=made.repository,
            title=mine.title if mine else f"{_titles(made)}{made.generation}",
            key=made.key.public,
            read_only=True,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(made.after),
                # Of a run that was interrupted, or whose state is lost.
                import_=f"{made.repository}:{mine.id}" if mine else None,
            ),
        )
        data = {"identity": made.key.private, "known_hosts": made.known_hosts}
        self._secret(name, args, pulumi.Output.secret(data), [registered])
        if suspended:
            return
        after = [*self.resources, *made.after]
        source = plant(args.source, parent=self, after=after, whose=name)
        metadata = args.source["metadata"]
        reconcile_source(
            metadata["namespace"],
            metadata["name"],
            token=datetime.now(timezone.utc).isoformat(),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[source, *self.resources],
                # As long as there is a former key, every run has Flux try the new one and waits:
                # a refresh forgets that it has failed. With no former key, once is enough.
                ignore_changes=[] if former else ["*"],
            ),
        )

    def _on_github(
        self, made: DeployKeyArgs
    ) -> tuple[outputs.GetRepositoryDeployKeysKeyResult | None, bool]:
        """Return this key as GitHub has it, if it has, and whether it has a former one."""
        asked = pulumi.InvokeOptions(parent=self)
        if not github.get_repository(name=made.repository, opts=asked).node_id:
            return None, False
        keys = github.get_repository_deploy_keys(repository=made.repository, opts=asked).keys
        mine = next((key for key in keys if key.key == made.key.public), None)
        former = any(
            key.title.startswith(_titles(made)) and key.key != made.key.public for key in keys
        )
        return mine, former


def secret_data(credentials: Mapping[str, str]) -> dict[str, str]:
    """Return credentials under the keys that Flux's source-controller reads."""
    if "token" in credentials:
        return {"username": "git", "password": credentials["token"]}
    return {"identity": credentials["privateKey"], "known_hosts": credentials["knownHosts"]}


def _titles(made: DeployKeyArgs) -> str:
    """How the titles begin of all keys of one team in one cluster."""
    return f"fleet: {made.cluster}/{made.tenant} "
