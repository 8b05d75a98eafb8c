"""A team's own repository on GitHub, made once; from then on it is the team's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_github as github


@dataclass(frozen=True, kw_only=True)
class TeamRepositoryArgs:
    """The repository's name and branch, what it starts with, and who may write to it.

    `files` maps a path to its text; `github_team` is a team's slug, or None.
    """

    repository: str
    branch: str
    files: Mapping[str, str]
    github_team: str | None


class TeamRepository(pulumi.ComponentResource):
    """A private repository with something to deploy in each environment.

    What the team makes of it is never undone, and nothing of it goes with the stack, or with the
    team: removing code is for people.
    """

    resources: list[pulumi.Resource]
    """The repository and what it starts with."""

    def __init__(
        self, name: str, args: TeamRepositoryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:TeamRepository", name, None, opts)
        theirs = pulumi.ResourceOptions(parent=self, ignore_changes=["*"], retain_on_delete=True)
        repository = github.Repository(
            args.repository,
            name=args.repository,
            description=f"What {name} runs, and where",
            visibility="private",
            # A branch to begin with: files cannot be added to a repository without one.
            auto_init=True,
            opts=theirs,
        )
        self.resources = [repository]
        for path, text in args.files.items():
            file = github.RepositoryFile(
                f"{args.repository}/{path}",
                repository=repository.name,
                branch=args.branch,
                file=path,
                content=text,
                commit_message=f"Start with {path}",
                # An interrupted run may have committed what the state does not know of.
                overwrite_on_create=True,
                opts=theirs,
            )
            self.resources.append(file)
        if args.github_team is not None:
            github.TeamRepository(
                f"{args.repository}/{args.github_team}",
                repository=repository.name,
                team_id=args.github_team,
                permission="push",
                opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
            )
        self.register_outputs({})
