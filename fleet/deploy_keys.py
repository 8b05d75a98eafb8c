"""The read-only keys with which Flux reads teams' repositories: one for each cluster and team.

A key is made of the stack's secret `fleet:deployKeySeed` and of what it is for. So it is the same
at every run, no two are the same, and no private key is kept but in the cluster and in the
engine's encrypted state.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fleet.errors import FleetError

_KEY_BYTES = 32
# What 32 random bytes are in base64: less is a password that somebody thought of.
SEED_CHARACTERS = 44


@dataclass(frozen=True, kw_only=True)
class DeployKey:
    """An ed25519 key: `private` is PEM (PKCS 8), `public` a line of authorized_keys."""

    private: str
    public: str

    @property
    def digest(self) -> str:
        """A short name of this very key."""
        return hashlib.sha256(self.public.encode()).hexdigest()[:8]


def derive(seed: str, *, cluster: str, tenant: str, repository: str, generation: int) -> DeployKey:
    """Return the key of one team in one cluster.

    Raises FleetError when the seed is too short to be one.
    """
    if len(seed.strip()) < SEED_CHARACTERS:
        raise FleetError(
            f"fleet:deployKeySeed: has fewer than {SEED_CHARACTERS} characters; "
            "use `openssl rand -base64 32 | pulumi config set --secret fleet:deployKeySeed`"
        )
    purpose = "\0".join(("fleet deploy key", cluster, tenant, repository, str(generation)))
    derivation = HKDF(
        algorithm=hashes.SHA256(), length=_KEY_BYTES, salt=None, info=purpose.encode()
    )
    key = Ed25519PrivateKey.from_private_bytes(derivation.derive(seed.strip().encode()))
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return DeployKey(
        private=key.private_bytes(
            serialization.Encoding.PEM,
            # OpenSSH's own format has random bytes in it: every run would write another Secret.
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        public=public.decode(),
    )
