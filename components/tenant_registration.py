"""The registration of one tenant in one cluster: the part that must not be in Git."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes

from components.apply_once import apply_once
from components.deploy_key import DeployKeyArgs, DeployKeyOnGitHub
from fleet.kube.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class TenantRegistrationArgs:
    """The credentials of a tenant, and the Secret that they go into.

    `namespace` and `source` are the tenant's Namespace and GitRepository, as in the tree, and
    `secret` is the name of the Secret that the GitRepository refers to. `credentials` are those of
    the stack file, decrypted: `token` for an https:// URL, or `privateKey` and `knownHosts` for an
    ssh:// URL. A tenant has either `credentials` or a `deploy_key`, or neither if everybody can
    read its repository.
    """

    namespace: Manifest
    source: Manifest
    secret: str
    credentials: pulumi.Input[Mapping[str, str]] | None = None
    deploy_key: DeployKeyArgs | None = None


class TenantRegistration(pulumi.ComponentResource):
    """The credentials with which Flux reads a tenant's repository.

    Everything else of a tenant is in the tree, and Flux manages it, its namespace too. The
    namespace is applied here once, because the credentials have to be in it before Flux pulls.
    """

    resources: list[pulumi.Resource]
    """The resources that must exist before the tenant's file is committed."""

    def __init__(
        self, name: str, args: TenantRegistrationArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:Tenant", name, None, opts)
        self.resources = []
        if args.credentials is not None:
            data = pulumi.Output.secret(args.credentials).apply(secret_data)
            self.resources = self._namespace_and_secret(name, args, data, [])
        elif args.deploy_key is not None:
            self._register_deploy_key(name, args, args.deploy_key)
        self.register_outputs({})

    def _namespace_and_secret(
        self,
        name: str,
        args: TenantRegistrationArgs,
        data: pulumi.Input[Mapping[str, str]],
        after: Sequence[pulumi.Resource],
    ) -> list[pulumi.Resource]:
        namespace_name = args.namespace["metadata"]["name"]
        namespace = apply_once(args.namespace, parent=self, after=[], tenant=name)
        secret = kubernetes.core.v1.Secret(
            f"{name}/Secret/{namespace_name}/{args.secret}",
            metadata={"name": args.secret, "namespace": namespace_name},
            string_data=data,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[namespace, *after]),
        )
        return [namespace, secret]

    def _register_deploy_key(
        self, name: str, args: TenantRegistrationArgs, key_args: DeployKeyArgs
    ) -> None:
        deploy_key = DeployKeyOnGitHub(key_args, parent=self)
        suspended = args.source["spec"].get("suspend")
        if suspended and deploy_key.has_former:
            raise pulumi.RunError(
                f"fleet:tenants: {name}: deployKey cannot change with suspend: true, because Flux "
                "cannot try the new key; remove suspend"
            )
        registered = deploy_key.register()
        data = {"identity": deploy_key.key.private, "known_hosts": key_args.known_hosts}
        self.resources = self._namespace_and_secret(
            name, args, pulumi.Output.secret(data), [registered]
        )
        if not suspended:
            deploy_key.try_out(args.source, self.resources)


def secret_data(credentials: Mapping[str, str]) -> dict[str, str]:
    """Return the credentials under the keys that Flux's source-controller reads."""
    if "token" in credentials:
        return {"username": "git", "password": credentials["token"]}
    return {"identity": credentials["privateKey"], "known_hosts": credentials["knownHosts"]}
