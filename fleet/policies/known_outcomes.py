"""The outcomes of policies for objects that were judged before, in the cache.

In a large fleet most objects of a run are those of the run before.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from fleet import cache, files
from fleet.policies.outcome import Outcome
from fleet.policies.policy import Policy

# More objects than these are kept of the last run only.
_MAX_KEPT = 200_000

# The outcomes of one policy, by the key of the subject.
BySubject = Mapping[str, Sequence[Outcome]]


def file_of(policy: Policy, program: str) -> Path:
    """Return the file with the outcomes of a policy, which change with Kyverno's program."""
    text = f"{program}\n{policy.key}"
    return cache.judged(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest())


def read(file: Path) -> dict[str, Sequence[Outcome]]:
    """Return the outcomes of a file, none if there is no readable one."""
    try:
        content = json.loads(file.read_bytes())
        os.utime(file)
        return {key: [Outcome(*item) for item in items] for key, items in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        # What is missing or damaged is judged again.
        return {}


def add(file: Path, added: BySubject) -> None:
    """Keep the outcomes of a run with those of earlier ones, and of others that have ended now."""
    before = read(file)
    kept = {**before, **added} if len(before) + len(added) <= _MAX_KEPT else added
    # Only this user may read them: a message can repeat a part of an object.
    files.write(file, json.dumps(kept, sort_keys=True).encode(), mode=0o600)
    cache.remove_unused(file.parent)
