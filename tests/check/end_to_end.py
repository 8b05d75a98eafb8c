"""The tenant and the attacks of the end-to-end tests, for tests that need no sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tests.e2e import test_tenant_attacks as attacks
from tests.e2e.conftest import Sandbox, Team
from tests.e2e.test_tenant_attacks import FOLDER, HOSTILE, Attack

__all__ = ["ATTACKS", "FOLDER", "HOSTILE", "Attack", "healthy_files", "hostile_files"]

# The attacks that are visible in a clone. A file of 100 MB and a running pod are not. Flux's own
# kinds are refused to every tenant, so attacks that need them first are found by their kind.
ATTACKS = [
    *attacks.ATTACKS,
    Attack(name="a remote base", resources=("file:///srv/base?ref=main",)),
    Attack(name="a file by http", resources=("http://127.0.0.1:8080/evil.yaml",)),
    Attack(
        name="the fence in the inventory",
        objects=(
            attacks.marked(
                attacks.thing("v1", "ServiceAccount", attacks.ACCOUNT),
                annotations={"kustomize.toolkit.fluxcd.io/reconcile": "disabled"},
            ),
        ),
    ),
]


def healthy_files() -> dict[str, str]:
    """Return the files of the tenant billing, in which no check finds a problem."""
    return _team("billing").files(["dev"], "1")


def hostile_files(attack: Attack) -> Mapping[str, str | bytes | Path]:
    """Return healthy files with an attack among them; a Path is a symbolic link."""
    return attacks._files(_team(HOSTILE), attack)


def _team(name: str) -> Team:
    # The files of a team do not depend on a sandbox.
    return Team(sandbox=cast(Sandbox, None), name=name)
