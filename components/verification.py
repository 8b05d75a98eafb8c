"""The comparison of a stack with its cluster and its branch, before a run and after it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.cluster_tree import ClusterTree
from fleet.config.models import Stack
from fleet.errors import ConfigError, FleetError
from fleet.identity import branch, cluster, definitions, former, judge, offboarding
from fleet.identity.github_api import GitHubApi
from fleet.identity.reality import Branch, Cluster, Reality, Unreachable, blob_sha
from fleet.render import (
    definition_blobs,
    identity_file,
    layout,
    place_moves,
    rendered_moves,
    stages,
)
from fleet.render.place_moves import FormerTree

# Flux pulls twice and applies twice in a move.
_MOVE_SECONDS = 180
# The stages wait for one another, and each for its objects.
_FACTS_SECONDS = 600
_PAUSE_SECONDS = 1


@dataclass(frozen=True, kw_only=True)
class Verification:
    """A stack whose cluster and branch were read before the run registered anything.

    `files` are the texts of the whole tree by path. The identity file is one of them, except in a
    preview that reaches no cluster and finds none on the branch.
    """

    stack: Stack
    kubeconfig: Path
    api: GitHubApi
    reality: Reality
    files: Mapping[str, str]

    @property
    def uid(self) -> str:
        """The UID of the cluster that the run is for, empty if a preview cannot know it."""
        return _uid(self.reality) or ""

    @property
    def existing(self) -> set[str]:
        """The paths that the branch has already with the text that this run wants.

        A Flux that is taken over may follow the repository under a former name, and the engine
        would remove a file under that name after it has imported it under the new one.
        """
        return set() if self.takes_over else self._unchanged

    @property
    def committed(self) -> dict[str, str]:
        """The generated files that the branch has now, path to text."""
        same = {path: self.files[path] for path in self._unchanged}
        return same | dict(self.reality.branch.texts)

    @property
    def _unchanged(self) -> set[str]:
        before = self.reality.branch.files
        return {path for path, text in self.files.items() if before.get(path) == blob_sha(text)}

    @property
    def former_tree(self) -> FormerTree | None:
        """The tree that the cluster moves from, None if it moves from none."""
        there = self.reality.former
        tree = place_moves.former_tree(self.stack, self.files, there.files) if there else None
        # The provider would commit a file again whose last commit the state does not know.
        if there and tree and there.files.get(tree.redirect or "") == blob_sha(tree.text):
            return dataclasses.replace(tree, redirect=None)
        return tree

    @property
    def is_reached(self) -> bool:
        """Tell whether the cluster has answered."""
        return isinstance(self.reality.cluster, Cluster)

    @property
    def takes_over(self) -> bool:
        """Tell whether this run takes over a Flux of another tool or of another place."""
        return judge.takes_over(self.reality, self.stack)

    def compare_definitions(self, root: Path) -> None:
        """Refuse definitions that are not on the branch, and warn about those that differ there.

        A rendered tree is refused if it would not be what the branch has. Raises ConfigError.
        """
        stack, branch = self.stack, self.reality.branch
        folders = definitions.read(root, stack)
        problems = definitions.missing(stack, folders, branch)
        if stack.is_rendered:
            checkout = definition_blobs.in_checkout(root)
            problems += definition_blobs.problems(stack, checkout, branch.files)
            problems += rendered_moves.problems(stack, self.committed, self.files)
        if problems:
            raise ConfigError(problems)
        for line in definitions.different(stack, folders, branch):
            pulumi.log.warn(line)

    def warn_about_namespaces(self) -> None:
        """Warn about namespaces of tenants that are being deleted and do not end."""
        if isinstance(self.reality.cluster, Cluster):
            kubectl = offboarding.command(self.stack, self.kubeconfig)
            for line in offboarding.warnings(self.stack, offboarding.read(kubectl), kubectl):
                pulumi.log.warn(line)

    def confirm(self, tree: ClusterTree, sync: Sequence[pulumi.Resource]) -> None:
        """Fail the run if Flux has not pulled what the run has committed; `sync` comes before."""
        if pulumi.runtime.is_dry_run():
            return
        unchanged = self._unchanged
        committed = [commit for path, commit in tree.commits.items() if path not in unchanged]
        # The URNs are known when the resources are there, so Flux has pulled by then.
        followed = [resource.urn for resource in sync]
        pulumi.Output.all(committed, followed).apply(lambda known: self._expect_applied(known[0]))

    def _expect_applied(self, commits: Sequence[str]) -> None:
        self._expect_pulled(commits)
        self._expect_facts()

    def _expect_pulled(self, commits: Sequence[str]) -> None:
        """Raise RunError, whose text the engine prints, unless Flux has pulled these commits."""
        end = time.monotonic() + _MOVE_SECONDS
        while problem := self._not_arrived(commits):
            # Flux follows another place when it has applied the file that leads there.
            if not judge.is_move(self.reality, self.stack) or time.monotonic() > end:
                raise pulumi.RunError(problem)
            time.sleep(_PAUSE_SECONDS)

    @property
    def _stages_with_changed_facts(self) -> list[str]:
        """The stages that could stay ready with facts that this run has changed."""
        path = f"{self.stack.path}/{layout.FACTS_FILE}"
        if path not in self.files or path in self._unchanged:
            return []
        return [
            stage.value
            for stage in stages.entries_by_stage(self.stack)
            if f"{self.stack.path}/{stage.value}.yaml" in self.reality.branch.files
        ]

    def _expect_facts(self) -> None:
        """Raise RunError unless the stages that were there have applied the changed facts."""
        changed = self._stages_with_changed_facts
        end = time.monotonic() + _FACTS_SECONDS
        while changed and (problem := judge.old_facts(self._cluster(), self.stack, changed)):
            if time.monotonic() > end:
                raise pulumi.RunError(problem)
            time.sleep(_PAUSE_SECONDS)

    def _cluster(self) -> Cluster | Unreachable:
        return cluster.read(self.kubeconfig, self.stack.config.cluster.context)

    def _not_arrived(self, commits: Sequence[str]) -> str | None:
        after = self._cluster()
        try:
            missing = set(commits) - self._pulled(after) if commits else set[str]()
        except FleetError as error:
            raise pulumi.RunError(str(error)) from None
        return judge.not_arrived(self.reality, after, self.stack, missing)

    def _pulled(self, after: Cluster | Unreachable) -> set[str]:
        """Return the commits since the beginning of the run that Flux has pulled."""
        head = self.reality.branch.head
        if isinstance(after, Unreachable) or not after.pulled or head is None:
            return set()
        return branch.commits_since(self.api, head, after.pulled)


def verify(stack: Stack, kubeconfig: Path, files: Mapping[str, str], token: str) -> Verification:
    """Read the cluster and the branch, and refuse a run that would write to the wrong one.

    Raises ConfigError. A preview goes on without a cluster that cannot be reached, and says so.
    """
    api = GitHubApi(repository=stack.config.repository, token=token)
    reality = Reality(
        cluster=cluster.read(kubeconfig, stack.config.cluster.context),
        branch=branch.read(api, stack, files),
        former=_former_branch(stack, token),
    )
    problems = [*judge.judge(reality, stack, files), *former.changes(reality, stack, files)]
    if isinstance(reality.cluster, Unreachable):
        text = judge.unverified(reality.cluster, stack)
        if pulumi.runtime.is_dry_run():
            pulumi.log.warn(text)
        else:
            problems.append(text)
    if problems:
        raise ConfigError(problems)
    return Verification(
        stack=stack,
        kubeconfig=kubeconfig,
        api=api,
        reality=reality,
        files={**files, **_identity_file(stack, reality)},
    )


def _former_branch(stack: Stack, token: str) -> Branch | None:
    there = place_moves.former_stack(stack)
    if there is None:
        return None
    return branch.read(GitHubApi(repository=there.config.repository, token=token), there, {})


def _identity_file(stack: Stack, reality: Reality) -> dict[str, str]:
    uid = _uid(reality)
    return {} if uid is None else {identity_file.path(stack): identity_file.text(uid)}


def _uid(reality: Reality) -> str | None:
    """Return the UID of the cluster, or of the tree's cluster if none can be reached."""
    found = reality.cluster
    return found.uid if isinstance(found, Cluster) else reality.branch.identity
