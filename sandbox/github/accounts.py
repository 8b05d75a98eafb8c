"""The accounts of the stand-in and the rights of their tokens."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass

from sandbox.github.tokens import EVERYTHING, Grant, TokenFiles


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """The one user, and the tokens of this user. Every other owner is an organization of the user.

    `token` is a classic token, which may do everything. All others are fine-grained.
    """

    user: str
    token: str
    fine_grained: TokenFiles

    def grant(self, token: str) -> Grant | None:
        """Return the rights of a token, or None when there is no such token."""
        is_classic = hmac.compare_digest(token.encode(), self.token.encode())
        return EVERYTHING if is_classic else self.fine_grained.grant(token)

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
