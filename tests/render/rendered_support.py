"""A checkout whose stack dev is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from fleet.config import load
from fleet.errors import ConfigError
from fleet.render import definition_build, rendered_cluster, tree
from tests.support import stack_file, write

DEFINITIONS = "  fleet:definitions: rendered\n"


def rendered_tree(
    root: Path, files: Mapping[str, str], definitions: str = DEFINITIONS, **lists: str
) -> dict[str, str]:
    """Return the tree of the stack dev in the checkout with these files, without Flux's own."""
    write(root, {"Pulumi.dev.yaml": stack_file("dev", more=definitions, **lists), **files})
    stack = load.stack(root, "dev")
    with definition_build.reader(root) as found:
        return {
            path.removeprefix("clusters/dev/"): text
            for path, text in tree.render(
                stack, None, rendered_cluster.render(found, stack)
            ).items()
            if not path.startswith("clusters/dev/flux-system/")
        }


def refusals(root: Path, files: Mapping[str, str], **lists: str) -> list[str]:
    """Return the reasons why the stack dev cannot be rendered."""
    with pytest.raises(ConfigError) as error:
        rendered_tree(root, files, **lists)
    return list(error.value.problems)
