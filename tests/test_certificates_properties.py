"""Certificate files with anything in them: used, or refused with one line."""

import base64
import tempfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from netsuite.net._certificates_names import NameIndex
from netsuite.net.certificates import CertificateError, ServerCertificates, TLSConfig
from netsuite.net.test.authority import Authority

pytestmark = pytest.mark.once

AUTHORITY = Authority()
ISSUED = AUTHORITY.issue(["one.example", "*.one.example", "192.0.2.1"])
DER = ISSUED.certificate.public_bytes(Encoding.DER)
CRL = x509.load_pem_x509_crl(AUTHORITY.revoke(ISSUED.serial)).public_bytes(Encoding.DER)
LABELS = st.sampled_from(["a", "b", "www", "xn--bcher-kva", "A", "*"])
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(".".join)


def load(data: bytes, revoked: bytes = b"") -> None:
    """Serve these bytes, and take clients that they have issued."""
    with tempfile.TemporaryDirectory() as directory:
        cert, ca = Path(directory, "cert.pem"), Path(directory, "ca")
        cert.write_bytes(data)
        ca.write_bytes(data + revoked)
        try:
            certificates = ServerCertificates(TLSConfig(cert=cert, client_ca=ca))
        except CertificateError as refused:
            line = str(refused)
        else:
            certificates.log_certificates()
            line = next(iter(certificates.expiries))
        assert directory in line
        assert "\n" not in line


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    load(data)


@given(st.data())
def test_a_file_with_some_bytes_changed(data: st.DataObject) -> None:
    text = bytearray(ISSUED.pem)
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    load(bytes(text))


@given(st.data())
def test_a_file_with_a_part_missing(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(ISSUED.pem)))
    load(ISSUED.pem[:start] + ISSUED.pem[data.draw(st.integers(start, len(ISSUED.pem))) :])


@given(st.data())
def test_a_certificate_with_some_bytes_changed(data: st.DataObject) -> None:
    """The base64 is right, so that what is inside is looked at."""
    der = bytearray(DER)
    for _ in range(data.draw(st.integers(1, 2))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    load(ISSUED.key_pem + armoured("CERTIFICATE", bytes(der)))


@given(st.integers(0, len(CRL) - 1), st.integers(0, 255))
@example(7, 0)  # a version that there is not
def test_a_revocation_list_with_a_byte_changed(position: int, value: int) -> None:
    der = bytearray(CRL)
    der[position] = value
    load(ISSUED.pem, armoured("X509 CRL", bytes(der)))


def armoured(label: str, der: bytes) -> bytes:

    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (
        label.encode(),
        base64.encodebytes(der),
        label.encode(),
    )


@given(st.lists(NAMES, max_size=5), NAMES)
def test_names_match_as_the_rfc_says(names: list[str], asked: str) -> None:
    """RFC 9525 section 6.3, by trying each name in turn."""
    index = NameIndex(([name.lower()], number) for number, name in enumerate(names))
    labels = asked.lower().split(".")

    def matches(name: str) -> bool:
        first, *rest = name.lower().split(".")
        return first == "*" and rest == labels[1:] and "*" not in rest and bool(rest)

    exact = [
        number
        for number, name in enumerate(names)
        if name.lower() == asked.lower() and "*" not in name
    ]
    wild = [number for number, name in enumerate(names) if matches(name)]
    assert index.find(asked.encode()) == next(iter(exact + wild), None)
