"""The objects of one shared definition."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.check import definition_objects
from fleet.errors import CommandError
from tests.support import definition, kustomization, namespace, write

DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: b}\n"


def test_the_names_of_all_objects_with_their_groups(checkout: Path) -> None:
    write(checkout, definition("apps/a", f"{namespace('b')}---\n{DEPLOYMENT}"))
    with definition_objects.reader(checkout) as objects_of:
        assert objects_of("apps/a") == {"Namespace b", "apps Deployment b/a"}


def test_a_folder_that_does_not_exist(checkout: Path) -> None:
    with definition_objects.reader(checkout) as objects_of:
        assert objects_of("apps/nowhere") is None


@pytest.mark.parametrize(
    ("resource", "text"),
    [
        ("https://github.com/acme/other", "has references that Flux refuses"),
        ("../podinfo/base", "does not build: kustomize: exit 1: "),
    ],
)
def test_a_definition_that_cannot_be_built(resource: str, text: str, checkout: Path) -> None:
    write(checkout, {"apps/a/kustomization.yaml": kustomization(resource, resource)})
    with (
        definition_objects.reader(checkout) as objects_of,
        pytest.raises(CommandError, match=f"apps/a: {text}"),
    ):
        objects_of("apps/a")


def test_nothing_is_copied_before_the_first_question(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.check.build.pack", None)
    with definition_objects.reader(checkout):
        pass
