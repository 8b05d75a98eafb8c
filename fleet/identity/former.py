"""The place that a cluster moves from, and what is left there of its tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleet.config.git_urls import same_repository
from fleet.config.keys import key_at
from fleet.config.models import Stack
from fleet.config.problem import problem
from fleet.identity.reality import Branch, Cluster, Reality
from fleet.render import facts, header, layout, place, place_moves
from fleet.render.place import Place

_KEY = key_at(("cluster", "movesFrom"))
_CLUSTERS = "clusters/"


def places(stack: Stack) -> list[Place]:
    """Return the places that the cluster may follow while it moves, apart from the stack's own.

    Flux changes the branch and the path one after the other, so it can follow one new part only.
    """
    former = place_moves.former_stack(stack)
    if former is None:
        return []
    here, there = place.of_stack(stack), place.of_stack(former)
    return [
        Place(url=here.url, branch=branch, path=path)
        for branch in dict.fromkeys((there.branch, here.branch))
        for path in dict.fromkeys((there.path, here.path))
        if (branch, path) != (here.branch, here.path)
    ]


def stack_files(stack: Stack) -> list[str]:
    """Return the name of the stack file from which the former tree was made, in a list.

    A cluster that moves back finds the tree that it left, which leads to the one it comes from.
    """
    former = place_moves.former_stack(stack)
    return [former.file] if former else []


def problems(branch: Branch | None, cluster: Cluster, stack: Stack) -> Iterator[str]:
    """Yield the reason why a cluster cannot move from the tree that `branch` has."""
    former = place_moves.former_stack(stack)
    if former is None or branch is None or not place_moves.has_tree(former, branch.files):
        return
    tree = f"{former.path} on {branch.name}"
    if branch.identity is None:
        yield problem(
            stack.file,
            _KEY,
            f"{tree} does not name its cluster, because an earlier version wrote it; "
            "run `pulumi up` there once with this version, and move then",
        )
    elif branch.identity != cluster.uid:
        yield problem(
            stack.file,
            _KEY,
            f"{tree} is for the cluster {branch.identity}, but {stack.config.cluster.context!r} "
            f"leads to the cluster {cluster.uid}; name the place that this one follows",
        )


def changes(reality: Reality, stack: Stack, files: Mapping[str, str]) -> Iterator[str]:
    """Yield the problem of a tree that changes while its cluster moves.

    Flux follows the new tree in one step, so no order of commits could keep what moves from one
    stage to another.
    """
    former, there = place_moves.former_stack(stack), reality.former
    follows = reality.cluster.follows if isinstance(reality.cluster, Cluster) else None
    if former is None or there is None or follows is None:
        return
    if not any(follows.is_same(place_before) for place_before in places(stack)):
        return
    of_place = (layout.SYNC_FILE, layout.ACCOUNT_FILE, layout.IDENTITY_FILE)
    left_out = {f"{stack.path}/{name}" for name in of_place}
    generated = header.first_line(former.file)
    before = {
        _moved(path, former, stack): _moved(header.body(text), former, stack)
        for path, text in there.texts.items()
        if text.startswith(generated)
    }
    # The name of a cluster is a fact, so a move to another stack name changes this one.
    before = facts.of_cluster(before, f"{stack.path}/{layout.FACTS_FILE}", stack.name)
    after = {path: header.body(text) for path, text in files.items()}
    changed = {path for path in before | after if before.get(path) != after.get(path)} - left_out
    if changed:
        yield problem(
            stack.file,
            _KEY,
            f"{min(changed)} differs from the tree that the cluster follows, {former.path} on "
            f"{there.name}; move the cluster first, and make the change in a later run",
        )


def _moved(text: str, former: Stack, stack: Stack) -> str:
    return text.replace(f"{former.path}/", f"{stack.path}/")


def way_on(cluster: Cluster, stack: Stack) -> str | None:
    """Return the way on for a cluster that follows another place of the same repository."""
    follows, here = cluster.follows, place.of_stack(stack)
    if (
        follows is None
        or not follows.branch
        or not follows.path.startswith(_CLUSTERS)
        or same_repository(follows.url) != same_repository(here.url)
    ):
        return None
    parts = {
        "branch": follows.branch if follows.branch != here.branch else None,
        "stack": follows.path.removeprefix(_CLUSTERS) if follows.path != here.path else None,
    }
    return f"correct the context, or set {_key(**parts)} to move the cluster from there"


def key_for(tree: str) -> str:
    """Return the key of a cluster that moves from a tree of the same branch."""
    return _key(stack=tree.removeprefix(_CLUSTERS))


def is_left_behind(branch: Branch, tree: str, stack: Stack) -> bool:
    """Say whether a tree on the stack's branch is one that the cluster moves from or has left.

    A tree is removed entrypoint first, so one without an entrypoint is no tree any more.
    """
    redirected = branch.files.get(f"{tree}/{layout.SYNC_FILE}")
    return (
        f"{tree}/{layout.ENTRYPOINT}" not in branch.files
        or tree in [known.path for known in places(stack)]
        or (
            redirected is not None
            and redirected == branch.files.get(f"{stack.path}/{layout.SYNC_FILE}")
        )
    )


def _key(**parts: str | None) -> str:
    return f"{_KEY}: {{{', '.join(f'{part}: {value}' for part, value in parts.items() if value)}}}"
