"""The directions in which packages may import each other."""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.support import REPOSITORY

# A part of `fleet` imports only itself, parts in later rows, and leaves.
ROWS = (
    ("__main__",),
    ("cli",),
    ("promote",),
    ("check", "status", "questions", "changes"),
    ("policies", "provenance"),
    ("inventory", "identity"),
    ("helm",),
    ("render",),
    ("config",),
    ("kube",),
)
# Every part may import a leaf, and a leaf imports only leaves.
LEAVES = (
    "cache", "deploy_keys", "errors", "files", "forks", "https", "printable", "process",
)  # fmt: skip
# `fleet` works without the engine, and the product works without the sandbox.
FORBIDDEN = {
    "fleet": ("components", "pulumi", "sandbox"),
    "components": ("sandbox",),
    "__main__": ("sandbox",),
}
Imports = Mapping[str, set[str]]


def imported_names(source: str, package: str) -> Iterator[str]:
    """Yield the dotted names that a module of `package` imports, wherever in its text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            parents = parts[: len(parts) - node.level + 1] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def product_imports(root: Path) -> dict[str, set[str]]:
    """Return the dotted names that each module of the product imports.

    A name of this product's becomes its module, so `fleet.errors.FleetError` is `fleet.errors`.
    """
    files = [root / "__main__.py", *root.glob("fleet/**/*.py"), *root.glob("components/**/*.py")]
    names = {file: ".".join(file.relative_to(root).with_suffix("").parts) for file in files}
    modules = {file: name.removesuffix(".__init__") for file, name in names.items()}
    known = set(modules.values())
    return {
        module: {
            name
            if name in known or name.rpartition(".")[0] not in known
            else name.rpartition(".")[0]
            for name in imported_names(file.read_text("utf-8"), names[file].rpartition(".")[0])
        }
        for file, module in modules.items()
    }


def wrong_arrows(imports: Imports) -> list[str]:
    """Return each import between parts of `fleet` that the rows do not allow."""
    pairs = [(module, name) for module, names in imports.items() for name in names]
    return sorted(
        f"{module} imports {name}"
        for module, name in pairs
        if module.startswith("fleet.") and name.startswith("fleet.")
        if not is_allowed(module.split(".")[1], name.split(".")[1])
    )


def is_allowed(importer: str, imported: str) -> bool:
    """Tell whether one part of `fleet` may import another."""
    if imported in LEAVES or imported == importer:
        return True
    return importer not in LEAVES and row(importer) < row(imported)


def row(part: str) -> int:
    """Return the row of a part of `fleet`."""
    return next(number for number, parts in enumerate(ROWS) if part in parts)


def forbidden_imports(imports: Imports) -> list[str]:
    """Return each import of a package that FORBIDDEN names."""
    return sorted(
        f"{module} imports {name}"
        for module, names in imports.items()
        for name in names
        if name.split(".")[0] in FORBIDDEN[module.split(".")[0]]
    )


def cycle(imports: Imports) -> list[str]:
    """Return the modules of an import cycle, the first one also last; an empty list without one."""
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


@pytest.fixture(scope="module")
def imports() -> Imports:
    """Imports of the product as it is."""
    return product_imports(REPOSITORY)


def test_every_part_of_fleet_has_a_place(imports: Imports) -> None:
    parts = {module.split(".")[1] for module in imports if module.startswith("fleet.")}
    assert parts <= {*LEAVES, *(part for parts in ROWS for part in parts)}


def test_fleet_imports_only_to_the_right(imports: Imports) -> None:
    assert wrong_arrows(imports) == []


def test_the_product_imports_nothing_forbidden(imports: Imports) -> None:
    assert forbidden_imports(imports) == []


def test_no_import_cycle(imports: Imports) -> None:
    assert cycle(imports) == []


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import fleet.kube.kustomize as k", ["fleet.kube.kustomize"]),
        (
            "from fleet.kube import kustomize, manifest",
            ["fleet.kube.kustomize", "fleet.kube.manifest"],
        ),
        ("def f():\n    from fleet.errors import FleetError", ["fleet.errors.FleetError"]),
        ("from . import tree", ["fleet.render.tree"]),
        ("from ..kube.manifest import Manifest", ["fleet.kube.manifest.Manifest"]),
    ],
)
def test_all_forms_of_an_import_are_read(source: str, names: list[str]) -> None:
    assert list(imported_names(source, "fleet.render")) == names


@pytest.mark.parametrize(
    ("module", "name", "allowed"),
    [
        ("fleet.cli.main", "fleet.check.run", True),
        ("fleet.check.run", "fleet.cli.main", False),
        ("fleet.check.run", "fleet.status.run", False),
        ("fleet.render.tree", "fleet.render.flux", True),
        ("fleet.render.tree", "fleet.inventory.table", False),
        ("fleet.kube.kustomize", "fleet.process", True),
        ("fleet.process", "fleet.errors", True),
        ("fleet.process", "fleet.kube.manifest", False),
    ],
)
def test_a_wrong_arrow_is_found(module: str, name: str, allowed: bool) -> None:
    assert wrong_arrows({module: {name}}) == ([] if allowed else [f"{module} imports {name}"])


@pytest.mark.parametrize(
    ("module", "name", "allowed"),
    [
        ("fleet.config.engine", "pulumi", False),
        ("fleet.config.engine", "pulumi.Config", False),
        ("fleet.cli.main", "components.cluster_tree", False),
        ("fleet.cli.main", "sandbox.report", False),
        ("components.cluster_tree", "sandbox.report", False),
        ("__main__", "sandbox.report", False),
        ("components.cluster_tree", "pulumi", True),
        ("__main__", "components.cluster_tree", True),
    ],
)
def test_a_forbidden_import_is_found(module: str, name: str, allowed: bool) -> None:
    found = forbidden_imports({module: {name}})
    assert found == ([] if allowed else [f"{module} imports {name}"])


@pytest.mark.parametrize(
    ("imports_of", "expected"),
    [
        ({"a": {"b"}, "b": {"c"}}, set()),
        ({"a": {"a"}}, {"a"}),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, {"a", "b", "c"}),
    ],
)
def test_a_cycle_is_found(imports_of: dict[str, set[str]], expected: Iterable[str]) -> None:
    assert set(cycle(imports_of)) == expected
