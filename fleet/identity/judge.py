"""The judgement whether a stack may be written: what is refused, and the way on.

Everything here decides from plain values. What a run writes is never decided by the state of
Pulumi, which may be lost or belong to another time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator

from fleet.config.keys import key_at
from fleet.config.models import Stack
from fleet.config.problem import problem
from fleet.config.tenant import tenants_of
from fleet.identity import edited_files, former
from fleet.identity.reality import Branch, Cluster, Reality, Unreachable, blob_sha
from fleet.kube.namespaces import FLUX_NAMESPACE
from fleet.render import facts, flux, header, identity_file, layout, place, stages


def judge(reality: Reality, stack: Stack, files: Collection[str]) -> list[str]:
    """Return the reasons why a stack may not be written, one line each.

    `files` are the paths that the run generates. A cluster that cannot be reached gives no reason
    here; `unverified` tells about it.
    """
    branch, cluster = reality.branch, reality.cluster
    if branch.head is None:
        return [_missing_branch(branch, stack)]
    problems = [*_edited_files(branch, stack, files)]
    if isinstance(cluster, Cluster):
        # The others follow from the first one, and have another way on.
        reasons = [
            *former.problems(reality.former, cluster, stack),
            *_identity_problems(cluster, branch, stack),
        ]
        problems += reasons[:1]
        problems += _other_installations(cluster, stack)
    return problems


def unverified(cluster: Unreachable, stack: Stack) -> str:
    """Return the line about a cluster that cannot be reached."""
    return _about_context(
        stack,
        f"{_context(stack)} cannot be reached, so its identity is not verified: {cluster.reason}; "
        "repair the connection and run the same command again",
    )


def takes_over(reality: Reality, stack: Stack) -> bool:
    """Say whether this run takes over the Flux of a cluster, by decision of the stack file.

    What such a Flux runs must not be pruned when it begins to follow the stack's tree. An
    interrupted run may have made it follow already, so the decision alone counts.
    """
    cluster = reality.cluster
    return isinstance(cluster, Cluster) and cluster.uid == stack.config.cluster.adopts


def is_move(before: Reality, stack: Stack) -> bool:
    """Say whether Flux followed another place before this run, so that it has to apply this one."""
    return before.former is not None or takes_over(before, stack)


def not_arrived(
    before: Reality, after: Cluster | Unreachable, stack: Stack, missing: Collection[str]
) -> str | None:
    """Return the reason why a run has not reached its cluster, None if it has.

    `after` is the cluster at the end of the run, and `missing` are the commits of the run that its
    Flux has not pulled.
    """
    if isinstance(after, Unreachable):
        return unverified(after, stack)
    leads = f"{_context(stack)} leads to the cluster {after.uid}"
    here = place.of_stack(stack)
    again = "run `pulumi up` again"
    if isinstance(before.cluster, Cluster) and before.cluster.uid != after.uid:
        text = f"{leads} now, and led to {before.cluster.uid} before; {again}"
    elif after.follows is None or not after.follows.is_same(here):
        follows = after.follows or "nothing"
        text = f"{leads}, which follows {follows} after this run, and not {here}; {again}"
    elif missing:
        text = (
            f"{leads}, whose Flux has pulled the commit {after.pulled or 'none'}, which does not "
            f"contain {min(missing)} of this run; {again}"
        )
    elif is_move(before, stack) and after.applied != f"{here.branch}@sha1:{after.pulled}":
        text = (
            f"{leads}, whose Flux has pulled the commit {after.pulled or 'none'} of {here} and has "
            f"applied {after.applied or 'nothing'}; {again}"
        )
    else:
        return None
    return _about_context(stack, text)


def old_facts(after: Cluster | Unreachable, stack: Stack, changed: Collection[str]) -> str | None:
    """Return the reason why a `changed` stage may have objects with old facts, None if none has."""
    if isinstance(after, Unreachable):
        return unverified(after, stack)
    expected = facts.checksum(facts.of_stack(stack))
    for stage in sorted(changed):
        if after.facts.get(stage) != expected:
            reason = after.messages.get(stage) or "it says nothing"
            return problem(
                stack.file,
                key_at(("facts",)),
                f"the stage {stage} has not applied the changed facts: {reason}; "
                f"repair it, and look with `flux get kustomizations {stage}`",
            )
    return None


def _missing_branch(branch: Branch, stack: Stack) -> str:
    # For a token without the right to read a repository, GitHub says that it does not exist.
    text = (
        f"{branch.name!r} does not exist in {branch.repository}, or github:token does not reach "
        "that repository; create the branch and push it, or give the token access"
    )
    return problem(stack.file, key_at(("repository", "branch")), text)


def _edited_files(branch: Branch, stack: Stack, files: Collection[str]) -> Iterator[str]:
    action = "run `fleet render --out .`, review the difference, commit and push it"
    has_checksums = _has_checksums(branch, stack)
    for path, text in sorted(branch.texts.items()):
        if edited_files.is_edited(
            stack, text, is_generated=path in files, has_checksums=has_checksums
        ):
            yield (
                f"{path}: was edited on {branch.name}, because its text is not the one that its "
                f"header has the checksum of; {action}"
            )
    own = identity_file.path(stack)
    if own in branch.files and branch.identity is None:
        yield f"{own}: was edited on {branch.name}, so its cluster is not known; restore the file"


def _has_checksums(branch: Branch, stack: Stack) -> bool:
    """Say whether all generated files of the tree have checksums, which earlier versions wrote not.

    The entrypoint is committed last. Until it has one, an interrupted run may have left others.
    """
    entrypoint = f"{stack.path}/{layout.ENTRYPOINT}"
    text = branch.texts.get(entrypoint)
    # A file without a text is as it will be written.
    return entrypoint in branch.files and (text is None or header.has_checksum(text))


def _identity_problems(cluster: Cluster, branch: Branch, stack: Stack) -> Iterator[str]:
    """Yield the reasons why the stack may not have this cluster, the clearest one first."""
    config = stack.config.cluster
    here, elsewhere = place.of_stack(stack), _elsewhere(cluster, stack)
    leads = f"{_context(stack)} leads to the cluster {cluster.uid}"
    if branch.identity not in (None, cluster.uid, config.replaces):
        tree = f"{stack.path} on {branch.name} is for the cluster {branch.identity}"
        if elsewhere:
            text = f"{leads}, which follows {elsewhere}, but {tree}; name the context of that one"
        else:
            text = (
                f"{leads}, but {tree}; correct the context, or set "
                f"{key_at(('cluster', 'replaces'))}: {branch.identity} if it was rebuilt"
            )
        yield _about_context(stack, text)
    for other in _other_trees(cluster, branch, stack):
        yield _about_context(
            stack,
            f"{leads}, which is also the cluster of {other} on {branch.name}; keep one stack for "
            f"each cluster, or set {former.key_for(other)} if the stack was renamed",
        )
    adopt = f"to take it over, set {key_at(('cluster', 'adopts'))}: {cluster.uid}"
    move = former.way_on(cluster, stack)
    if config.adopts == cluster.uid:
        return
    if elsewhere:
        yield _about_context(
            stack, f"{leads}, which follows {elsewhere}, but this stack is {here}; {move or adopt}"
        )
    elif _is_foreign(cluster):
        where = ", ".join(cluster.controllers) or FLUX_NAMESPACE
        yield _about_context(
            stack, f"{leads}, which has a Flux in {where} that fleet did not install; {adopt}"
        )


def _other_installations(cluster: Cluster, stack: Stack) -> Iterator[str]:
    """Yield a problem for each Flux, and each part of one, that fleet cannot take over."""
    has = f"{_context(stack)} leads to the cluster {cluster.uid}, which has"
    for namespace in cluster.controllers:
        if namespace != FLUX_NAMESPACE:
            yield _about_context(
                stack,
                f"{has} another Flux in the namespace {namespace}; remove it with `flux uninstall "
                f"--namespace {namespace}`, which leaves what it applied",
            )
    is_adopted = stack.config.cluster.adopts == cluster.uid
    if is_adopted and cluster.changing_fields:
        # Suspended, it does not move or prune what it has applied with these fields.
        removal = {"suspend": True, **dict.fromkeys(cluster.changing_fields)}
        connection = stack.config.cluster
        yield _about_context(
            stack,
            f"{has} a root Kustomization that changes what it applies by spec."
            f"{', spec.'.join(cluster.changing_fields)}; suspend it and remove that: kubectl "
            f"--kubeconfig {connection.kubeconfig} --context {connection.context} -n "
            f"{FLUX_NAMESPACE} patch kustomization {flux.SYNC_NAME} --type=merge "
            f"-p='{json.dumps({'spec': removal}, separators=(',', ':'))}'",
        )
    for name in _kustomization_names(stack) if is_adopted else ():
        path = cluster.kustomizations.get(name)
        if path is not None and not path.startswith(f"{stack.path}/"):
            yield _about_context(
                stack,
                f"{has} a Kustomization {FLUX_NAMESPACE}/{name} of {path}, and the tree's of the "
                "same name would prune what it applied; set spec.prune: false in it and delete it",
            )
    for name in cluster.operators:
        yield _about_context(
            stack,
            f"{has} the FluxInstance {name}, which installs another Flux; delete it, which leaves "
            "what Flux applied",
        )


def _kustomization_names(stack: Stack) -> list[str]:
    """Return the names of the tree's Flux Kustomizations, without the root."""
    tenants = (flux.tenant_kustomization(stack, tenant, ()) for tenant in tenants_of(stack))
    return [
        *(stage.value for stage in stages.entries_by_stage(stack)),
        *(kustomization["metadata"]["name"] for kustomization in tenants),
    ]


