"""Tests of fleet/render/identity_file.py."""

from __future__ import annotations

import pytest
import yaml

from fleet.config.models import Stack
from fleet.render import commit_order, identity_file, tree
from fleet.render.commit_order import Commit
from tests.render.support import no_objects

UID = "8c2b3c9a-1f00-4a2e-9d11-0242ac120002"
TEXT = identity_file.text(UID)


def test_the_text_names_the_cluster() -> None:
    assert yaml.safe_load(TEXT) == {"uid": UID}
    assert identity_file.parse(TEXT) == UID


@pytest.mark.parametrize("edited", ["", TEXT + "\n", TEXT.replace(UID, "other"), f"uid: {UID}\n"])
def test_an_edited_text_names_none(edited: str) -> None:
    assert identity_file.parse(edited) is None


def test_it_is_committed_first_and_never_rendered(shipped: Stack) -> None:
    path = identity_file.path(shipped)
    assert path == f"clusters/{shipped.name}/flux-system/cluster-identity.yaml"
    files = tree.render(shipped, None)
    assert not any(path in text for text in (*files, *files.values()))
    waves = commit_order.commit_waves(shipped, {**files, path: TEXT}, {}, no_objects)
    assert Commit(path=path, text=TEXT) in waves[0]
