"""What teams would deploy, built from clones of their repositories, and what their fences refuse.

A fence is taken from the documents that the platform keeps in the cluster for the team. What the
namespace holds besides is not known here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from pydantic import ValidationError

from fleet.check import pod_security, pods, quotas, tenant_build
from fleet.check.findings import Built, Finding
from fleet.check.pods import Content, Pods, at
from fleet.config.models import Stack
from fleet.config.tenant import Tenant, tenants_of
from fleet.config.tenant_models import ExtraKinds
from fleet.render import tenant_manifests

# What Flux does to an object in the course of its life.
_VERBS = ("get", "create", "patch", "delete")


@dataclass(kw_only=True)
class Checked:
    """What was built and found, of how many teams, and a line for each without a clone."""

    objects: list[Built] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    checked: int = 0
    not_checked: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Fence:
    """What holds a team in one cluster: the platform's documents, by kind."""

    stack: str
    tenant: Tenant
    documents: Mapping[str, Sequence[Content]]

    @property
    def pod_security(self) -> str:
        """The Pod Security level that its namespace enforces."""
        (namespace,) = self.documents["Namespace"]
        labels = at(namespace, "metadata", "labels")
        return str(labels.get("pod-security.kubernetes.io/enforce"))

    @property
    def limits(self) -> list[Content]:
        """What its LimitRanges consist of."""
        return [
            item for found in self.documents["LimitRange"] for item in at(found, "spec")["limits"]
        ]

    @property
    def quotas(self) -> Sequence[Content]:
        """Its ResourceQuotas."""
        return self.documents["ResourceQuota"]

    @property
    def accounts(self) -> set[str]:
        """The ServiceAccounts of its namespace."""
        found = (at(item, "metadata") for item in self.documents["ServiceAccount"])
        own = {str(m["name"]) for m in found if m["namespace"] == self.tenant.namespace}
        return {"default", *own}

    @property
    def already(self) -> Mapping[str, int]:
        """How much its namespace holds that is not the team's, as quotas count."""
        tenant = self.tenant
        credentials = tenant.reads_with_secret and tenant.flux_namespace == tenant.namespace
        # Kubernetes' kube-root-ca.crt, and with what Flux reads the repository.
        return {"configmaps": 1, "secrets": int(credentials)}

    def holds(self, built: Built) -> bool:
        """Tell whether an object is one of the fence's own."""
        return any(
            Built(path="", content=document).name == built.name
            for document in self.documents.get(built.api[1], ())
        )

    def allows(self, group: str, resource: str) -> bool:
        """Tell whether Flux may do with a kind all that it has to, as RBAC decides."""
        rules = [rule for role in self.documents["Role"] for rule in role["rules"]]
        return all(
            any(
                {verb, "*"} & set(rule["verbs"])
                and {group, "*"} & set(rule["apiGroups"])
                and {resource, "*"} & set(rule["resources"])
                for rule in rules
            )
            for verb in _VERBS
        )


def fence(stack: str, tenant: Tenant) -> Fence:
    """Return the fence of a team."""
    documents: dict[str, list[Content]] = {}
    for document in tenant_manifests.manifests_of(tenant):
        documents.setdefault(document["kind"], []).append(document)
    return Fence(stack=stack, tenant=tenant, documents=documents)


def check(clones: Path, stacks: Iterable[Stack]) -> Checked:
    """Build what every team of every stack would deploy, and find what would be refused.

    `clones` holds the teams' repositories, each in the folder that `git clone` makes for it.
    Raises FleetError for a clone that cannot be read.
    """
    fences: dict[str, list[Fence]] = {}
    for stack in stacks:
        for tenant in tenants_of(stack):
            fences.setdefault(tenant.repository_name, []).append(fence(stack.name, tenant))
    result = Checked()
    here: list[tuple[Path, list[Fence]]] = []
    for folder, tenants in sorted(fences.items()):
        reason = _not_one_repository(clones / folder, tenants)
        if reason:
            names = sorted({fence.tenant.name for fence in tenants})
            result.not_checked += [f"{name}: {reason}, not checked" for name in names]
        else:
            here.append((clones / folder, tenants))
            result.checked += len(tenants)
    with ThreadPoolExecutor(max_workers=4) as pool:
        for objects, findings in pool.map(lambda pair: _check_clone(*pair), here):
            result.objects += objects
            result.findings += findings
    return result


def _not_one_repository(clone: Path, tenants: Iterable[Fence]) -> str | None:
    if not clone.is_dir():
        return f"no clone in {clone}"
    urls = sorted(
        {fence.tenant.repository.url.rstrip("/").removesuffix(".git") for fence in tenants}
    )
    return f"{clone} may be one of {' and '.join(urls)}" if len(urls) > 1 else None


