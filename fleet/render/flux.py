"""Flux in a cluster: the objects that tell it what to apply, and the flags of its controllers."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from fleet.config.models import Stack
from fleet.config.tenant import Tenant
from fleet.errors import FleetError
from fleet.kube import yaml_reader
from fleet.kube.manifest import Manifest
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.kube.yaml_writer import to_yaml
from fleet.render import facts, place
from fleet.render.layout import TENANTS
from fleet.render.stages import Stage

# The GitRepository and the root Kustomization of a cluster have the same name.
SYNC_NAME = "flux-system"
PULL_SECRET = "flux-system"  # noqa: S105 - the name of a Secret
# Flux applies the platform's own manifests as this ServiceAccount.
PLATFORM_ACCOUNT = "platform"
# The annotation of that account with the place that the cluster follows.
CLAIM = "platform.example.com/follows"
_TENANT_PREFIX = "tenant-"
# The API group of Flux's Kustomizations, which is also the domain of their labels.
_GROUP = "kustomize.toolkit.fluxcd.io"
# Flux does not remove an object with this annotation when it leaves the tree.
NEVER_PRUNED: Mapping[str, str] = {f"{_GROUP}/prune": "disabled"}

# Each object of a tenant has this label, and so has the Flux Kustomization of its repository.
TENANT_LABEL = "platform.example.com/tenant"
# The tenants' repositories have a kustomize-controller of their own. A controller builds one
# Kustomization after the other, and a small file with many YAML aliases ends it. So a tenant could
# stop all changes of the platform, also the one that suspends this tenant.
KUSTOMIZE_CONTROLLER = "kustomize-controller"
TENANTS_CONTROLLER = f"{KUSTOMIZE_CONTROLLER}-tenants"
_NO_TENANTS = f"--watch-label-selector=!{TENANT_LABEL}"
_ONLY_TENANTS = f"--watch-label-selector={TENANT_LABEL}"

# Flags that Flux's controllers get in addition to their release's, each with its controllers.
# The first three keep tenants apart: a custom resource may refer to its own namespace only, a
# kustomization builds from its own repository only, and an object that names no account is
# applied as its namespace's `default`, which has no rights. source-controller needs no flag,
# because no source can refer to another namespace.
FLAGS: Mapping[str, Sequence[str]] = {
    "--no-cross-namespace-refs=true": (
        KUSTOMIZE_CONTROLLER,
        "helm-controller",
        "notification-controller",
        "image-reflector-controller",
        "image-automation-controller",
    ),
    "--no-remote-bases=true": (KUSTOMIZE_CONTROLLER,),
    "--default-service-account=default": (KUSTOMIZE_CONTROLLER, "helm-controller"),
    # Flux checks a dependency every 30 s by default, so a commit would take minutes to pass
    # through all stages and the tenants.
    "--requeue-dependency=5s": (KUSTOMIZE_CONTROLLER, "helm-controller"),
    _NO_TENANTS: (KUSTOMIZE_CONTROLLER,),
}
# Each of Flux's Deployments has its controller as the only container.
_ARGS = "/spec/template/spec/containers/0/args"


def git_repository(metadata: dict[str, Any], spec: dict[str, Any]) -> Manifest:
    """Return a Flux GitRepository."""
    return {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": metadata,
        "spec": spec,
    }


def kustomization(metadata: dict[str, Any], spec: dict[str, Any]) -> Manifest:
    """Return a Flux Kustomization."""
    return {
        "apiVersion": f"{_GROUP}/v1",
        "kind": "Kustomization",
        "metadata": metadata,
        "spec": spec,
    }


def sync(stack: Stack) -> tuple[Manifest, Manifest]:
    """Return the GitRepository and the root Kustomization, which applies only clusters/<stack>.

    A Flux that is taken over has an inventory of what it applied from another place. It prunes
    nothing while the stack file says `adopts`, and it has an inventory of the tree afterwards.
    """
    repository = stack.config.repository
    metadata = {"name": SYNC_NAME, "namespace": FLUX_NAMESPACE}
    source_spec: dict[str, Any] = {
        "interval": "1m0s",
        "ref": {"branch": repository.branch},
        "url": repository.pull_url,
    }
    if stack.config.pull_token is not None:
        source_spec["secretRef"] = {"name": PULL_SECRET}
    # `pulumi up` waits with this annotation until Flux has applied the entrypoint. The source
    # must not have it, because `pulumi up` sets it there itself, to wait for every pull.
    root_metadata = {**metadata, "annotations": {"pulumi.com/waitFor": "condition=Ready"}}
    root_spec = {
        "interval": "10m0s",
        "path": f"./{stack.path}",
        "prune": stack.config.cluster.adopts is None,
        "serviceAccountName": PLATFORM_ACCOUNT,
        "sourceRef": {"kind": "GitRepository", "name": SYNC_NAME},
    }
    return git_repository(metadata, source_spec), kustomization(root_metadata, root_spec)


def platform_account(stack: Stack) -> tuple[Manifest, Manifest]:
    """Return the ServiceAccount of the platform's own Kustomizations and HelmReleases.

    They install CRDs, namespaces and controllers, so its ClusterRoleBinding allows everything.
    """
    # Flux's controllers are applied after the account. So a cluster whose first `up` was
    # interrupted says that its Flux is of fleet, and which stack it is for.
    annotations = {**NEVER_PRUNED, CLAIM: str(place.of_stack(stack))}
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": PLATFORM_ACCOUNT,
            "namespace": FLUX_NAMESPACE,
            # Flux removes objects as this account; without it, all others would stay.
            "annotations": annotations,
        },
        # Flux's controllers impersonate the account, and no pod runs as it.
        "automountServiceAccountToken": False,
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"{FLUX_NAMESPACE}-{PLATFORM_ACCOUNT}", "annotations": NEVER_PRUNED},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": "cluster-admin",
        },
        "subjects": [
            {"kind": "ServiceAccount", "name": PLATFORM_ACCOUNT, "namespace": FLUX_NAMESPACE}
        ],
    }
    return account, binding


def stage_kustomization(stack: Stack, stage: Stage, earlier: Iterable[Stage]) -> Manifest:
    """Return the Flux Kustomization of a stage, which waits for the `earlier` stages."""
    path = f"{stack.path}/{stage.value}"
    # A stage is ready, and the next one starts, only when all its objects are healthy.
    manifest = _platform_kustomization(stage.value, path, earlier, wait=True)
    if known := facts.of_stack(stack):
        manifest["spec"]["postBuild"] = facts.post_build(known)
    return manifest


def tenant_kustomization(stack: Stack, tenant: Tenant, present: Iterable[Stage]) -> Manifest:
    """Return the Flux Kustomization of a tenant's folder.

    It waits for those of the `present` stages that are before apps; nothing waits for it.
    """
    # A tenant has a Kustomization of its own, so a broken tenant affects nobody else. One build
    # of all tenants would also be slow: its time grows with the square of its objects.
    earlier = [stage for stage in present if stage is not Stage.APPS]
    path = f"{stack.path}/{TENANTS}/{tenant.name}"
    name = tenant_kustomization_name(tenant.name)
    return _platform_kustomization(name, path, earlier, wait=False)


def tenant_kustomization_name(tenant: str) -> str:
    """Return the name of the Flux Kustomization of a tenant's folder."""
    return f"{_TENANT_PREFIX}{tenant}"


