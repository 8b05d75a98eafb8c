"""The connection to GitHub: exactly one owner, with exactly one token."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_github as github

# GitHub answers 409 while another stack's commit moves the branch; the provider has to try again.
RETRYABLE_STATUS = (409, 500, 502, 503, 504)
MAX_RETRIES = 8


@dataclass(frozen=True, kw_only=True)
class GitHubConnectionArgs:
    """The URL of GitHub's API, the owner of the repositories, and a token that may write."""

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
