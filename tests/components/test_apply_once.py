"""Objects that are applied once."""

from __future__ import annotations

import pytest

from components.apply_once import type_token


@pytest.mark.parametrize(
    ("api_version", "kind", "token"),
    [
        ("v1", "Namespace", "kubernetes:core/v1:Namespace"),
        ("apps/v1", "Deployment", "kubernetes:apps/v1:Deployment"),
        (
            "source.toolkit.fluxcd.io/v1",
            "GitRepository",
            "kubernetes:source.toolkit.fluxcd.io/v1:GitRepository",
        ),
    ],
)
def test_type_token(api_version: str, kind: str, token: str) -> None:
    assert type_token(api_version, kind) == token
