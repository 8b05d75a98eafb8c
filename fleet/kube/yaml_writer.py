"""The one writer of YAML."""

from __future__ import annotations

from typing import Any

import yaml

from fleet.kube.manifest import Manifest


def to_yaml(*manifests: Manifest) -> str:
    """Return manifests as one YAML text, their keys in the order that they have."""
    return "---\n".join(
        yaml.dump(manifest, Dumper=_Dumper, sort_keys=False) for manifest in manifests
    )


class _Dumper(yaml.SafeDumper):
    """Repeats a shared value instead of writing an anchor, and indents the items of a list."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ANN401 - the base class's signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)
