"""The deploy key with which Flux reads a tenant's repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import pulumi
import pulumi_github as github

from components.apply_once import apply_once
from components.reconciliation import reconcile_source
from fleet.deploy_keys import DeployKey
from fleet.kube.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class DeployKeyArgs:
    """The key that fleet derives for one tenant in one cluster, and the repository that it reads.

    `key_without_owner` is the key of the same generation that earlier versions of fleet derived.
    `former_cluster` is the cluster's name before its stack was renamed, which is in the titles of
    former keys. `known_hosts` are GitHub's lines of known_hosts. `after` lists the resources that
    must exist before Flux can try the key: Flux itself and the repository.
    """

    key: DeployKey
    key_without_owner: DeployKey
    cluster: str
    tenant: str
    repository: str
    generation: int
    known_hosts: str
    after: Sequence[pulumi.Resource]
    former_cluster: str | None = None


class DeployKeyOnGitHub:
    """The deploy key of a tenant as GitHub has it, or will have it.

    It is no component: its resources are children of `parent`, the tenant's component, whose URN
    is part of theirs.
    """

    key: DeployKey
    """The key that this run uses."""

    has_former: bool
    """GitHub also has another key of this tenant in this cluster."""

    def __init__(self, args: DeployKeyArgs, parent: pulumi.Resource) -> None:
        self._args = args
        self._parent = parent
        self._title_prefix = _title_prefix(args.cluster, args.tenant)
        former_prefix = _title_prefix(args.former_cluster or args.cluster, args.tenant)
        registered = self._registered_keys()
        # A key that an earlier version made stays until its number is raised. The state may be
        # lost, so GitHub is asked which of the two keys is in use.
        without_owner = any(key.key == args.key_without_owner.public for key in registered)
        self.key = args.key_without_owner if without_owner else args.key
        self._existing = next((key for key in registered if key.key == self.key.public), None)
        self.has_former = any(
            key.title.startswith((self._title_prefix, former_prefix)) and key.key != self.key.public
            for key in registered
        )

    def _registered_keys(self) -> Sequence[github.outputs.GetRepositoryDeployKeysKeyResult]:
        name = self._args.repository
        opts = pulumi.InvokeOptions(parent=self._parent)
        # GitHub answers with an error for the keys of a repository that does not exist.
        if not github.get_repository(name=name, opts=opts).node_id:
            return ()
        return github.get_repository_deploy_keys(repository=name, opts=opts).keys

    def register(self) -> github.RepositoryDeployKey:
        """Register the key with GitHub, or adopt it if GitHub has it."""
        args, existing = self._args, self._existing
        return github.RepositoryDeployKey(
            # The name changes with the key. So the engine deletes a former key at the end of a run,
            # and only if nothing in that run has failed.
            f"{args.tenant}/{self.key.digest}",
            repository=args.repository,
            title=existing.title if existing else f"{self._title_prefix}{args.generation}",
            key=self.key.public,
            read_only=True,
            opts=pulumi.ResourceOptions(
                parent=self._parent,
                depends_on=list(args.after),
                # GitHub has the key after a run that was interrupted, or when the state was lost.
                import_=f"{args.repository}:{existing.id}" if existing else None,
            ),
        )

    def try_out(self, source: Manifest, credentials: Sequence[pulumi.Resource]) -> None:
        """Have Flux pull `source`, the tenant's GitRepository, with the key; wait until it has."""
        args = self._args
        after = [*credentials, *args.after]
        applied = apply_once(source, parent=self._parent, after=after, tenant=args.tenant)
        metadata = source["metadata"]
        reconcile_source(
            metadata["namespace"],
            metadata["name"],
            token=datetime.now(timezone.utc).isoformat(),
            opts=pulumi.ResourceOptions(
                parent=self._parent,
                depends_on=[applied, *credentials],
                # While a former key exists, every run has Flux try the new one, because a refresh
                # forgets that it has failed. Without a former key, one pull is enough.
                ignore_changes=[] if self.has_former else ["*"],
            ),
        )


def _title_prefix(cluster: str, tenant: str) -> str:
    """Return the begin of the titles of a tenant's keys in one cluster."""
    return f"fleet: {cluster}/{tenant} "
