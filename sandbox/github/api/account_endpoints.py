"""Endpoints of users and organizations."""

from __future__ import annotations

from sandbox.github.api.call import Answer, Call


def get_organization(call: Call) -> Answer:
    """Describe an organization. The provider calls this to tell an organization from a user."""
    return Answer(document=call.documents.account(call.organization(), organization=True))


def get_user(call: Call) -> Answer:
    """Describe the owner in the path, or the token's user when the path names none."""
    owner = call.parts.get("owner", call.store.accounts.user)
    organization = call.store.accounts.is_organization(owner)
    return Answer(document=call.documents.account(owner, organization=organization))
