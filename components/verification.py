"""The comparison of a stack with its cluster and its branch, before a run and after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.cluster_tree import ClusterTree
from fleet.config.models import Stack
from fleet.errors import ConfigError, FleetError
from fleet.identity import branch, cluster, judge
from fleet.identity.github_api import GitHubApi
from fleet.identity.reality import Cluster, Reality, Unreachable, blob_sha
from fleet.render import identity_file


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
    def former(self) -> Mapping[str, str]:
        """The files of the stack's tree as they are on the branch, path to text."""
        branch = self.reality.branch
        paths = [path for path in branch.files if path.startswith(f"{self.stack.path}/")]
        texts = {path: branch.texts.get(path, self.files.get(path)) for path in paths}
        return {path: text for path, text in texts.items() if text is not None}

    @property
    def is_reached(self) -> bool:
        """Whether the cluster has answered."""
        return isinstance(self.reality.cluster, Cluster)

    @property
    def takes_over(self) -> bool:
        """Whether this run takes over a Flux that another tool installed or that was elsewhere."""
        return judge.takes_over(self.reality, self.stack)

    def confirm(self, tree: ClusterTree, sync: Sequence[pulumi.Resource]) -> None:
        """Fail the run if Flux has not pulled what the run has committed; `sync` comes before."""
        if pulumi.runtime.is_dry_run():
            return
        before = self.reality.branch.files
        committed = [
            commit
            for path, commit in tree.commits.items()
            if before.get(path) != blob_sha(self.files[path])
        ]
        # The URNs are known when the resources are there, so Flux has pulled by then.
        followed = [resource.urn for resource in sync]
        pulumi.Output.all(committed, followed).apply(lambda known: self._expect_pulled(known[0]))

    def _expect_pulled(self, commits: Sequence[str]) -> None:
        """Raise RunError, whose text the engine prints, unless Flux has pulled these commits."""
        after = cluster.read(self.kubeconfig, self.stack.config.cluster.context)
        try:
            missing = set(commits) - self._pulled(after) if commits else set[str]()
        except FleetError as error:
            raise pulumi.RunError(str(error)) from None
        if problem := judge.not_arrived(self.reality, after, self.stack, missing):
            raise pulumi.RunError(problem)

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


def _identity_file(stack: Stack, reality: Reality) -> dict[str, str]:
    found = reality.cluster
    uid = found.uid if isinstance(found, Cluster) else reality.branch.identity
    return {} if uid is None else {identity_file.path(stack): identity_file.text(uid)}