def owner_labels(kustomization: str) -> dict[str, str]:
    """Return the labels of all objects that one of the platform's Kustomizations applies."""
    return {f"{_GROUP}/name": kustomization, f"{_GROUP}/namespace": FLUX_NAMESPACE}


def tenant_of(kustomization: str) -> str:
    """Return the tenant whose folder a Flux Kustomization applies, empty if it is none's.

    `kustomization` is its namespace/name.
    """
    namespace, _, name = kustomization.partition("/")
    is_tenants = namespace == FLUX_NAMESPACE and name.startswith(_TENANT_PREFIX)
    return name.removeprefix(_TENANT_PREFIX) if is_tenants else ""


def _platform_kustomization(
    name: str, path: str, earlier: Iterable[Stage], *, wait: bool
) -> Manifest:
    spec: dict[str, Any] = {
        "interval": "5m",
        "retryInterval": "1m",
        "timeout": "5m",
        "prune": True,
        "wait": wait,
        "serviceAccountName": PLATFORM_ACCOUNT,
        "sourceRef": {"kind": "GitRepository", "name": SYNC_NAME},
        "path": f"./{path}",
    }
    if depends_on := [{"name": stage.value} for stage in earlier]:
        spec["dependsOn"] = depends_on
    return kustomization({"name": name, "namespace": FLUX_NAMESPACE}, spec)


