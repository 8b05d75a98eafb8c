"""Everything that the stand-in stores, in one folder."""

from __future__ import annotations

from pathlib import Path

from sandbox.github.accounts import Accounts
from sandbox.github.repositories import Repositories
from sandbox.github.repository_keys import DeployKeys
from sandbox.github.team_access import Teams


class Store:
    """The repositories, deploy keys and teams below `directory`, and the accounts that use them."""

    def __init__(self, directory: Path, accounts: Accounts) -> None:
        self.accounts = accounts
        self.repositories = Repositories(directory)
        self.deploy_keys = DeployKeys(self.repositories)
        self.teams = Teams(directory)
