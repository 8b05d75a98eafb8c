"""Test the findings that the platform team accepts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet.check.accepted import FILE, Acceptance
from tests.support import Run, config_map, definition, stack_file, with_manifests, write

# These tests run programs or servers.
pytestmark = pytest.mark.slow

LINE = (
    "clusters/dev/apps: ConfigMap nowhere/a: namespace nowhere is not created in this cluster; "
    "add its folder to fleet:infrastructure in Pulumi.dev.yaml (no shared definition has it yet)"
)
PLACE = " [apps/a/resource.yaml:1]"
APART = (
    "no cluster uses these yet: apps/podinfo/overlays/dev, apps/podinfo/overlays/test, "
    "infrastructure/namespaces/test-only, infrastructure/policies/shared\n"
)


@pytest.fixture(autouse=True)
def finding(checkout: Path) -> None:
    """Make the finding LINE."""
    with_manifests(checkout)
    write(checkout, {"Pulumi.dev.yaml": stack_file("dev", apps="a")})
    write(checkout, definition("apps/a", config_map("a", "nowhere")))


@pytest.mark.parametrize(
    "text",
    [
        LINE,
        f"{LINE} [apps/other.yaml:7]",
        "clusters/*/apps: ConfigMap nowhere/*: namespace nowhere is not created *",
    ],
)
def test_an_accepted_finding(text: str, checkout: Path, fleet: Run) -> None:
    """It is printed with its reason, and the command succeeds."""
    write(checkout, {FILE: f"- finding: '{text}'\n  because: another tool creates it\n"})
    ended = fleet("check", "--root", checkout)
    assert (ended.code, ended.err) == (0, APART)
    accepted, summary = ended.out.splitlines()
    assert accepted == f"accepted: {LINE} (because: another tool creates it){PLACE}"
    assert summary.endswith(" objects, 0 findings, 1 accepted")
    report = json.loads(fleet("check", "--root", checkout, "--json").out)
    (found,) = report["accepted"]
    assert found["because"] == "another tool creates it"
    assert report["findings"] == []


def test_any_other_finding(checkout: Path, fleet: Run) -> None:
    """The text must be all of the line, and an acceptance that nothing needs is named."""
    text = LINE.partition(";")[0]
    write(checkout, {FILE: f"- {{finding: '{text}', because: a}}\n"})
    ended = fleet("check", "--root", checkout)
    assert ended.code == 1
    assert ended.out.splitlines()[0] == f"{LINE}{PLACE}"
    assert ended.err == f"{FILE}: matches no finding of this run: {text}\n{APART}"


@pytest.mark.parametrize(
    ("pattern", "line", "matches"),
    [
        ("a[0]?", "a[0]?", True),
        ("a[0]?", "a0x", False),
        ("*" * 50 + "b", "a" * 5000, False),
    ],
)
def test_only_a_star_stands_for_text(pattern: str, line: str, matches: bool) -> None:
    assert Acceptance(finding=pattern, because="a").matches(line) is matches


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- finding: a\n", "0.because: Field required"),
        ("- {finding: a, because: ''}\n", "0.because: "),
        ("- {finding: a, because: 1}\n", "0.because: "),
        ("- {finding: a, because: b, until: c}\n", "0.until: Extra inputs are not permitted"),
        ("finding: a\n", "content: Input should be a valid list"),
        ("- [\n", "while parsing"),
        ("[]\n---\n[]\n", "has several documents"),
    ],
)
def test_a_wrong_file(content: str, said: str, checkout: Path, fleet: Run) -> None:
    write(checkout, {FILE: content})
    ended = fleet("check", "--root", checkout)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"{FILE}: {said}")
    assert ended.err.endswith("; write a list of {finding: ..., because: ...}\n")
    assert ended.err.count("\n") == 1


def test_a_symbolic_link(checkout: Path, fleet: Run) -> None:
    (checkout / FILE).symlink_to("/dev/zero")
    ended = fleet("check", "--root", checkout)
    assert ended.err == f"{FILE}: is a symbolic link; make it a file\n"


@pytest.mark.parametrize("content", ["", "[]\n", "# nothing yet\n"])
def test_nothing_accepted(content: str, checkout: Path, fleet: Run) -> None:
    write(checkout, {FILE: content})
    assert fleet("check", "--root", checkout).out.startswith(LINE)
