"""The accounts of the stand-in and the rights of their tokens."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path


class Access(IntEnum):
    """Rights that a token gives in all repositories."""

    NONE = 0
    READ = 1
    WRITE = 2


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """The one user, and the tokens of this user. Every other owner is an organization of the user.

    `repository_tokens` is a folder in which OWNER/NAME is a file with a token that can only clone
    that repository. Such a token is valid as soon as its file exists.
    """

    user: str
    token: str
    read_token: str
    repository_tokens: Path | None = None

    def access(self, token: str) -> Access:
        """Return the rights of a token. The time that this takes says nothing about the token."""
        writes = hmac.compare_digest(token.encode(), self.token.encode())
        reads = hmac.compare_digest(token.encode(), self.read_token.encode())
        return Access.WRITE if writes else Access.READ if reads else Access.NONE

    def may_clone(self, token: str, owner: str, name: str) -> bool:
        """Return True when this is the token for that repository only."""
        file = self.repository_tokens and self.repository_tokens / owner / name
        if not file or not file.is_file():
            return False
        return hmac.compare_digest(token.encode(), file.read_bytes().strip())

    def is_organization(self, owner: str) -> bool:
        """Return True for every owner but the user."""
        return owner != self.user


def token_in(authorization: str) -> str:
    """Return the token in an Authorization header, or an empty text when there is none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() in ("bearer", "token"):
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[2]
        except ValueError:
            return ""
    return ""
