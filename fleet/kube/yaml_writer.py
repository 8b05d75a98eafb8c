"""The one writer of YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def dump(*documents: dict[str, Any]) -> str:
    """Return documents as YAML; keys keep their order."""
    return "---\n".join(
        yaml.dump(document, Dumper=_Dumper, sort_keys=False) for document in documents
    )


def untrusted_to_yaml(document: Mapping[str, Any]) -> str:
    """Return a document that a tenant wrote as YAML; its anchors stay anchors.

    A few nested anchors can stand for more text than fits into memory.
    """
    return yaml.safe_dump(dict(document), sort_keys=False)


class _Dumper(yaml.SafeDumper):
    """Writes shared values out instead of as anchors, and indents the items of lists."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - the base class's signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)
