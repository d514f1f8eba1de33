"""Certificates for tests: an authority of one's own that issues whatever is needed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)
SIGNS = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A key without a passphrase."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True)
class Issued:
    """A certificate and what belongs to it, in PEM where it says so."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    between: bytes = b""

    @property
    def cert_pem(self) -> bytes:
        """The certificate, and those between it and the root."""
        return self.certificate.public_bytes(Encoding.PEM) + self.between

    @property
    def key_pem(self) -> bytes:
        """Its key."""
        return key_pem(self.key)

    @property
    def pem(self) -> bytes:
        """Key and certificates, as one file has them."""
        return self.key_pem + self.cert_pem

    @property
    def serial(self) -> int:
        """Which certificate it is."""
        return self.certificate.serial_number

    def write(self, path: Path) -> Path:
        """All of it in one file that only its owner can read."""
        path.write_bytes(self.pem)
        path.chmod(0o600)
        return path

    def write_certbot(self, directory: Path) -> Path:
        """As ``fullchain.pem`` and ``privkey.pem`` in a directory of its own."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "fullchain.pem").write_bytes(self.cert_pem)
        key = directory / "privkey.pem"
        key.write_bytes(self.key_pem)
        key.chmod(0o600)
        return directory


class Authority:
    """One who issues certificates."""

    def __init__(self, name: str = "Test Authority", parent: "Authority | None" = None) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.parent = parent
        issuer = parent or self
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 3650 * DAY)
            .not_valid_after(now + 3650 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(SIGNS, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False
            )
            .add_extension(issuer.key_identifier, critical=False)
            .sign(issuer.key, hashes.SHA256())
        )

    @property
    def key_identifier(self) -> x509.AuthorityKeyIdentifier:
        """What those that it issues say about its key."""
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def up_to_the_root(self) -> bytes:
        """Its certificate and those between it and the root; nothing for a root."""
        return self.pem + self.parent.up_to_the_root if self.parent else b""

    def issue(
        self,
        names: Iterable[str] = (),
        *,
        subject: str = "",
        begins: timedelta = -DAY,
        ends: timedelta = 30 * DAY,
        client: bool = False,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> Issued:
        """A certificate for ``names``: host names and IP addresses.

        :param subject: what it says whose it is.
        :param begins: from now on.
        :param ends: likewise.
        :param client: for a client, not for a server.
        """
        key = key or ec.generate_private_key(ec.SECP256R1())
        alternatives = [_general_name(name) for name in names]
        now = datetime.now(UTC)
        subject = subject or "test"
        parts = [subject[start : start + 64] for start in range(0, len(subject), 64)]
        common_names = [x509.NameAttribute(NameOID.COMMON_NAME, part) for part in parts]
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(common_names))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(self.key_identifier, critical=False)
        )
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), False)
        return Issued(builder.sign(self.key, hashes.SHA256()), key, self.up_to_the_root)

    def revoke(self, *serials: int, due: timedelta = DAY) -> bytes:
        """Its list of certificates that are not to be trusted any more, in PEM.

        :param due: when the next list is promised, from now on.
        """
        now = datetime.now(UTC)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(now - 10 * DAY)
            .next_update(now + due)
        )
        for serial in serials:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(serial)
                .revocation_date(now - 2 * DAY)
                .build()
            )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _general_name(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
