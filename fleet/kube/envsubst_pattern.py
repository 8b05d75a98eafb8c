"""The patterns of Flux's `${name#pattern}`: those of Go's path.Match, with `/` as any character."""

from __future__ import annotations

_WRONG = "the pattern is not complete"


def matches(pattern: bytes, name: bytes) -> bool:
    """Tell whether a pattern matches all of a name. Raises ValueError for a wrong pattern.

    A wrong pattern is found only if the name reaches the wrong part of it.
    """
    while pattern:
        star, chunk, pattern = _next_chunk(pattern)
        if star and not chunk:
            return True
        rest = _after_match(chunk, name)
        if rest is not None and (not rest or pattern):
            name = rest
            continue
        later = _later_rest(chunk, name, is_last=not pattern) if star else None
        if later is None:
            return False
        name = later
    return not name


def _later_rest(chunk: bytes, name: bytes, *, is_last: bool) -> bytes | None:
    """Return the rest of a name after a match that begins behind its first byte."""
    for start in range(1, len(name) + 1):
        rest = _after_match(chunk, name[start:])
        if rest is not None and not (is_last and rest):
            return rest
    return None


def _next_chunk(pattern: bytes) -> tuple[bool, bytes, bytes]:
    """Return whether stars come first, the pattern up to the next star, and the rest."""
    rest = pattern.lstrip(b"*")
    in_range = False
    end = 0
    while end < len(rest):
        byte = rest[end : end + 1]
        if byte == b"*" and not in_range:
            break
        if byte == b"\\" and end + 1 < len(rest):
            end += 1
        elif byte in (b"[", b"]"):
            in_range = byte == b"["
        end += 1
    return rest != pattern, rest[:end], rest[end:]


def _after_match(chunk: bytes, name: bytes) -> bytes | None:
    """Return the rest of a name whose beginning matches a chunk, None if it does not."""
    while chunk:
        if not name:
            return None
        byte = chunk[:1]
        if byte == b"[":
            rune, name = _rune(name)
            is_in_class, chunk = _class(chunk[1:], rune)
            if not is_in_class:
                return None
        elif byte == b"?":
            _, name = _rune(name)
            chunk = chunk[1:]
        else:
            if byte == b"\\":
                chunk = chunk[1:]
                if not chunk:
                    raise ValueError(_WRONG)
            if chunk[0] != name[0]:
                return None
            chunk, name = chunk[1:], name[1:]
    return name


def _class(chunk: bytes, rune: str) -> tuple[bool, bytes]:
    """Return whether a character is in the class that begins here, and the rest behind it."""
    is_negated = chunk.startswith(b"^")
    chunk = chunk[1:] if is_negated else chunk
    found, count = False, 0
    while not (chunk.startswith(b"]") and count):
        low, chunk = _member(chunk)
        high = low
        if chunk.startswith(b"-"):
            high, chunk = _member(chunk[1:])
        found |= low <= rune <= high
        count += 1
    return found != is_negated, chunk[1:]


def _member(chunk: bytes) -> tuple[str, bytes]:
    if not chunk or chunk[:1] in (b"-", b"]"):
        raise ValueError(_WRONG)
    if chunk.startswith(b"\\"):
        chunk = chunk[1:]
    if not chunk:
        raise ValueError(_WRONG)
    rune, rest = _rune(chunk)
    is_broken = rune == "\ufffd" and len(chunk) - len(rest) == 1
    if is_broken or not rest:
        raise ValueError(_WRONG)
    return rune, rest


def _rune(text: bytes) -> tuple[str, bytes]:
    """Return the first character of a text and the rest; a byte of no character is U+FFFD."""
    for length in range(1, 5):
        try:
            return text[:length].decode(), text[length:]
        except UnicodeDecodeError:
            continue
    return "\ufffd", text[1:]
