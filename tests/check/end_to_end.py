"""The tenant and the attacks of the end-to-end tests, for tests that need no sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from tests.e2e import attacks
from tests.e2e.attacks import FOLDER, HOSTILE, Attack
from tests.e2e.sandbox import Sandbox, Tenant

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
    return _tenant("billing").files(["dev"], "1")


def hostile_files(attack: Attack) -> Mapping[str, str | bytes | Path]:
    """Return healthy files with an attack among them; a Path is a symbolic link."""
    return attacks.attack_files(_tenant(HOSTILE), attack)


def _tenant(name: str) -> Tenant:
    # The files of a tenant do not depend on a sandbox.
    return Tenant(sandbox=cast(Sandbox, None), name=name)
