"""The check of tenants' repositories, from clones, against the fence of each tenant.

Only the fence and the clone are known here, not the other objects in the tenant's namespace.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from fleet.check import pod_os, pod_security, quotas
from fleet.check.pods import Pods, pods_of
from fleet.check.tenant_build import build_folder
from fleet.check.tenant_fence import Fence, fence
from fleet.config.models import Stack
from fleet.config.tenant import tenants_of
from fleet.errors import CommandError
from fleet.inventory.built_object import Build, BuiltObject
from fleet.inventory.finding import Finding
from fleet.kube import artifact
from fleet.kube.artifact import ArtifactFolder


@dataclass(kw_only=True)
class CheckedTenants:
    """The objects and findings of all tenants with a clone, and a line for each without one."""

    objects: list[BuiltObject] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    checked: int = 0
    not_checked: list[str] = field(default_factory=list)


def check_tenants(clones: Path, stacks: Iterable[Stack]) -> CheckedTenants:
    """Build the folder of every tenant of every stack, and find the objects that its fence refuses.

    `clones` has the clones of the tenants' repositories, in folders named as `git clone` does.
    Raises FleetError for a clone that cannot be read.
    """
    fences: dict[str, list[Fence]] = defaultdict(list)
    for stack in stacks:
        for tenant in tenants_of(stack):
            fences[tenant.repository_name].append(fence(stack.name, tenant))
    result = CheckedTenants()
    found: list[tuple[Path, list[Fence]]] = []
    for name, fences_of_clone in sorted(fences.items()):
        if reason := _reason_not_checked(clones / name, fences_of_clone):
            tenants = sorted({fence.tenant.name for fence in fences_of_clone})
            result.not_checked += [f"{tenant}: {reason}, not checked" for tenant in tenants]
        else:
            found.append((clones / name, fences_of_clone))
            result.checked += len(fences_of_clone)
    with ThreadPoolExecutor(max_workers=4) as pool:
        for build in pool.map(lambda pair: _check_clone(*pair), found):
            result.objects += build.objects
            result.findings += build.findings
    return result


def _reason_not_checked(clone: Path, fences: Iterable[Fence]) -> str | None:
    if not clone.is_dir():
        return f"no clone in {clone}"
    urls = {fence.tenant.repository.url.rstrip("/").removesuffix(".git") for fence in fences}
    if len(urls) > 1:
        return f"{clone} may be a clone of {' or '.join(sorted(urls))}"
    return None


def _check_clone(clone: Path, fences: Iterable[Fence]) -> Build:
    result = Build([], [])
    with tempfile.TemporaryDirectory(prefix="fleet-tenants-") as folder:
        copy = Path(folder).resolve() / "clone"
        try:
            artifact.pack(clone, copy)
        except CommandError as error:
            return Build([], [Finding(file=clone.name, object="", problem=str(error))])
        for fence in fences:
            path = fence.tenant.path
            file = (PurePath(clone.name) / path).as_posix()
            cloned = ArtifactFolder(repository=clone, copy=copy, path=path, file=file)
            build = build_folder(cloned, fence.tenant.namespace)
            result.objects.extend(build.objects)
            found = (*build.findings, *refusals(fence, cloned.file, build.objects))
            result.findings.extend(_for_cluster(fence, finding) for finding in found)
    return result


def _for_cluster(fence: Fence, finding: Finding) -> Finding:
    """Return a finding that names its cluster, without the line breaks that a manifest may have."""
    problem = f"stack {fence.stack}, namespace {fence.tenant.namespace}: {finding.problem}"
    name, problem = (" ".join(text.split()) for text in (finding.object, problem))
    return Finding(file=finding.file, object=name, problem=problem)


def refusals(fence: Fence, file: str, objects: Sequence[BuiltObject]) -> Iterator[Finding]:
    """Yield a finding for each object, pod or quota that the fence makes the cluster refuse.

    `file` is the folder that the objects are built from.
    """
    accepted: list[BuiltObject] = []
    for built in objects:
        if problem := _refusal(fence, built):
            yield built.finding(problem)
        else:
            accepted.append(built)
    created = {built.name for built in accepted if built.kind == "ServiceAccount"}
    used: dict[str, quotas.Amounts] = {}
    for built in accepted:
        pods = pods_of(built)
        used[built.display_name] = quotas.usage(built, pods, fence.limits)
        if pods is not None:
            yield from _pod_findings(fence, pods, fence.accounts | created)
    yield from quotas.exceeded(file, used, fence.used_by_platform, fence.quotas)


def _refusal(fence: Fence, built: BuiltObject) -> str | None:
    """Return the reason why Flux, with the tenant's account, may not apply an object."""
    allowed = fence.allows(built)
    if not allowed and not fence.can_allow(built):
        return f"{built.resource} are reserved for the platform; remove it"
    if fence.contains(built):
        return "is part of the tenant's fence, which only the platform changes; remove it"
    if not allowed:
        return (
            f"the tenant's role does not allow {built.resource}; remove it, or ask the platform "
            "for another role or for extraKinds"
        )
    if built.namespace is None:
        return (
            f"{built.resource} are cluster-wide, and the tenant has rights only in its namespace; "
            "remove it"
        )
    if built.namespace != fence.tenant.namespace:
        return (
            f"is applied to namespace {built.namespace}, where the tenant has no rights; "
            f"keep it in {fence.tenant.namespace}"
        )
    return None


def _pod_findings(fence: Fence, pods: Pods, accounts: set[str]) -> Iterator[Finding]:
    yield from pod_security.findings(fence.pod_security, pods)
    yield from pod_os.findings(pods)
    yield from quotas.container_findings(pods, fence.limits, fence.quotas)
    yield from quotas.priority_findings(pods, fence.quotas)
    account = str(pods.spec.get("serviceAccountName") or "default")
    if account not in accounts:
        problem = f"the namespace has no ServiceAccount {account}; remove serviceAccountName"
        yield pods.finding(problem)
