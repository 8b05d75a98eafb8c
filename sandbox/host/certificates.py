"""Keys and certificates of a sandbox, made once and kept.

There are several certificate authorities: one for the stand-ins of GitHub and the internet, one for
etcd, and one for each cluster. So no cluster accepts the credentials of another one, and a client
that trusts the stand-ins trusts no cluster. Only their owner can read private keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from fleet import files

# The authority of the servers that stand in for GitHub and the internet.
STAND_INS = "sandbox"
_ORGANIZATION = "fleet sandbox"
# Go refuses a certificate that names no host, and no server has a name like this one.
_NO_HOST = "client.invalid"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two files: a certificate or a public key, and its private key in PEM."""

    certificate: Path
    key: Path

    def exists(self) -> bool:
        """Return whether both files exist."""
        return self.certificate.exists() and self.key.exists()

    def save(self, private: bytes, public: bytes) -> None:
        """Write both files."""
        # The private key is written first, so that whoever finds a certificate finds its key too.
        files.write(self.key, private, 0o600)
        files.write(self.certificate, public, 0o644)


@dataclass(frozen=True)
class Certificates:
    """The keys and certificates of one sandbox, a folder for each authority."""

    folder: Path

    def authority(self, name: str) -> Pair:
        """Return the certificate authority of this name; the first call creates it."""
        pair = self._pair(name, "ca")
        if not pair.exists():
            created = trustme.CA(
                path_length=0, organization_name=_ORGANIZATION, organization_unit_name=f"{name} CA"
            )
            pair.save(created.private_key_pem.bytes(), created.cert_pem.bytes())
        return pair

    def server_certificate(self, authority: str, name: str, hosts: Sequence[str]) -> Pair:
        """Return a certificate for a server that clients reach as `hosts`, names or IP addresses.

        The file holds the server's certificate only; clients are given the authority's. It is
        valid for a client too, because etcd is a client of itself.
        """
        return self._leaf(authority, name, _ORGANIZATION, hosts)

    def client_certificate(self, authority: str, user: str, group: str | None = None) -> Pair:
        """Return a certificate for a client; Kubernetes reads its user and group from it."""
        return self._leaf(authority, user, group or _ORGANIZATION, [_NO_HOST])

    def signing_key(self, authority: str) -> Pair:
        """Return the key pair that signs the service account tokens of a cluster."""
        pair = self._pair(authority, "service-accounts")
        if not pair.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            public = key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            pair.save(_pem(key), public)
        return pair

    def ssh_host_key(self, authority: str, name: str) -> Pair:
        """Return the Ed25519 key pair of an SSH server; the public key is one line."""
        pair = self._pair(authority, f"{name}-ssh")
        if not pair.exists():
            key = ed25519.Ed25519PrivateKey.generate()
            public = key.public_key().public_bytes(
                serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
            )
            pair.save(_pem(key), public)
        return pair

    @property
    def ca_bundle(self) -> Path:
        """The file for SSL_CERT_FILE, with the authority of the stand-ins and no other."""
        return self.authority(STAND_INS).certificate

    def _pair(self, authority: str, name: str) -> Pair:
        folder = self.folder / authority
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Pair(certificate=folder / f"{name}.crt", key=folder / f"{name}.key")

    def _leaf(self, authority: str, name: str, organization: str, hosts: Sequence[str]) -> Pair:
        issuer = self.authority(authority)
        pair = self._pair(authority, name.replace(":", "-"))
        created = trustme.CA.from_pem(
            issuer.certificate.read_bytes(), issuer.key.read_bytes()
        ).issue_cert(
            *hosts,
            common_name=name,
            organization_name=organization,
            organization_unit_name=_ORGANIZATION,
        )
        certificate = created.cert_chain_pems[0].bytes()
        if not pair.exists() or _content(pair.certificate.read_bytes()) != _content(certificate):
            pair.save(created.private_key_pem.bytes(), certificate)
        return pair


def _content(certificate: bytes) -> object:
    """Return what a certificate says of its issuer and its holder, without the holder's key."""
    loaded = x509.load_pem_x509_certificate(certificate)
    own_key = x509.SubjectKeyIdentifier.oid
    return loaded.subject, {item for item in loaded.extensions if item.oid != own_key}


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
