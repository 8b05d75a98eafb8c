"""Deploy keys: one for each cluster and team, the same at every run."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from fleet import deploy_keys
from fleet.errors import FleetError

SEED = base64.b64encode(bytes(range(32))).decode()
WHAT: dict[str, Any] = {
    "cluster": "dev",
    "tenant": "billing",
    "repository": "billing-apps",
    "generation": 1,
}
OTHERS: dict[str, Any] = {
    "cluster": "prod",
    "tenant": "audit",
    "repository": "billing",
    "generation": 2,
}


def test_the_same_at_every_run() -> None:
    assert deploy_keys.derive(SEED, **WHAT) == deploy_keys.derive(f"{SEED}\n", **WHAT)


def test_no_two_are_the_same() -> None:
    choices = [[(key, WHAT[key]), (key, OTHERS[key])] for key in WHAT]
    found = [deploy_keys.derive(SEED, **dict(one)) for one in itertools.product(*choices)]
    found.append(deploy_keys.derive(SEED[::-1], **WHAT))
    assert len({key.public for key in found}) == len({key.private for key in found}) == 2**4 + 1


def test_a_key_is_a_pair() -> None:
    key = deploy_keys.derive(SEED, **WHAT)
    private = serialization.load_pem_private_key(key.private.encode(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    assert key.public == public.decode()
    assert key.public.startswith("ssh-ed25519 ")


def test_a_seed_that_somebody_thought_of_is_refused() -> None:
    with pytest.raises(FleetError, match="has fewer than 44 characters; use `openssl") as caught:
        deploy_keys.derive("correct horse battery staple", **WHAT)
    assert "horse" not in str(caught.value)
