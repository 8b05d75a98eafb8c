"""Writing files and folders so that no reader ever sees half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Linux has this folder in memory. A container often has 64 MiB there, and a copy of a repository
# has to fit.
_MEMORY = "/dev/shm"  # noqa: S108 - only mkdtemp makes names there
_MIN_FREE = 2 * 2**30


def write(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file completely or not at all; nobody can read it before it has its mode.

    A file that has this content already is left alone.
    """
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
            out.write(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder that replaces `path` when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    made, old = work / "new", work / "old"
    made.mkdir()
    try:
        yield made
        # A folder cannot be renamed onto another one, so the old one is moved away first.
        if path.exists():
            path.rename(old)
        made.rename(path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def folder_in_memory() -> str | None:
    """Return a folder for temporary files, None for the usual one.

    A run makes and removes some hundred small files. A disk can need more time for these than
    everything else takes.
    """
    if any(name in os.environ for name in ("TMPDIR", "TEMP", "TMP")):
        return None
    try:
        has_space = shutil.disk_usage(_MEMORY).free >= _MIN_FREE
    except OSError:
        return None
    return _MEMORY if has_space and os.access(_MEMORY, os.W_OK | os.X_OK) else None
