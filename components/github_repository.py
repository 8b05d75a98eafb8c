"""A team's own repository on GitHub, made once; from then on it is the team's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_github as github


@dataclass(frozen=True, kw_only=True)
class GitHubRepositoryArgs:
    """The repository's name and branch, what it starts with, and who may write to it.

    `files` maps a path to its text; `github_team` is a team's slug, or None.
    """

    repository: str
    branch: str
    files: Mapping[str, str]
    github_team: str | None


class GitHubRepository(pulumi.ComponentResource):
    """A private repository with something to deploy in each environment.

    What is there already is taken as it is: nothing that the team makes is ever undone, and a run
    that was interrupted is completed. None of it goes with the stack or the team, removing code is
    for people; only the team's access does.
    """

    resources: list[pulumi.Resource]
    """The repository and what it starts with."""

    def __init__(
        self, name: str, args: GitHubRepositoryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:TeamRepository", name, None, opts)
        there = github.get_repository(
            name=args.repository, opts=pulumi.InvokeOptions(parent=self)
        ).node_id
        repository = github.Repository(
            args.repository,
            name=args.repository,
            description=f"What {name} runs, and where",
            visibility="private",
            # A branch to begin with: files cannot be added to a repository without one.
            auto_init=True,
            opts=self._theirs(args.repository if there else None, []),
        )
        self.resources = [repository]
        for path, text in args.files.items():
            found = self._found(args, path)
            # A folder in which the team has put other files is theirs.
            if found.id or not self._found(args, path.rpartition("/")[0]).id:
                self.resources.append(self._file(args, path, text, bool(found.id)))
        if args.github_team is not None:
            github.TeamRepository(
                f"{args.repository}/{args.github_team}",
                repository=repository.name,
                team_id=args.github_team,
                permission="push",
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})

    def _file(
        self, args: GitHubRepositoryArgs, path: str, text: str, there: bool
    ) -> github.RepositoryFile:
        import_id = f"{args.repository}:{path}:{args.branch}" if there else None
        return github.RepositoryFile(
            f"{args.repository}/{path}",
            repository=args.repository,
            branch=args.branch,
            file=path,
            content=text,
            commit_message=f"Start with {path}",
            # In order: what the README tells of is there only after it.
            opts=self._theirs(import_id, self.resources),
        )

    def _found(self, args: GitHubRepositoryArgs, path: str) -> github.GetRepositoryFileResult:
        """What is at a path; of a path that is not there, nor its repository, the id is none."""
        return github.get_repository_file(
            repository=args.repository,
            file=path,
            branch=args.branch,
            opts=pulumi.InvokeOptions(parent=self),
        )

    def _theirs(
        self, import_id: str | None, after: Sequence[pulumi.Resource]
    ) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=list(after),
            import_=import_id,
            ignore_changes=["*"],
            retain_on_delete=True,
        )
