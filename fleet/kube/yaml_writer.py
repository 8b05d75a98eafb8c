"""The one writer of YAML."""

from __future__ import annotations

from typing import Any

import yaml


def dump(*documents: dict[str, Any]) -> str:
    """Return documents as YAML, keys in their order."""
    return "---\n".join(
        yaml.dump(document, Dumper=_Dumper, sort_keys=False) for document in documents
    )


class _Dumper(yaml.SafeDumper):
    """Writes shared values out instead of as anchors, and indents lists as people do."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - the base class's signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)
