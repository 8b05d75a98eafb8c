"""A stand-in for GitHub: a small server compatible with it, over real bare Git repositories.

It answers, below `/api/v3/`, the REST calls that terraform-provider-github makes to configure
itself and for a repository, a branch, a file, a deploy key and a team's access, and at
`/OWNER/NAME.git` Git's smart HTTP. All repositories are private: reading takes one of two tokens,
writing the one that may write. On a second port there is Git over SSH, where a deploy key opens
its one repository. There are no rate limits, no protection of branches, no GraphQL, no pull
requests, no members of teams and no web pages.
"""
