"""The YAML texts of a run, kept for the next one: a large fleet writes most of them again.

PyYAML needs more time for the trees of a large fleet than all of the rest of `fleet check`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet import files

# A program that runs for long, such as the tests, would keep all texts for ever.
_MAX_KEPT = 2**16
# Fewer texts than these are written sooner than a file with them is found and read.
MIN_KEPT = 500
_texts: dict[str, str] = {}
_earlier: dict[str, str] = {}


def text(digest: str, write: Callable[[], str]) -> str:
    """Return the text of a content that has this digest, written if it is not known."""
    found = _texts.get(digest)
    if found is None:
        found = _earlier.get(digest) or write()
        if len(_texts) >= _MAX_KEPT:
            _texts.clear()
        _texts[digest] = found
    return found


@contextmanager
def kept(file: Path) -> Iterator[None]:
    """Use the texts that a file has, and replace them at the end by those of this run."""
    _texts.clear()
    _earlier.clear()
    _earlier.update(_read(file))
    yield
    # Only what this run has used is kept, so that the file does not grow for ever.
    if len(_texts) >= MIN_KEPT and _texts.keys() != _earlier.keys():
        files.write(file, json.dumps(_texts).encode(), mode=0o600)


def _read(file: Path) -> dict[str, str]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        # Texts that are missing or damaged are written again.
        return {}
    is_known = isinstance(content, dict) and all(isinstance(item, str) for item in content.values())
    return content if is_known else {}
