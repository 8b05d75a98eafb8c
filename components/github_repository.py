"""A tenant's repository on GitHub, which fleet creates once and never changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_github as github


@dataclass(frozen=True, kw_only=True)
class GitHubRepositoryArgs:
    """The repository's name and branch, its first files, and the GitHub team that may write to it.

    `files` maps a path to its text. `github_team` is the slug of a team, or None. None of these
    can be an output: resource names and import ids contain them.
    """

    repository: str
    branch: str
    files: Mapping[str, str]
    github_team: str | None


class GitHubRepository(pulumi.ComponentResource):
    """A private repository that holds something to deploy in each environment.

    The component adopts what exists as it is: it never undoes a change of the tenant, and it
    completes a run that was interrupted. Removing the stack or the tenant removes the GitHub team's
    access, but no code.
    """

    resources: list[pulumi.Resource]
    """The repository and its first files."""

    def __init__(
        self, name: str, args: GitHubRepositoryArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:TeamRepository", name, None, opts)
        repository = self._repository(args, f"What {name} runs, and where")
        self.resources = [repository]
        for path, text in args.files.items():
            exists = self._exists(args, path)
            # A folder in which the tenant has put other files needs no first file.
            if exists or not self._exists(args, path.rpartition("/")[0]):
                self.resources.append(self._first_file(args, path, text, exists))
        if args.github_team is not None:
            github.TeamRepository(
                f"{args.repository}/{args.github_team}",
                repository=repository.name,
                team_id=args.github_team,
                permission="push",
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})

    def _repository(self, args: GitHubRepositoryArgs, description: str) -> github.Repository:
        node_id = github.get_repository(
            name=args.repository, opts=pulumi.InvokeOptions(parent=self)
        ).node_id
        return github.Repository(
            args.repository,
            name=args.repository,
            description=description,
            visibility="private",
            # GitHub makes the branch; files cannot be added to a repository without one.
            auto_init=True,
            opts=self._created_once(args.repository if node_id else None, []),
        )

    def _first_file(
        self, args: GitHubRepositoryArgs, path: str, text: str, exists: bool
    ) -> github.RepositoryFile:
        return github.RepositoryFile(
            f"{args.repository}/{path}",
            repository=args.repository,
            branch=args.branch,
            file=path,
            content=text,
            commit_message=f"Start with {path}",
            # The README is committed first, because it describes the files that follow.
            opts=self._created_once(
                f"{args.repository}:{path}:{args.branch}" if exists else None, self.resources
            ),
        )

    def _exists(self, args: GitHubRepositoryArgs, path: str) -> bool:
        """Return whether the repository exists and has a file or folder at `path`."""
        found = github.get_repository_file(
            repository=args.repository,
            file=path,
            branch=args.branch,
            opts=pulumi.InvokeOptions(parent=self),
        )
        return bool(found.id)

    def _created_once(
        self, import_id: str | None, after: Sequence[pulumi.Resource]
    ) -> pulumi.ResourceOptions:
        """Return options that create or import a resource, and never change or delete it."""
        return pulumi.ResourceOptions(
            parent=self,
            depends_on=list(after),
            import_=import_id,
            ignore_changes=["*"],
            retain_on_delete=True,
        )
