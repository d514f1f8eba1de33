"""A certificate for development: made at the start, kept in memory, trusted by nobody."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from netsuite.net._certificates_config import CertificateError
from netsuite.net._certificates_files import Credential
from netsuite.net._certificates_names import names_in

#: How long one is valid, in days.
SELF_SIGNED_DAYS = 30

#: What stands for the file of one that has none.
SELF_SIGNED_FILE = "self-signed"

_CLOCK_SKEW = timedelta(hours=1)


def generate_self_signed(
    names: Iterable[str], days: float = SELF_SIGNED_DAYS, now: datetime | None = None
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Make a key (ECDSA, P-256) and a certificate for it that it signs itself.

    :param names: host names and IP addresses; at least one.
    :param days: how long it is valid.
    :param now: when that begins (an hour before, for clocks that are behind).
    :raises CertificateError: for a name that cannot be one.
    """
    now = now or datetime.now(UTC)
    alternatives = [_general_name(name) for name in names]
    if not alternatives:
        raise CertificateError("a self-signed certificate without a name: expected at least one")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(alternatives[0].value)[:64])])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _general_name(name: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    try:
        if not name:
            raise ValueError
        return x509.DNSName(name.lower())
    except ValueError:
        raise CertificateError(
            f"{name!r}: not a name for a certificate: expected a host name or an IP address"
        ) from None


def self_signed_credential(host: str, now: float) -> Credential:
    """One for this machine.

    :param host: its own name; left out where it cannot be in a certificate.
    :param now: seconds since 1970-01-01 00:00 UTC.
    """
    names = dict.fromkeys(["localhost", *_usable(host), "127.0.0.1", "::1"])
    certificate, key = generate_self_signed(names, now=datetime.fromtimestamp(now, UTC))
    return Credential(SELF_SIGNED_FILE, (certificate,), key, names_in(certificate))


def _usable(host: str) -> Iterator[str]:
    try:
        _general_name(host)
    except CertificateError:
        return
    yield host.lower()