def _check_clone(clone: Path, tenants: Iterable[Fence]) -> tuple[list[Built], list[Finding]]:
    objects: list[Built] = []
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="fleet-tenants-") as folder:
        copy = Path(folder).resolve() / "clone"
        tenant_build.copy_clone(clone, copy)
        for fence in tenants:
            path, namespace = fence.tenant.path, fence.tenant.namespace
            file = (PurePath(clone.name) / path).as_posix()
            build = tenant_build.build(clone, copy, path, namespace)
            built = [Built(path=file, content=content) for content in build.contents]
            objects += built
            for name, problem in (*build.problems, *refused(fence, built)):
                told = f"stack {fence.stack}, namespace {namespace}: {problem}"
                # A team's manifests may have line breaks where nobody expects them.
                name, told = (" ".join(text.split()) for text in (name, told))
                findings.append(Finding(file=file, object=name, problem=told))
    return objects, findings


def refused(fence: Fence, objects: Iterable[Built]) -> Iterator[tuple[str, str]]:
    """Yield (object, problem) of what the fence refuses among what Flux would apply."""
    used: dict[str, quotas.Amounts] = {}
    accepted: list[tuple[Built, Pods | None]] = []
    for built in objects:
        group, resource = _resource(built)
        problem = _refused_to_flux(fence, built, group, resource)
        if problem:
            yield built.name, problem
            continue  # what is not applied brings no pods and uses no quota
        brought = pods.of(built.content, group)
        accepted.append((built, brought))
        name = f"{resource}.{group}" if group else resource
        used[built.name] = quotas.usage(built.content, name, brought, fence.limits)
    accounts = {str(b.metadata.get("name")) for b, _ in accepted if b.api[1] == "ServiceAccount"}
    for built, brought in accepted:
        if brought is not None:
            refusal = "refused" if built.api[1] == "Pod" else "accepted, but its pods are refused"
            for problem in _pod_problems(fence, brought, fence.accounts | accounts):
                yield built.name, f"{refusal}: {problem}"
    for quota, problem in quotas.exceeded(used, fence.already, fence.quotas):
        yield f"ResourceQuota {quota}", problem


def _resource(built: Built) -> tuple[str, str]:
    """Return (API group, plural) of an object's kind."""
    group, _, _ = built.api[0].rpartition("/")
    return group, plural(built.api[1])


def plural(kind: str) -> str:
    """Return the name by which the API knows a kind; right for every kind of Kubernetes' own."""
    name = kind.lower()
    if name == "endpoints":
        return name
    if name.endswith(("s", "x", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{name[:-1]}ies"
    return f"{name}s"


def _refused_to_flux(fence: Fence, built: Built, group: str, resource: str) -> str | None:
    """Why the account that Flux acts as for the team may not apply an object."""
    name = f"{resource}.{group}" if group else resource
    namespace = built.metadata.get("namespace")
    allowed = fence.allows(group, resource)
    if not allowed and not _can_be_allowed(group, resource):
        return f"{name} are the platform's, and refused to the team; remove it"
    if fence.holds(built):
        return "is part of the team's fence, which the platform keeps; remove it"
    if not allowed:
        return (
            f"the team's role has no {name}; remove it, or ask the platform for another role or "
            "for extraKinds"
        )
    if namespace is None:
        return f"{name} are of the whole cluster, where the team has no rights; remove it"
    if namespace != fence.tenant.namespace:
        return f"ends up in namespace {namespace}, where the team has no rights; keep it here"
    return None


def _can_be_allowed(group: str, resource: str) -> bool:
    try:
        ExtraKinds.model_validate({"apiGroup": group, "resources": [resource]})
    except ValidationError:
        return False
    return True


def _pod_problems(fence: Fence, brought: Pods, accounts: set[str]) -> Iterator[str]:
    for problem in pod_security.violations(fence.pod_security, brought.template):
        yield f"Pod Security {fence.pod_security}: {problem}"
    yield from quotas.container_problems(brought, fence.limits, fence.quotas)
    priority = str(brought.spec.get("priorityClassName"))
    if priority in quotas.forbidden_priorities(fence.quotas):
        yield f"priorityClassName {priority} is for the cluster's own pods; remove it"
    account = str(brought.spec.get("serviceAccountName") or "default")
    if account not in accounts:
        yield f"the namespace has no ServiceAccount {account}; remove serviceAccountName"
