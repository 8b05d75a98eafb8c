"""Tests of fleet/kube/yaml_reader.py and fleet/kube/yaml_writer.py."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from fleet.kube import yaml_reader, yaml_writer
from tests.support import REPOSITORY


def imported(file: Path) -> set[str]:
    """Return the modules that a Python file imports, also within functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_only_the_reader_and_the_writer_import_yaml() -> None:
    files = sorted((REPOSITORY / "fleet").rglob("*.py"))
    users = [file.relative_to(REPOSITORY).as_posix() for file in files if "yaml" in imported(file)]
    assert users == ["fleet/kube/yaml_reader.py", "fleet/kube/yaml_writer.py"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' is there twice; keep one"),
        ("a: [1\n", "line 2: is not YAML: did not find expected ',' or ']'; correct it there"),
        ("a: !!int x\n", "invalid literal for int() with base 10: 'x'"),
        ("a: !!float ''\n", "a value is not what its tag says"),
        ("[" * 101 + "]" * 101, "is nested more than 100 deep"),
    ],
)
def test_a_stack_file_that_cannot_be_read(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        yaml_reader.document_with_unique_keys(text)


def test_what_a_tenant_wrote_keeps_its_anchors() -> None:
    levels = ["a0: &a0 [x, x, x]"] + [
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 40)
    ]
    (document,) = yaml_reader.documents("\n".join(levels))
    assert len(yaml_writer.untrusted_to_yaml(document)) < 10_000
