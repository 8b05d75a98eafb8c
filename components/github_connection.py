"""The connection to GitHub: exactly one owner, with exactly one token."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_github as github

# GitHub answers 409 while another stack's commit is moving the branch: try again, it is no error.
RETRYABLE_STATUS = (409, 500, 502, 503, 504)
MAX_RETRIES = 8


@dataclass(frozen=True, kw_only=True)
class GitHubConnectionArgs:
    """Where GitHub's API is, whose repositories are meant, and the token that may write to them."""

    api_url: pulumi.Input[str]
    owner: pulumi.Input[str]
    token: pulumi.Input[str]


class GitHubConnection(pulumi.ComponentResource):
    """A GitHub provider that takes nothing from the environment."""

    provider: github.Provider

    def __init__(
        self, name: str, args: GitHubConnectionArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("fleet:index:GitHubConnection", name, None, opts)
        self.provider = github.Provider(
            name,
            base_url=args.api_url,
            owner=args.owner,
            token=args.token,
            max_retries=MAX_RETRIES,
            retryable_errors=list(RETRYABLE_STATUS),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"owner": args.owner})
