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
from fleet.identity import branch, cluster, judge
from fleet.identity.github_api import GitHubApi
from fleet.identity.reality import Branch, Cluster, Reality, Unreachable, blob_sha
from fleet.render import identity_file, place_moves
from fleet.render.place_moves import FormerTree

# Flux pulls twice and applies twice in a move.
_MOVE_SECONDS = 180
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
    def existing(self) -> set[str]:
        """The paths that the branch has already with the text that this run wants.

        A Flux that is taken over may follow the repository under a former name, and the engine
        would remove a file under that name after it has imported it under the new one.
        """
        if self.takes_over:
            return set()
        before = self.reality.branch.files
        return {path for path, text in self.files.items() if before.get(path) == blob_sha(text)}

    @property
    def former_tree(self) -> FormerTree | None:
        """The tree that the cluster moves from, None if it moves from none."""
        there = self.reality.former
        former = place_moves.former_tree(self.stack, self.files, there.files) if there else None
        # The provider would commit a file again whose last commit the state does not know.
        if there and former and there.files.get(former.redirect or "") == blob_sha(former.text):
            return dataclasses.replace(former, redirect=None)
        return former

    @property
    def takes_over(self) -> bool:
        """Whether this run takes over a Flux that another tool installed or that was elsewhere."""
        return judge.takes_over(self.reality, self.stack)

    def confirm(self, tree: ClusterTree, sync: Sequence[pulumi.Resource]) -> None:
        """Fail the run if Flux has not pulled what the run has committed; `sync` comes before."""
        if pulumi.runtime.is_dry_run():
            return
        existing = self.existing
        committed = [commit for path, commit in tree.commits.items() if path not in existing]
        # The URNs are known when the resources are there, so Flux has pulled by then.
        followed = [resource.urn for resource in sync]
        pulumi.Output.all(committed, followed).apply(lambda known: self._expect_pulled(known[0]))

    def _expect_pulled(self, commits: Sequence[str]) -> None:
        """Raise RunError, whose text the engine prints, unless Flux has pulled these commits."""
        end = time.monotonic() + _MOVE_SECONDS
        while problem := self._not_arrived(commits):
            # Flux follows another place when it has applied the file that leads there.
            if self.reality.former is None or time.monotonic() > end:
                raise pulumi.RunError(problem)
            time.sleep(_PAUSE_SECONDS)

    def _not_arrived(self, commits: Sequence[str]) -> str | None:
        after = cluster.read(self.kubeconfig, self.stack.config.cluster.context)
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
    problems = judge.judge(reality, stack, files)
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
    former = place_moves.former_stack(stack)
    if former is None:
        return None
    return branch.read(GitHubApi(repository=former.config.repository, token=token), former, {})


def _identity_file(stack: Stack, reality: Reality) -> dict[str, str]:
    found = reality.cluster
    uid = found.uid if isinstance(found, Cluster) else reality.branch.identity
    return {} if uid is None else {identity_file.path(stack): identity_file.text(uid)}