def _elsewhere(cluster: Cluster, stack: Stack) -> str | None:
    """Return the other place that a cluster follows, or for which fleet began to install Flux."""
    here = place.of_stack(stack)
    accepted = [here, *former.places(stack)]
    if cluster.follows is not None:
        is_accepted = any(cluster.follows.is_part_of(accept) for accept in accepted)
        return None if is_accepted else str(cluster.follows)
    return None if cluster.claim in ("", *map(str, accepted)) else cluster.claim


def _is_foreign(cluster: Cluster) -> bool:
    is_there = cluster.follows is not None or FLUX_NAMESPACE in cluster.controllers
    return is_there and not cluster.installed_by_fleet


def _other_trees(cluster: Cluster, branch: Branch, stack: Stack) -> list[str]:
    """Return the other trees on the branch that are for the same cluster."""
    same = blob_sha(identity_file.text(cluster.uid))
    trees = [
        path.removesuffix(f"/{layout.IDENTITY_FILE}")
        for path, sha in sorted(branch.files.items())
        if sha == same and path.endswith(f"/{layout.IDENTITY_FILE}")
    ]
    return [
        tree
        for tree in trees
        if tree != stack.path and not former.is_left_behind(branch, tree, stack)
    ]


def _context(stack: Stack) -> str:
    return repr(stack.config.cluster.context)


def _about_context(stack: Stack, text: str) -> str:
    return problem(stack.file, key_at(("cluster", "context")), text)
