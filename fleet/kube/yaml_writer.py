"""The one writer of YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from fleet.kube.manifest import Manifest


def to_yaml(*manifests: Manifest) -> str:
    """Return manifests as one YAML text, their keys in the order that they have."""
    return "---\n".join(
        yaml.dump(manifest, Dumper=_Dumper, sort_keys=False) for manifest in manifests
    )


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
