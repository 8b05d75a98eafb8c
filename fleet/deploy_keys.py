"""Deploy keys: Flux in one cluster reads the repository of one tenant with each.

A key is derived from the stack's secret `fleet:deployKeySeed` and from the key's purpose. So every
run derives the same key, no two purposes share one, and the private key exists only in the cluster
and in the engine's encrypted state.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fleet.errors import FleetError

_KEY_BYTES = 32
# 32 random bytes have this length in base64. A shorter seed is likely a password.
SEED_CHARACTERS = 44


@dataclass(frozen=True, kw_only=True)
class DeployKey:
    """An ed25519 key pair: `private` is PEM (PKCS 8), `public` is a line of authorized_keys."""

    private: str
    public: str

    @property
    def digest(self) -> str:
        """The start of the public key's sha256, which tells keys apart."""
        return hashlib.sha256(self.public.encode()).hexdigest()[:8]


def derive(seed: str, *, cluster: str, tenant: str, repository: str, generation: int) -> DeployKey:
    """Return the key of one tenant in one cluster; a new generation is a new key.

    `repository` is `<owner>/<name>`, or only the name for a key of an earlier version of fleet.
    Raises FleetError when the seed is too short.
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
            # OpenSSH's own format contains random bytes, so every run would change the Secret.
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
        public=public.decode(),
    )
