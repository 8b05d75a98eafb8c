"""The files of `clusters/<cluster>`, committed through the GitHub provider."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_github as github

from fleet.config.models import DEFAULT_BRANCH
from fleet.render.commit_order import Commit
from fleet.render.place_moves import FormerTree


@dataclass(frozen=True, kw_only=True)
class ClusterTreeArgs:
    """The files of one cluster, and the repository and branch that they are committed to.

    `waves` lists the commits in the order in which they may be made. `messages` maps a path to its
    commit message, which may change only when the text does. `entrypoint` is the path of the file
    that lists everything else. `needs` maps a path to the resources that must exist before that
    file is committed. `existing` are the paths that the branch has already as they will be.
    `former` is the tree that the cluster moves from. No name can be an output: resource names and
    import ids contain them.
    """

    repository: str
    branch: str
    messages: Mapping[str, str]
    waves: Sequence[Sequence[Commit]]
    entrypoint: str
    needs: Mapping[str, Sequence[pulumi.Resource]] = field(default_factory=dict)
    existing: Container[str] = ()
    former: FormerTree | None = None


class ClusterTree(pulumi.ComponentResource):
    """One commit for each changed file, in an order in which every commit is a valid tree.

    A cluster that moves has two trees for a while: Flux is led from the former one to the new one
    when that is complete, and the former one is removed by the run that no longer registers it.
    Files that left the tree are removed at the end, when nothing refers to them any more.
    """

    files: list[github.RepositoryFile]
    commits: dict[str, pulumi.Output[str]]
    """The last commit of each file, by its path."""
    digest: pulumi.Output[str]
    """A short text that changes with every run that commits something.

    The contents are part of it, because a run that was interrupted may have committed files that
    the state does not know. The commits are part of it, because a file that somebody changed by
    hand gets its old contents back. Removed files are not: Pulumi removes them at the end, and the
    files that referred to them have changed before.
    """

    def __init__(
        self, name: str, args: ClusterTreeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:ClusterTree", name, None, opts)
        self.files = []
        self._committed: set[str] = set()
        latest: dict[str, github.RepositoryFile] = {}
        earlier_wave: list[github.RepositoryFile] = []
        for wave in args.waves:
            earlier_wave = [self._committed_file(args, commit, earlier_wave) for commit in wave]
            self.files += earlier_wave
            latest |= {commit.path: file for commit, file in zip(wave, earlier_wave, strict=True)}
        self.commits = {path: file.commit_sha for path, file in latest.items()}
        former = self._former_tree(args.repository, args.former) if args.former else []
        self.files += former
        # The order of commits depends on what was committed before, and the digest must not.
        digested = [*(latest[path] for path in sorted(latest)), *former]
        self.digest = pulumi.Output.all(
            *(text for file in digested for text in (file.content, file.commit_sha))
        ).apply(_digest)
        self.register_outputs({})

    def _committed_file(
        self, args: ClusterTreeArgs, commit: Commit, earlier: Sequence[pulumi.Resource]
    ) -> github.RepositoryFile:
        path = commit.path
        is_again = path in self._committed
        self._committed.add(path)
        # Earlier versions named the files of every branch by their paths alone.
        has_former_name = args.branch != DEFAULT_BRANCH and args.former is None
        # A state that is lost, or that an interrupted run did not write, does not know such a file.
        exists = path in args.existing
        name = _resource_name(args.branch, path)
        return github.RepositoryFile(
            # The next run finds this text in the file, and drops the resource of its commit. The
            # name has the text, because an update would need the file as the engine knows it.
            f"{name} ({_digest([commit.text])})" if is_again else name,
            repository=args.repository,
            branch=args.branch,
            file=path,
            content=commit.text,
            commit_message=args.messages[path],
            overwrite_on_create=True,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*earlier, *args.needs.get(path, ())],
                aliases=[pulumi.Alias(name=path)] if has_former_name and not is_again else None,
                import_=_import_id(args.repository, args.branch, path) if exists else None,
                ignore_changes=["*"] if exists else None,
                retain_on_delete=is_again,
                deleted_with=self._entrypoint_owner(args.entrypoint, path),
            ),
        )

    def _former_tree(self, repository: str, former: FormerTree) -> list[github.RepositoryFile]:
        """Register the files of the former tree, and lead Flux from there to the new tree."""
        files: list[github.RepositoryFile] = []
        earlier_wave: list[github.RepositoryFile] = []
        for wave in former.waves:
            earlier_wave = [
                self._former_file(repository, former, path, earlier_wave) for path in wave
            ]
            files += earlier_wave
        return files

    def _former_file(
        self,
        repository: str,
        former: FormerTree,
        path: str,
        earlier: Sequence[pulumi.Resource],
    ) -> github.RepositoryFile:
        is_redirect = path == former.redirect
        return github.RepositoryFile(
            _resource_name(former.branch, path),
            repository=repository,
            branch=former.branch,
            file=path,
            # The other files keep their texts, which this run does not know.
            content=former.text if is_redirect else "",
            commit_message=former.message if is_redirect else None,
            opts=pulumi.ResourceOptions(
                parent=self,
                # Flux may follow the new tree only when all of it is committed.
                depends_on=[*earlier, *(self.files if is_redirect else ())],
                # The file exists, also when the state was lost.
                import_=_import_id(repository, former.branch, path),
                ignore_changes=["overwriteOnCreate"] if is_redirect else ["*"],
                deleted_with=self._entrypoint_owner(former.waves[-1][-1], path),
            ),
        )

    def _entrypoint_owner(self, entrypoint: str, path: str) -> pulumi.Resource | None:
        """Return the resource without which an entrypoint stays in Git, None for other files.

        When a whole stack is destroyed, the entrypoint stays. Without it Flux would generate one
        from the files that are left, and prune what they list as they go. With it the build only
        fails. When the cluster has moved, the former entrypoint goes with its tree.
        """
        return self if path == entrypoint else None


def _resource_name(branch: str, path: str) -> str:
    """Return the name of a file's resource; a state has the trees of two branches in a move."""
    return path if branch == DEFAULT_BRANCH else f"{branch}:{path}"


def _import_id(repository: str, branch: str, path: str) -> str:
    """Return the id by which the provider reads a file that the state does not know."""
    return f"{repository}:{path}:{branch}"


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]
