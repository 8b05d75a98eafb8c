"""The first rule of the house style."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support import REPOSITORY

FOLDERS = ("fleet", "components", "sandbox", "benchmarks", "tests")
REFUSED = re.compile(r"(What|How|Where|With|Of|Whether|Whose|Why|When|Which|Who)\b")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstrings(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, DOCUMENTED) and (text := ast.get_docstring(node)):
            yield text


def test_a_docstring_opens_with_a_verb_or_a_noun() -> None:
    files = [REPOSITORY / "__main__.py"]
    files += [file for folder in FOLDERS for file in (REPOSITORY / folder).rglob("*.py")]
    found = [
        f"{file.relative_to(REPOSITORY)}: {text.splitlines()[0]}"
        for file in files
        for text in docstrings(file)
        if REFUSED.match(text)
    ]
    assert found == []
