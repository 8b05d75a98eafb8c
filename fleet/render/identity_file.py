"""The file in a cluster's tree that says which cluster the tree is for.

Only `pulumi up` writes it, because only a cluster knows its UID. No kustomization lists it, and
`render` leaves it out. Its text depends on the UID alone, so two trees of one cluster have the
same file.
"""

from __future__ import annotations

import re

from fleet.config.models import UID, Stack
from fleet.render.layout import IDENTITY_FILE

_COMMENT = (
    "# Written by `pulumi up`, never by hand. It names the cluster that this tree is for, by the\n"
    "# UID of the cluster's namespace kube-system.\n"
)
_TEXT = re.compile(rf"{re.escape(_COMMENT)}uid: ({UID})\n")


def path(stack: Stack) -> str:
    """Return the path of a stack's identity file in the repository."""
    return f"{stack.path}/{IDENTITY_FILE}"


def text(uid: str) -> str:
    """Return the text of the file for a cluster."""
    return f"{_COMMENT}uid: {uid}\n"


def parse(content: str) -> str | None:
    """Return the UID in the text of such a file, None if `text` has not written it."""
    match = _TEXT.fullmatch(content)
    return match[1] if match else None
