"""One team in one cluster: what of it may never be in Git."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

Document = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TenantArgs:
    """Where a team's credentials go, and what they are.

    `namespace` is where the team's GitRepository is, as in the tree, and `secret` is what that
    names. `credentials` is what the stack file has, decrypted: `token` for an https:// URL, or
    `privateKey` and `knownHosts` for an ssh:// one; None for a repository that all can read.
    """

    namespace: Document
    secret: str
    credentials: pulumi.Input[Mapping[str, str]] | None


class Tenant(pulumi.ComponentResource):
    """The credentials with which Flux reads a team's repository, in the cluster only.

    All else of a team is in the tree and Git's to own, the namespace too: it is planted here, as
    the credentials have to be there before Flux pulls.
    """

    resources: list[pulumi.Resource]
    """What has to be there before the team's file is committed."""

    def __init__(
        self, name: str, args: TenantArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:Tenant", name, None, opts)
        self.resources = []
        if args.credentials is not None:
            where = args.namespace["metadata"]["name"]
            # Components' names are not part of their children's identity, so it says whose it is.
            namespace = pulumi.CustomResource(
                "kubernetes:core/v1:Namespace",
                f"{name}/Namespace/{where}",
                dict(args.namespace),
                pulumi.ResourceOptions(parent=self, ignore_changes=["*"], retain_on_delete=True),
            )
            secret = kubernetes.core.v1.Secret(
                f"{name}/Secret/{where}/{args.secret}",
                metadata={"name": args.secret, "namespace": where},
                string_data=pulumi.Output.secret(args.credentials).apply(secret_data),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[namespace]),
            )
            self.resources = [namespace, secret]
        self.register_outputs({})


def secret_data(credentials: Mapping[str, str]) -> dict[str, str]:
    """Return credentials under the keys that Flux's source-controller reads."""
    if "token" in credentials:
        return {"username": "git", "password": credentials["token"]}
    return {"identity": credentials["privateKey"], "known_hosts": credentials["knownHosts"]}
