"""The files of `clusters/<cluster>`, committed through the GitHub provider."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_github as github


@dataclass(frozen=True, kw_only=True)
class ClusterTreeArgs:
    """The files of one cluster, and the repository and branch that they are committed to.

    `files` maps a path in the repository to its text, and `messages` maps it to its commit message,
    which may change only when the text does. `waves` lists the paths in the order in which they may
    be committed; the last path is the entrypoint. `needs` maps a path to the resources that must
    exist before that file is committed.
    """

    repository: pulumi.Input[str]
    branch: pulumi.Input[str]
    files: Mapping[str, str]
    messages: Mapping[str, str]
    waves: Sequence[Sequence[str]]
    needs: Mapping[str, Sequence[pulumi.Resource]] = field(default_factory=dict)


class ClusterTree(pulumi.ComponentResource):
    """One commit for each changed file, in an order in which every commit is a valid tree.

    A file is created before the file that refers to it, and removed after that one.
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
        self.commits = {}
        earlier_wave: list[github.RepositoryFile] = []
        for wave in args.waves:
            earlier_wave = [self._committed_file(args, path, earlier_wave) for path in wave]
            self.files += earlier_wave
            self.commits |= {
                path: file.commit_sha for path, file in zip(wave, earlier_wave, strict=True)
            }
        self.digest = pulumi.Output.all(
            *(text for file in self.files for text in (file.content, file.commit_sha))
        ).apply(_digest)
        self.register_outputs({})

    def _committed_file(
        self, args: ClusterTreeArgs, path: str, earlier: Sequence[pulumi.Resource]
    ) -> github.RepositoryFile:
        is_entrypoint = path == args.waves[-1][-1]
        return github.RepositoryFile(
            path,
            repository=args.repository,
            branch=args.branch,
            file=path,
            content=args.files[path],
            commit_message=args.messages[path],
            # A run that was interrupted may have committed a file that the state does not know.
            overwrite_on_create=True,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[*earlier, *args.needs.get(path, ())],
                # The user has to unprotect the entrypoint before `pulumi destroy` goes on.
                protect=is_entrypoint,
                # The entrypoint stays even then. Without it Flux generates one from the files that
                # are left, and prunes what they list as they go. With it the build only fails.
                retain_on_delete=is_entrypoint,
            ),
        )


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]
