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
    # go_yaml.py reads and writes as Flux does while it replaces variables, and nothing else does.
    # yaml_lines.py and yaml_lists.py take from the parser where a value is, and no value.
    names = ("go_yaml", "yaml_lines", "yaml_lists", "yaml_reader", "yaml_writer")
    expected = [f"{name}.py" for name in names]
    assert users == [f"fleet/kube/{name}" for name in expected]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' is there twice; keep one"),
        ("a: [1\n", "line 2: is not YAML: did not find expected ',' or ']'; correct it there"),
        ("a: !!int x\n", "line 1: is not YAML: a value is not what its tag says; correct it"),
        ("a: !!float ''\n", "a value is not what its tag says"),
        ("a: !!bool maybe\n", "a value is not what its tag says"),
        ("a: !!set [b]\n", "line 1: is not YAML: a value is no text, number, boolean, list or"),
        (f"a: {'9' * 5000}\n", "a value is not what its tag says"),
        ("[" * 100_000, "is nested more than 100 deep"),
        ("[" * 101 + "]" * 101, "is nested more than 100 deep"),
        ("- " * 100_000 + "a", "is nested more than 100 deep"),
        ("x" * (32 * 2**20 + 1), "is larger than 32 MiB; split it"),
    ],
)
def test_a_stack_file_that_cannot_be_read(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        yaml_reader.document_with_unique_keys(text)


def test_a_stack_file_has_no_dates() -> None:
    """Another provider's value may look like one, such as 2024-13-45."""
    text = "a: 2024-13-45\nb: 2024-12-24T00:00:00Z\nc: =\n"
    found = {"a": "2024-13-45", "b": "2024-12-24T00:00:00Z", "c": "="}
    assert yaml_reader.document_with_unique_keys(text) == found


@pytest.mark.parametrize("text", ["1e3", "-1E+5", "0o17", "1_0.5", ".5", "1.", "y", "N", "yes"])
def test_a_text_that_another_reader_takes_for_a_number_is_quoted(text: str) -> None:
    """Kubernetes would refuse a tenant that is called 1e3, and a branch of that name."""
    assert yaml_writer.to_yaml({"a": text}) == f"a: '{text}'\n"


@pytest.mark.parametrize("text", ["main", "5m", "500m", "v1.2", "1.2.3", "release/1e3", "none"])
def test_other_texts_have_no_quotes(text: str) -> None:
    assert yaml_writer.to_yaml({"a": text}) == f"a: {text}\n"


@pytest.mark.parametrize("end", ["\n", "\r", "\x85", "\u2028", "\u2029", "\x1b", "\0"])
def test_a_comment_is_one_line(end: str) -> None:
    assert yaml_writer.comment("why: it's #1") == "# why: it's #1\n"
    with pytest.raises(ValueError, match="characters that could end it"):
        yaml_writer.comment(f"x{end}- y")


def aliases(levels: int) -> str:
    """Return YAML whose last value has 9 to the power of `levels` values if written out."""
    lines = (f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels))
    return "\n".join(("a0: &a0 [x, x, x, x, x, x, x, x, x]", *lines)) + "\n"


def test_what_a_tenant_wrote_keeps_its_anchors() -> None:
    (document,) = yaml_reader.documents(aliases(5))
    assert len(yaml_writer.untrusted_to_yaml(document)) < 10_000


TOO_MANY_VALUES = "has more than 1000000 values, with its aliases; use fewer"


@pytest.mark.parametrize("loader", [yaml_reader.Loader, yaml_reader.Texts])
@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (aliases(7), TOO_MANY_VALUES),
        (aliases(40), TOO_MANY_VALUES),
        (f"{aliases(6)}b: *a5\nc: *a5\n", TOO_MANY_VALUES),
        (f"{aliases(6)}---\n{aliases(6)}", TOO_MANY_VALUES),
        ("a: &a [*a]", "anchor a contains itself"),
        ("--- 1\n" * 2001, "has more than 2000 documents; use fewer"),
        ("{a: " * 100_000, "is nested more than 100 deep"),
        ("\n".join(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 200)), "is nested more than"),
    ],
    ids=range(8),
)
def test_a_text_that_takes_too_much_to_read(
    text: str, problem: str, loader: type[yaml_reader.Loader]
) -> None:
    with pytest.raises(ValueError, match=problem):
        yaml_reader.documents(text, loader)


def test_a_large_text_can_be_read() -> None:
    text = "---\n".join(f"a: &a [x, {n}]\nb: [*a, *a]\n" for n in range(2000))
    assert len(yaml_reader.documents(text)) == 2000
