"""A repository with the shipped definitions and some more, and random stacks of it.

Every stack is valid, because each entry brings the entries that it needs.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path

import yaml

from fleet.config import load
from fleet.config.models import Stack
from tests.support import (
    REPOSITORY,
    config_map,
    definition,
    git_repository,
    kustomization,
    manifest,
    namespace,
    write,
)

_PATCH = "patches:\n  - target: {kind: .*}\n    patch: |-\n      - {op: add, path: /metadata/labels, value: {size: large}}\n"  # noqa: E501 - one text
_CHART = (
    "spec:\n  interval: 5m\n  serviceAccountName: platform\n"
    "  chart: {spec: {chart: ., sourceRef: {kind: GitRepository, name: charts}}}\n"
)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """An entry, the sets of objects that it has, and those that it needs.

    Two entries with the same set of objects are never in one stack.
    """

    path: str
    has: tuple[str, ...]
    needs: tuple[str, ...]


def _choice(path: str, *needs: str, has: tuple[str, ...] = ()) -> Choice:
    return Choice(path=path, has=has or (path,), needs=needs)


# Namespaces come in two sizes, alone and in pairs, so that lists replace one by another.
_NAMES = ("red", "green", "blue", "grey")
INFRASTRUCTURE = (
    _choice("namespaces/common"),
    _choice("namespaces/team-x"),
    _choice("namespaces/test-only"),
    _choice("controllers/gateway-api"),
    _choice("controllers/kyverno", "namespaces/common"),
    *(_choice(f"namespaces/{name}", has=(f"ns-{name}",)) for name in _NAMES),
    *(_choice(f"namespaces/{name}-large", has=(f"ns-{name}",)) for name in _NAMES),
    _choice("namespaces/red-and-green", has=("ns-red", "ns-green")),
    _choice("namespaces/green-and-blue", has=("ns-green", "ns-blue")),
    _choice("sources/charts", has=("charts",)),
    _choice("sources/charts-and-config", has=("charts",)),
    _choice("policies/kyverno/shared", "controllers/kyverno"),
    _choice("policies/kyverno/test-only", "controllers/kyverno"),
    _choice("policies/kyverno/prod", "controllers/kyverno"),
    *(_choice(f"policies/{name}", f"ns-{name}") for name in _NAMES),
    _choice("policies/namespace"),
)
APPS = (
    _choice("common", "namespaces/common"),
    _choice("foo-app/base", "namespaces/test-only"),
    *(_choice(f"podinfo/{overlay}", "namespaces/team-x", has=("podinfo",)) for overlay in (
        "base", "overlays/dev", "overlays/test", "overlays/prod",
    )),
    *(_choice(f"{name}/base", f"ns-{name}", has=(f"app-{name}",)) for name in _NAMES),
    *(_choice(f"{name}/overlays/large", f"ns-{name}", has=(f"app-{name}",)) for name in _NAMES),
    _choice("chart-a", "charts"),
    _choice("chart-b", "charts"),
    _choice("in-policy-namespace", "policies/namespace"),
)  # fmt: skip
TENANTS = ("billing", "search", "mail")


def _overlay(base: str) -> str:
    return kustomization(base) + _PATCH


def _definitions() -> dict[str, str]:
    charts = git_repository("charts", "flux-system")
    files = {
        **definition("infrastructure/sources/charts", charts),
        **definition(
            "infrastructure/sources/charts-and-config",
            f"{charts}---\n{config_map('more', 'flux-system')}",
        ),
        **definition("infrastructure/policies/namespace", namespace("of-policies")),
        **definition("apps/in-policy-namespace", config_map("a", "of-policies")),
    }
    for name in _NAMES:
        files |= definition(f"infrastructure/namespaces/{name}", namespace(name))
        files |= definition(f"infrastructure/policies/{name}", config_map("policy", name))
        files |= definition(f"apps/{name}/base", config_map("app", name))
        files[f"infrastructure/namespaces/{name}-large/kustomization.yaml"] = _overlay(f"../{name}")
        files[f"apps/{name}/overlays/large/kustomization.yaml"] = _overlay("../../base")
    pairs = (("red", "green"), ("green", "blue"))
    for one, other in pairs:
        both = f"{namespace(one)}---\n{namespace(other)}"
        files |= definition(f"infrastructure/namespaces/{one}-and-{other}", both)
    for name in ("chart-a", "chart-b"):
        release = manifest("helm.toolkit.fluxcd.io/v2", "HelmRelease", name, "flux-system", _CHART)
        files |= definition(f"apps/{name}", release)
    return files


def create(root: Path) -> None:
    """Create the repository in a new folder."""
    for name in ("apps", "infrastructure"):
        shutil.copytree(REPOSITORY / name, root / name)
    shutil.copyfile(REPOSITORY / "Pulumi.yaml", root / "Pulumi.yaml")
    write(root, _definitions())


def random_stack(root: Path, chance: random.Random) -> Stack:
    """Write a random stack file and load it."""
    infrastructure, apps = _lists(chance)
    config: dict[str, object] = {
        "fleet:cluster": {"kubeconfig": "kubeconfig", "context": "k3d-dev"},
        "fleet:infrastructure": infrastructure,
        "fleet:apps": apps,
    }
    names = [name for name in TENANTS if chance.random() < 0.4]
    if chance.random() < 0.5 and names:
        url = "https://github.com/acme/{}"
        config["fleet:tenants"] = [
            {"name": name, "repository": {"url": url.format(name)}}
            | ({"keep": True} if chance.random() < 0.3 else {})
            for name in names
        ]
    write(root, {"Pulumi.dev.yaml": yaml.safe_dump({"config": config}, sort_keys=False)})
    return load.stack(root, "dev")


def _lists(chance: random.Random) -> tuple[list[object], list[object]]:
    share = chance.choice((0.1, 0.3, 0.6))
    chosen: dict[str, Choice] = {}
    for entry in chance.sample((*INFRASTRUCTURE, *APPS), len(INFRASTRUCTURE) + len(APPS)):
        if chance.random() < share:
            _add(chosen, entry, chance)
    entries = list(dict.fromkeys(chosen.values()))
    infrastructure, apps = (
        [_entry(entry.path, chance) for entry in entries if entry in choices]
        for choices in (INFRASTRUCTURE, APPS)
    )
    return infrastructure, apps


def _entry(path: str, chance: random.Random) -> object:
    is_foreign = path.endswith(("overlays/test", "overlays/prod", "-only", "/large"))
    if is_foreign or chance.random() < 0.1:
        return {"path": path, "because": "the simulation chose it"}
    return path


def _add(chosen: dict[str, Choice], entry: Choice, chance: random.Random) -> None:
    """Add an entry and what it needs, unless another one has the same objects."""
    if any(name in chosen for name in entry.has):
        return
    chosen.update(dict.fromkeys(entry.has, entry))
    for need in entry.needs:
        options = [
            found
            for found in INFRASTRUCTURE
            if need in found.has and chosen.keys().isdisjoint(found.has)
        ]
        if need not in chosen:
            _add(chosen, chance.choice(options), chance)
