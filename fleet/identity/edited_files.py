"""The files of a tree that somebody edited by hand. Their headers tell, without Git's history."""

from __future__ import annotations

from fleet.config.models import Stack
from fleet.identity import former
from fleet.render import header


def has_header(stack: Stack, text: str) -> bool:
    """Tell whether a text begins as all files that fleet generates for a stack."""
    known = (stack.file, *former.stack_files(stack))
    return text.startswith(tuple(header.first_line(file) for file in known))


def is_edited(stack: Stack, text: str, *, is_generated: bool, has_checksums: bool) -> bool:
    """Tell whether a file of a tree is not as fleet generated it.

    `is_generated` says whether fleet would generate the file now, and `has_checksums` whether the
    tree is so new that all of its files have checksums.
    """
    if not has_header(stack, text):
        # A file that fleet does not generate is somebody's own.
        return is_generated
    if not header.has_checksum(text) and not has_checksums:
        return False
    return not header.fits(text)
