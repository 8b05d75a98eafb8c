"""The keys and certificates of the sandbox, made once and kept in `certificates/` of its state.

Every trust has an authority of its own: one for the servers that stand in for the internet, one
for etcd, one a cluster. So no cluster accepts another one's credentials, and nothing that trusts
the stand-ins trusts a cluster by it. Private keys are readable by their owner only.
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

from sandbox.host import files

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
    """The files of a certificate (or of a public key) and of its private key, which is PEM."""

    certificate: Path
    key: Path


def authority(state: Path, name: str) -> Pair:
    """Return the certificate authority of that name, made at the first call."""
    pair = _pair(state, name, "ca")
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


def server_certificate(state: Path, authority_name: str, name: str, hosts: Sequence[str]) -> Pair:
    """Return a certificate for a server reached as any of `hosts`, DNS names or IP addresses.

    The certificate file holds the chain of one: the authority is what clients are given.
    """
    names = x509.SubjectAlternativeName([_host(host) for host in hosts])
    return _leaf(state, authority_name, name, _subject(name, ()), names)


def client_certificate(
    state: Path, authority_name: str, user: str, groups: Sequence[str] = ()
) -> Pair:
    """Return a certificate for a client: to Kubernetes its user name and groups."""
    return _leaf(state, authority_name, user.replace(":", "-"), _subject(user, groups), None)


def signing_key(state: Path, authority_name: str) -> Pair:
    """Return the key pair by which a cluster signs the tokens of its service accounts."""
    pair = _pair(state, authority_name, "service-accounts")
    if not (pair.certificate.exists() and pair.key.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        files.write(pair.key, _private_bytes(key), 0o600)
        files.write(pair.certificate, public, 0o644)
    return pair


def ssh_host_key(state: Path, authority_name: str, name: str) -> Pair:
    """Return the Ed25519 key pair by which an SSH server is known; the public one is one line."""
    pair = _pair(state, authority_name, f"{name}-ssh")
    if not (pair.certificate.exists() and pair.key.exists()):
        key = ed25519.Ed25519PrivateKey.generate()
        public = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        files.write(pair.key, _private_bytes(key), 0o600)
        files.write(pair.certificate, public, 0o644)
    return pair


def ca_bundle(state: Path) -> Path:
    """Return the file for SSL_CERT_FILE: the authority of the internet's stand-ins, no other."""
    return authority(state, "sandbox").certificate


def _leaf(
    state: Path,
    authority_name: str,
    name: str,
    subject: x509.Name,
    hosts: x509.SubjectAlternativeName | None,
) -> Pair:
    issuer = authority(state, authority_name)
    pair = _pair(state, authority_name, name)
    current = _current(pair, issuer)
    if current is not None and current.subject == subject and _hosts(current) == hosts:
        return pair
    issuer_key = serialization.load_pem_private_key(issuer.key.read_bytes(), None)
    issuer_certificate = _load(issuer.certificate)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{issuer.key}: not an elliptic curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    # etcd is a client of itself, so a server's certificate is good for both sides.
    usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
    if hosts is not None:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    builder = (
        _builder(subject, issuer_certificate.subject, key.public_key(), issuer_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**{**_EXACT_USAGE, "digital_signature": True}), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    if hosts is not None:
        builder = builder.add_extension(hosts, critical=False)
    _save(pair, key, builder.sign(issuer_key, hashes.SHA256()))
    return pair


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
    """Return the kept certificate unless it is missing, near its end or of another authority."""
    if not (pair.certificate.exists() and pair.key.exists()):
        return None
    certificate = _load(pair.certificate)
    ends = certificate.not_valid_after_utc - _RENEW_BEFORE
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(_public_key(issuer))
    known = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    return certificate if datetime.now(timezone.utc) < ends and known == signer else None


def _public_key(pair: Pair) -> ec.EllipticCurvePublicKey:
    key = _load(pair.certificate).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError(f"{pair.certificate}: not an elliptic curve key")
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


def _pair(state: Path, authority_name: str, name: str) -> Pair:
    folder = state / "certificates" / authority_name
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Pair(certificate=folder / f"{name}.crt", key=folder / f"{name}.key")


def _save(pair: Pair, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    # The key first: a certificate that exists has its key.
    files.write(pair.key, _private_bytes(key), 0o600)
    files.write(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o644)


def _private_bytes(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _load(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())
