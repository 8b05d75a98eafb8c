"""Deploy keys: the same at every run, and different for every purpose."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from fleet import deploy_keys
from fleet.errors import FleetError

SEED = base64.b64encode(bytes(range(32))).decode()
PURPOSE: dict[str, Any] = {
    "cluster": "dev",
    "tenant": "billing",
    "repository": "billing-apps",
    "generation": 1,
}
OTHER_PURPOSE: dict[str, Any] = {
    "cluster": "prod",
    "tenant": "audit",
    "repository": "billing",
    "generation": 2,
}


def test_every_run_derives_the_same_key() -> None:
    assert deploy_keys.derive(SEED, **PURPOSE) == deploy_keys.derive(f"{SEED}\n", **PURPOSE)


def test_every_purpose_and_seed_has_another_key() -> None:
    choices = [[(key, PURPOSE[key]), (key, OTHER_PURPOSE[key])] for key in PURPOSE]
    found = [deploy_keys.derive(SEED, **dict(one)) for one in itertools.product(*choices)]
    found.append(deploy_keys.derive(SEED[::-1], **PURPOSE))
    assert len({key.public for key in found}) == len({key.private for key in found}) == 2**4 + 1


def test_the_public_key_belongs_to_the_private_key() -> None:
    key = deploy_keys.derive(SEED, **PURPOSE)
    private = serialization.load_pem_private_key(key.private.encode(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    assert key.public == public.decode()
    assert key.public.startswith("ssh-ed25519 ")


def test_a_short_seed_is_refused_and_not_shown() -> None:
    with pytest.raises(FleetError, match="has fewer than 44 characters; use `openssl") as caught:
        deploy_keys.derive("correct horse battery staple", **PURPOSE)
    assert "horse" not in str(caught.value)
