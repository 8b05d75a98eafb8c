"""Tests of the comparison of a stack's definitions with the branch that its cluster pulls."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fleet.config import load
from fleet.identity import definitions
from fleet.identity.reality import Branch, blob_sha
from tests.support import definition, kustomization, stack_file, write

APP = "apps/podinfo/overlays/dev"
BASE = "apps/podinfo/base"
PUSH = "which the cluster pulls; push it"


@pytest.fixture
def here(checkout: Path) -> Path:
    """Return a checkout whose app has a base, a patch, and a file that it generates from."""
    overlay = f"{kustomization('../../base')}patches: [{{path: patch.yaml}}]\n"
    write(
        checkout,
        {
            f"{APP}/kustomization.yaml": overlay
            + "configMapGenerator: [{name: a, files: [key=data.txt]}]\n",
            f"{APP}/patch.yaml": "a: b\n",
            f"{APP}/data.txt": "data",
            f"{BASE}/kustomization.yaml": kustomization("deployment.yaml", "https://a.example/b"),
            f"{BASE}/deployment.yaml": "a: b\n",
            "Pulumi.dev.yaml": stack_file("dev"),
        },
    )
    return checkout


def pushed(root: Path) -> dict[str, str]:
    """Return the files of a branch to which everything was pushed."""
    return {
        path.relative_to(root).as_posix(): blob_sha(path.read_bytes())
        for path in root.rglob("*")
        if path.is_file()
    }


def compared(root: Path, files: dict[str, str]) -> tuple[list[str], list[str]]:
    """Return what is refused and what is a warning."""
    stack = load.stack(root, "dev")
    branch = Branch(repository="acme/platform", name="main", head="a" * 40, files=files)
    folders = definitions.read(root, stack)
    return (
        definitions.missing(stack, folders, branch),
        definitions.different(stack, folders, branch),
    )


def app(text: str) -> str:
    return f"Pulumi.dev.yaml: fleet:apps[0]: 'podinfo/overlays/dev' {text}"


def test_what_is_pushed_is_accepted(here: Path) -> None:
    assert compared(here, pushed(here)) == ([], [])


def test_the_sha_is_the_one_of_git(here: Path) -> None:
    git = ["git", "hash-object", f"{APP}/data.txt"]
    done = subprocess.run(git, cwd=here, capture_output=True, text=True, check=True, timeout=30)
    stack = load.stack(here, "dev")
    assert definitions.read(here, stack)[APP].files[f"{APP}/data.txt"] == done.stdout.strip()


def test_an_entry_that_was_not_pushed_is_refused(here: Path) -> None:
    files = {path: sha for path, sha in pushed(here).items() if not path.startswith("apps/")}
    problem = f"needs {APP}/kustomization.yaml, not on main of acme/platform, {PUSH}"
    assert compared(here, files) == ([app(problem)], [])


@pytest.mark.parametrize(
    "path",
    [
        f"{APP}/patch.yaml",
        f"{APP}/data.txt",
        f"{BASE}/deployment.yaml",
        f"{BASE}/kustomization.yaml",
    ],
)
def test_a_file_that_the_branch_needs_and_lacks_is_refused(here: Path, path: str) -> None:
    """It may be ignored by Git, or never have been added."""
    files = pushed(here)
    del files[path]
    assert compared(here, files) == (
        [app(f"needs {path}, not on main of acme/platform, {PUSH}")],
        [],
    )


def test_all_files_of_an_entry_are_one_line(here: Path) -> None:
    files = pushed(here)
    for name in ("patch.yaml", "data.txt"):
        del files[f"{APP}/{name}"]
    (line,), _ = compared(here, files)
    assert f"{APP}/patch.yaml and 1 more, not on main" in line


def test_an_edit_that_was_not_pushed_is_a_warning(here: Path) -> None:
    files = pushed(here)
    write(here, {f"{BASE}/deployment.yaml": "a: c\n"})
    warning = app(
        f"has {BASE}/deployment.yaml in another form on main of acme/platform, which is what the "
        "cluster gets; pull, and push what is yours"
    )
    assert compared(here, files) == ([], [warning])


def test_what_another_kustomization_of_the_branch_names_is_not_guessed(here: Path) -> None:
    """The branch may name neither the new file nor the old base."""
    files = pushed(here)
    write(
        here,
        {
            f"{APP}/kustomization.yaml": kustomization("../../new", "more.yaml"),
            f"{APP}/more.yaml": "a: b\n",
            **definition("apps/podinfo/new", "a: b\n"),
        },
    )
    refused, (warning,) = compared(here, files)
    assert refused == []
    assert f"has {APP}/kustomization.yaml in another form" in warning


def test_a_kustomization_of_another_name_is_another_form(here: Path) -> None:
    files = pushed(here)
    files[f"{APP}/Kustomization"] = files.pop(f"{APP}/kustomization.yaml")
    refused, (warning,) = compared(here, files)
    assert refused == []
    assert f"has {APP}/kustomization.yaml in another form" in warning


def test_a_definition_of_no_entry_does_not_matter(here: Path) -> None:
    files = pushed(here)
    write(here, definition("apps/unused", "a: b\n"))
    assert compared(here, files) == ([], [])


def test_two_entries_with_one_base_are_both_named(here: Path) -> None:
    write(here, {"Pulumi.dev.yaml": stack_file("dev", apps="podinfo/base podinfo/overlays/dev")})
    files = pushed(here)
    del files[f"{BASE}/deployment.yaml"]
    refused, _ = compared(here, files)
    assert [line.partition(" needs ")[0] for line in refused] == [
        "Pulumi.dev.yaml: fleet:apps[0]: 'podinfo/base'",
        "Pulumi.dev.yaml: fleet:apps[1]: 'podinfo/overlays/dev'",
    ]


@pytest.mark.parametrize(
    "text", ["resources: [a\n", "resources: [.]\n", "resources: [../../../..]\n"]
)
def test_a_kustomization_that_is_not_valid_is_left_to_the_check(here: Path, text: str) -> None:
    """The comparison ends, and goes by the text alone."""
    write(here, {f"{BASE}/kustomization.yaml": text})
    assert compared(here, pushed(here)) == ([], [])