@functools.cache
def components(install_manifests: str) -> str:
    """Return Flux's install manifests and the kustomize-controller for tenants, as YAML."""
    for manifest in _objects_with(install_manifests, "Deployment", KUSTOMIZE_CONTROLLER):
        if (
            manifest["kind"] == "Deployment"
            and manifest["metadata"]["name"] == KUSTOMIZE_CONTROLLER
        ):
            return f"{install_manifests.rstrip()}\n---\n{to_yaml(_for_tenants(manifest))}"
    return install_manifests


def _objects_with(install_manifests: str, *words: str) -> Iterator[Manifest]:
    """Yield the objects in whose text all of the words are; the others take long to read."""
    for text in re.split(r"^(?=---(?:\s|$))", install_manifests, flags=re.MULTILINE):
        if all(word in text for word in words):
            yield from _objects(text)


def _for_tenants(controller: Manifest) -> Manifest:
    copied = copy.deepcopy(controller)
    copied["metadata"]["name"] = TENANTS_CONTROLLER
    spec = copied["spec"]
    # Two Deployments must not select each other's pods.
    for labels in (spec["selector"]["matchLabels"], spec["template"]["metadata"]["labels"]):
        labels["app"] = TENANTS_CONTROLLER
    # A patch would come with the next commit only, and until then nothing would keep tenants apart.
    flags = [flag for flag, names in FLAGS.items() if KUSTOMIZE_CONTROLLER in names]
    flags[flags.index(_NO_TENANTS)] = _ONLY_TENANTS
    spec["template"]["spec"]["containers"][0]["args"].extend(flags)
    return copied


@functools.cache
def flag_patches() -> list[dict[str, Any]]:
    """Return kustomize patches that add FLAGS to the components in the tree."""
    return [
        {
            "target": {"kind": "Deployment", "name": f"({'|'.join(controllers)})"},
            "patch": json.dumps([{"op": "add", "path": f"{_ARGS}/-", "value": flag}]),
        }
        for flag, controllers in FLAGS.items()
    ]


def with_flags(install_manifests: str) -> list[Manifest]:
    """Return the objects of the components, with the FLAGS that `flag_patches` adds."""
    objects = _objects(components(install_manifests))
    for manifest in objects:
        for flag, controllers in FLAGS.items():
            if manifest["kind"] == "Deployment" and manifest["metadata"]["name"] in controllers:
                manifest["spec"]["template"]["spec"]["containers"][0]["args"].append(flag)
    return objects


def _objects(install_manifests: str) -> list[Manifest]:
    try:
        found = [item for item in yaml_reader.documents(install_manifests) if item is not None]
        for item in found:
            if not item["kind"] or not item["metadata"]["name"]:
                raise ValueError("an object has no kind or name")
    except (ValueError, LookupError, TypeError):
        raise FleetError(
            "fleet:flux.manifests: is no list of Kubernetes objects; name Flux's install.yaml"
        ) from None
    return found


def apply_waves(objects: Iterable[Manifest]) -> list[list[Manifest]]:
    """Return objects in waves, to be applied one after the other: a later one needs the earlier."""
    waves: tuple[list[Manifest], ...] = ([], [], [])
    numbers = {"Namespace": 0, "CustomResourceDefinition": 0, "Deployment": 2}
    for manifest in objects:
        waves[numbers.get(manifest["kind"], 1)].append(manifest)
    return list(waves)
