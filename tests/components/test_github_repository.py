"""The repository of a tenant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from components.github_repository import GitHubRepository, GitHubRepositoryArgs
from tests.components.helpers import (
    FILE,
    GITHUB,
    REPOSITORY_ON_GITHUB,
    TEAM_ACCESS,
    TEAM_REPOSITORY,
    options_on_github,
)
from tests.components.recording import Recording, run


class TestGitHubRepository:
    FILES: Mapping[str, str] = {
        "deploy/README.md": "# What\n",
        "deploy/dev/kustomization.yaml": "a: b\n",
    }

    def record(
        self, github_team: str | None = None, existing: Sequence[str] | None = None
    ) -> Recording:
        """Record a repository; `existing` lists its files and folders, None means no repository."""
        args = GitHubRepositoryArgs(
            repository="billing-apps", branch="main", files=self.FILES, github_team=github_team
        )

        def program() -> None:
            GitHubRepository("billing", args, options_on_github())

        def file(args: Mapping[str, Any]) -> Mapping[str, Any]:
            return (
                {"id": f"billing-apps/{args['file']}"} if args["file"] in (existing or ()) else {}
            )

        repository = {} if existing is None else {"nodeId": "R_1"}
        return run(
            program, found={"getRepository": lambda _: repository, "getRepositoryFile": file}
        )

    def test_a_private_repository_with_a_branch(self) -> None:
        recording = self.record()
        repository = recording.one(REPOSITORY_ON_GITHUB)
        inputs = repository.inputs
        assert (inputs["name"], inputs["visibility"], inputs["autoInit"]) == (
            "billing-apps",
            "private",
            True,
        )
        assert repository.import_id == ""
        assert not recording.all(TEAM_ACCESS)

    def test_it_starts_with_the_files(self) -> None:
        recording = self.record()
        files = recording.all(FILE)
        assert {file.inputs["file"]: file.inputs["content"] for file in files} == self.FILES
        earlier = {"billing-apps"}
        for file in files:
            assert recording.before(file) == earlier
            assert file.import_id == ""
            earlier |= {file.name}

    @pytest.mark.parametrize(
        ("existing", "expected"),
        [
            # A run was interrupted before the first file.
            ([], {"deploy/README.md": "", "deploy/dev/kustomization.yaml": ""}),
            (
                ["deploy", "deploy/README.md"],
                {
                    "deploy/README.md": "billing-apps:deploy/README.md:main",
                    "deploy/dev/kustomization.yaml": "",
                },
            ),
            # The tenant has files of its own.
            (
                ["deploy", "deploy/dev", "deploy/dev/kustomization.yaml"],
                {
                    "deploy/dev/kustomization.yaml": (
                        "billing-apps:deploy/dev/kustomization.yaml:main"
                    )
                },
            ),
            (["deploy", "deploy/dev"], {}),
        ],
    )
    def test_what_is_there_is_taken_as_it_is(
        self, existing: list[str], expected: dict[str, str]
    ) -> None:
        recording = self.record(existing=existing)
        assert recording.one(REPOSITORY_ON_GITHUB).import_id == "billing-apps"
        found = {file.inputs["file"]: file.import_id for file in recording.all(FILE)}
        assert found == expected
        for file in recording.all(FILE):
            assert "overwriteOnCreate" not in file.inputs

    def test_from_then_on_it_is_the_tenants(self) -> None:
        """Pulumi undoes no change, and removes no code with the stack or the tenant."""
        recording = self.record(github_team="billing-devs")
        made = [r for r in recording.resources if r.custom and r.type != GITHUB]
        assert len(made) == 4
        for resource in made:
            assert resource.provider == recording.one(GITHUB).urn
            assert recording.by_urn(resource.parent).type == TEAM_REPOSITORY
            access = resource.type == TEAM_ACCESS
            assert resource.retain_on_delete is not access
            assert resource.ignore_changes == (() if access else ("*",))

    def test_the_github_team_may_write(self) -> None:
        access = self.record(github_team="billing-devs").one(TEAM_ACCESS)
        assert dict(access.inputs) == {
            "repository": "billing-apps",
            "teamId": "billing-devs",
            "permission": "push",
        }
