"""A stand-in for GitHub: a small compatible server over real bare Git repositories.

Below `/api/v3/` it answers the REST calls of terraform-provider-github: its own configuration, a
repository, a branch, a file, a deploy key, and a team's access. At `/OWNER/NAME.git` it serves
Git's smart HTTP. All repositories are private. One classic token may do everything. A fine-grained
token may do what its permissions in its repositories allow, as on GitHub. A second port serves Git
over SSH, where a deploy key gives access to its one repository.

It has no rate limits, branch protection, GraphQL, pull requests, team members or web pages.
"""
