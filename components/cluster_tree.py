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
    """One cluster's files and where they go.

    `files` maps a path in the repository to its text; `messages` maps it to its commit message,
    which may change only when the text does. `waves` are those paths in the order in which they
    may be committed, and `entrypoint` is the last of them. `needs` are the resources that have to
    be there before a path is committed, for those that have any.
    """

    repository: pulumi.Input[str]
    branch: pulumi.Input[str]
    files: Mapping[str, str]
    messages: Mapping[str, str]
    waves: Sequence[Sequence[str]]
    entrypoint: str
    needs: Mapping[str, Sequence[pulumi.Resource]] = field(default_factory=dict)


class ClusterTree(pulumi.ComponentResource):
    """One commit a changed file, in an order in which every commit is a valid tree.

    What is referenced is created before, and removed after, what references it.
    """

    files: list[github.RepositoryFile]
    digest: pulumi.Output[str]
    """A short text that is another one after every run that committed something.

    The contents are part of it, as an interrupted run may have committed what no state knows of;
    the commits are, as a file that somebody changed is committed as it was. A removed file is not:
    it goes at the very end, when what no longer refers to it is long committed.
    """

    def __init__(
        self, name: str, args: ClusterTreeArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:ClusterTree", name, None, opts)
        self.files = []
        earlier: list[pulumi.Resource] = []
        for wave in args.waves:
            committed = [
                github.RepositoryFile(
                    path,
                    repository=args.repository,
                    branch=args.branch,
                    file=path,
                    content=args.files[path],
                    commit_message=args.messages[path],
                    # An interrupted run may have committed what the state does not know of.
                    overwrite_on_create=True,
                    opts=pulumi.ResourceOptions(
                        parent=self,
                        depends_on=[*earlier, *args.needs.get(path, ())],
                        # `pulumi destroy` has to be told first that this is meant.
                        protect=path == args.entrypoint,
                        # And even then the entrypoint stays: without it Flux makes one up from
                        # the files left, and prunes as they vanish; with it the build only fails.
                        retain_on_delete=path == args.entrypoint,
                    ),
                )
                for path in wave
            ]
            self.files += committed
            earlier = [*committed]
        self.digest = pulumi.Output.all(
            *(text for file in self.files for text in (file.content, file.commit_sha))
        ).apply(_digest)
        self.register_outputs({})


def _digest(texts: Sequence[str]) -> str:
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:12]
