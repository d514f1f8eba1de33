from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from netsuite.net._certificates_names import names_in
from netsuite.net.certificates import (
    CertificateError,
    ServerCertificates,
    TLSConfig,
    generate_self_signed,
)
from netsuite.net.test.handshake import CertificatesCase, Connection, client_context

NOW = datetime(2030, 2, 3, 4, 5, 6, tzinfo=UTC)


class GenerateTests(SynchronousTestCase):
    def test_what_it_says(self) -> None:
        certificate, key = generate_self_signed(["Dev.example", "192.0.2.1", "::1"], 7, NOW)
        self.assertEqual(names_in(certificate), ("dev.example", "192.0.2.1", "::1"))
        self.assertEqual(certificate.not_valid_after_utc, NOW + timedelta(days=7))
        self.assertLess(certificate.not_valid_before_utc, NOW)
        self.assertEqual(certificate.issuer, certificate.subject)
        self.assertEqual(certificate.public_key(), key.public_key())
        self.assertIsInstance(key.curve, ec.SECP256R1)
        certificate.verify_directly_issued_by(certificate)

    def test_it_can_sign_no_other(self) -> None:
        certificate, _ = generate_self_signed(["localhost"], 1, NOW)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        self.assertFalse(constraints.value.ca)

    def test_each_is_another(self) -> None:
        (one, key), (two, other) = (generate_self_signed(["x"], 1, NOW) for _ in range(2))
        self.assertNotEqual(one.serial_number, two.serial_number)
        self.assertNotEqual(key.public_key(), other.public_key())

    def test_names_that_cannot_be(self) -> None:
        for names in ([], [""], ["bücher.example"]):
            self.assertRaises(CertificateError, generate_self_signed, names, 1, NOW)


class SelfSignedTests(CertificatesCase):
    def logged(self, host: str) -> tuple[ServerCertificates, list[LogEvent]]:
        with capturedLogs() as events:
            certificates = ServerCertificates(
                TLSConfig(self_signed=True), host=host, now=NOW.timestamp
            )
        return certificates, list(events)

    def test_names_and_end(self) -> None:
        certificates, _ = self.logged("Box.example")
        (served,) = certificates.certificates
        self.assertEqual(served.names, ("localhost", "box.example", "127.0.0.1", "::1"))
        self.assertEqual(certificates.expiries, {"self-signed": NOW.timestamp() + 30 * 86_400})

    def test_it_is_said_how_to_trust_it(self) -> None:
        certificates, events = self.logged("box")
        made, trust = map(formatEvent, events)
        self.assertIn("self-signed certificate for localhost, box, 127.0.0.1, ::1", made)
        self.assertIn(certificates.certificates[0].fingerprint, made)
        self.assertIn("curl --cacert", trust)

    def test_a_machine_without_a_usable_name(self) -> None:
        for host in ("", "bücher", "localhost", "127.0.0.1"):
            certificates, _ = self.logged(host)
            names = certificates.certificates[0].names
            self.assertEqual(names, ("localhost", "127.0.0.1", "::1"), host)

    def test_it_stays_when_others_are_reloaded(self) -> None:
        self.put("one", "one.example")
        certificates = self.load(self_signed=True, directory=self.directory)
        context = client_context()
        context.load_verify_locations(
            cadata=certificates._credentials[0].leaf.public_bytes(Encoding.PEM).decode()
        )
        made = Connection(certificates, "localhost", context=context).shake_hands().serial
        new = self.put("one", "one.example")
        self.assertTrue(certificates.reload())
        for name, serial in {"localhost": made, None: made, "one.example": new.serial}.items():
            connection = Connection(certificates, name, context=context).shake_hands()
            self.assertEqual(connection.serial, serial)
