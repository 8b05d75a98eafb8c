"""Keys and certificates of a sandbox, made once and kept.

There are several certificate authorities: one for the stand-ins of GitHub and the internet, one for
etcd, and one for each cluster. So no cluster accepts the credentials of another one, and a client
that trusts the stand-ins trusts no cluster. Only their owner can read private keys.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fleet import files

# The authority of the servers that stand in for GitHub and the internet.
STAND_INS = "sandbox"
_LIFE = timedelta(days=3650)
_RENEW_BEFORE = timedelta(days=30)
_EXACT_USAGE = dict.fromkeys(
    (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    ),
    False,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two files: a certificate or a public key, and its private key in PEM."""

    certificate: Path
    key: Path

    def exists(self) -> bool:
        """Return whether both files exist."""
        return self.certificate.exists() and self.key.exists()


@dataclass(frozen=True)
class Certificates:
    """The keys and certificates of one sandbox, a folder for each authority."""

    folder: Path

    def authority(self, name: str) -> Pair:
        """Return the certificate authority of this name; the first call creates it."""
        pair = self._pair(name, "ca")
        if _current(pair, issuer=pair) is None:
            key = ec.generate_private_key(ec.SECP256R1())
            subject = _subject(f"fleet sandbox {name} CA", ())
            builder = (
                _builder(subject, subject, key.public_key(), key.public_key())
                .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
                .add_extension(
                    x509.KeyUsage(**{**_EXACT_USAGE, "key_cert_sign": True, "crl_sign": True}),
                    critical=True,
                )
            )
            _save(pair, key, builder.sign(key, hashes.SHA256()))
        return pair

    def server_certificate(self, authority: str, name: str, hosts: Sequence[str]) -> Pair:
        """Return a certificate for a server that clients reach as `hosts`, names or IP addresses.

        The file holds the server's certificate only; clients are given the authority's.
        """
        names = x509.SubjectAlternativeName([_host(host) for host in hosts])
        return self._leaf(authority, name, _subject(name, ()), names)

    def client_certificate(self, authority: str, user: str, groups: Sequence[str] = ()) -> Pair:
        """Return a certificate for a client; Kubernetes reads its user and groups from it."""
        return self._leaf(authority, user.replace(":", "-"), _subject(user, groups), None)

    def signing_key(self, authority: str) -> Pair:
        """Return the key pair that signs the service account tokens of a cluster."""
        pair = self._pair(authority, "service-accounts")
        if not pair.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            public = key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            _save_keys(pair, key, public)
        return pair

    def ssh_host_key(self, authority: str, name: str) -> Pair:
        """Return the Ed25519 key pair of an SSH server; the public key is one line."""
        pair = self._pair(authority, f"{name}-ssh")
        if not pair.exists():
            key = ed25519.Ed25519PrivateKey.generate()
            public = key.public_key().public_bytes(
                serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
            )
            _save_keys(pair, key, public)
        return pair

    @property
    def ca_bundle(self) -> Path:
        """The file for SSL_CERT_FILE, with the authority of the stand-ins and no other."""
        return self.authority(STAND_INS).certificate

    def _pair(self, authority: str, name: str) -> Pair:
        folder = self.folder / authority
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return Pair(certificate=folder / f"{name}.crt", key=folder / f"{name}.key")

    def _leaf(
        self,
        authority: str,
        name: str,
        subject: x509.Name,
        hosts: x509.SubjectAlternativeName | None,
    ) -> Pair:
        issuer = self.authority(authority)
        pair = self._pair(authority, name)
        current = _current(pair, issuer)
        if current is None or current.subject != subject or _hosts(current) != hosts:
            key = ec.generate_private_key(ec.SECP256R1())
            _save(pair, key, _signed(issuer, subject, key, hosts))
        return pair


def _signed(
    issuer: Pair,
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    hosts: x509.SubjectAlternativeName | None,
) -> x509.Certificate:
    issuer_key = serialization.load_pem_private_key(issuer.key.read_bytes(), None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{issuer.key}: is no elliptic curve key")
    # etcd is a client of itself, so a server certificate is valid for clients too.
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if hosts is not None:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    issuer_name = _load(issuer.certificate).subject
    builder = (
        _builder(subject, issuer_name, key.public_key(), issuer_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{**_EXACT_USAGE, "digital_signature": True}), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    if hosts is not None:
        builder = builder.add_extension(hosts, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    now = datetime.now(timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False
        )
    )


def _current(pair: Pair, issuer: Pair) -> x509.Certificate | None:
    """Return the certificate, or None if it is missing, expires soon or has another issuer."""
    if not pair.exists():
        return None
    certificate = _load(pair.certificate)
    ends = certificate.not_valid_after_utc - _RENEW_BEFORE
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(_public_key(issuer))
    known = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    return certificate if datetime.now(timezone.utc) < ends and known == signer else None


def _public_key(pair: Pair) -> ec.EllipticCurvePublicKey:
    key = _load(pair.certificate).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError(f"{pair.certificate}: is no elliptic curve key")
    return key


def _hosts(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _subject(name: str, groups: Sequence[str]) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        + [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )


def _save(pair: Pair, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    _save_keys(pair, key, certificate.public_bytes(serialization.Encoding.PEM))


def _save_keys(
    pair: Pair, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, public: bytes
) -> None:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # The private key is written first, so that whoever finds a certificate finds its key too.
    files.write(pair.key, private, 0o600)
    files.write(pair.certificate, public, 0o644)


def _load(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())
