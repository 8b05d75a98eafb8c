"""The one writer of YAML."""

from __future__ import annotations

import hashlib
import marshal
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import yaml

from fleet import cache
from fleet.kube import kept_texts
from fleet.kube.manifest import Manifest

# Later formats of marshal tell a text that Python shares from an equal one that it does not.
_PLAIN_FORMAT = 2


def to_yaml(*manifests: Manifest) -> str:
    """Return manifests as one YAML text, their keys in the order that they have."""
    return "---\n".join(_text(manifest) for manifest in manifests)


def _text(manifest: Manifest) -> str:
    """Return one manifest as YAML; most trees of a fleet have equal ones."""
    plain: Any = manifest
    try:
        content = marshal.dumps(plain, _PLAIN_FORMAT)
    except ValueError:
        # A manifest may have a date, for example.
        return _write(manifest)
    digest = hashlib.sha256(content).hexdigest()
    return kept_texts.text(digest, lambda: _write(manifest))


def _write(manifest: Manifest) -> str:
    text: str = yaml.dump(manifest, Dumper=_Dumper, sort_keys=False)
    return text


def texts_kept_for(root: Path, part: int = 0) -> AbstractContextManager[None]:
    """Return a context whose texts are kept for the next run about the same part of a checkout."""
    # Another PyYAML, or another version of this file, may write other texts.
    names = f"{root.resolve()}\n{part}\n{yaml.__version__}\n"
    version = names.encode() + Path(__file__).read_bytes()
    return kept_texts.kept(cache.texts(hashlib.sha256(version).hexdigest()))


def comment(text: str) -> str:
    """Return a line with a comment. Raises ValueError for a text that is more than a line."""
    if not text.isprintable():
        raise ValueError("a comment has characters that could end it")
    return f"# {text}\n"


def untrusted_to_yaml(document: Mapping[str, Any]) -> str:
    """Return a document that a tenant wrote as YAML; its anchors stay anchors.

    A few nested anchors can stand for more text than fits into memory.
    """
    return yaml.safe_dump(dict(document), sort_keys=False)


class _Dumper(yaml.SafeDumper):
    """Repeats a shared value instead of writing an anchor, and indents the items of a list."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - the base class's signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


# YAML 1.2 and some readers of YAML 1.1 take more texts for numbers or booleans than PyYAML does, so
# such texts are written with quotes. A tenant may be called 1e3, and a branch y.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?\Z"),
    list("-+.0123456789"),
)
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:int", re.compile(r"[-+]?0[oO][0-7_]+\Z"), list("-+0")
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"[yYnN]\Z"), list("yYnN"))
