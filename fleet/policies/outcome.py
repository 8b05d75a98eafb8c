"""The outcome of one rule of a policy for one object, as Kyverno's command line reports it."""

from __future__ import annotations

from typing import NamedTuple

FAIL = "fail"
# Kyverno calls it a warning if a policy's annotation says that failures do not count.
WARN = "warn"
ERROR = "error"
# The command line could not read the policy or the object.
UNREAD = "unread"


class Outcome(NamedTuple):
    """The rule (empty in policies that have none), its status, and the message."""

    rule: str
    status: str
    message: str
