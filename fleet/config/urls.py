"""The form of every URL in a stack file.

A stack file is in Git, so a secret in one of its URLs would be public. A URL may have only parts
that hold no secret, and no message repeats a URL that is refused.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
# Azure DevOps has project names with blanks. Other encoded characters could hide a user.
_PATH = re.compile(r"(/(?!\.{1,2}(/|$))([A-Za-z0-9._~+-]|%20)+)*/?")
_LENGTH = 2048


def plain_url(url: str, schemes: tuple[str, ...], action: str) -> str:
    """Return a URL of scheme, host, port and path, for ssh:// also with the user git.

    Raises ValueError for any other, with the action for one of a right scheme.
    """
    if url.partition("://")[0] not in schemes:
        known = " or ".join(f"{scheme}://" for scheme in schemes)
        raise ValueError(f"must be an {known} URL")
    if not _is_plain(url):
        raise ValueError(f"has more than scheme, host, port and a plain path; {action}")
    return url


def _is_plain(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    host = parts.hostname or ""
    user = "git@" if (parts.scheme, parts.username) == ("ssh", "git") else ""
    # The parser drops some characters, and other parts than these are refused.
    same = f"{parts.scheme}://{user}{host}{f':{port}' if port else ''}{parts.path}"
    return (
        same.lower() == url.lower()
        and len(url) <= _LENGTH
        and _HOST.fullmatch(host) is not None
        and _PATH.fullmatch(parts.path) is not None
    )
