import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from twisted.logger import capturedLogs

from netsuite.net import _certificates_files
from netsuite.net._certificates_files import MAX_FILE_SIZE
from netsuite.net.certificates import CertificateError
from netsuite.net.test.authority import DAY, Authority, Issued
from netsuite.net.test.handshake import AUTHORITY, CertificatesCase


class FilesCase(CertificatesCase):
    def file(self, name: str, data: bytes, mode: int = 0o600) -> Path:
        path = self.directory / name
        path.write_bytes(data)
        path.chmod(mode)
        return path

    def refused(self, **config: Any) -> str:
        """The one line, with the directory of the test as ``D``."""
        line = str(self.assertRaises(CertificateError, self.load, **config))
        self.assertNotIn("\n", line)
        return line.replace(str(self.directory), "D")

    def warned(self, **config: Any) -> list[str]:
        with capturedLogs() as events:
            self.load(**config)
        warnings = [each for each in events if each["log_level"].name == "warn"]
        return [each["problem"].replace(str(self.directory), "D") for each in warnings]


class ErrorTests(FilesCase):
    def setUp(self) -> None:
        super().setUp()
        self.issued = AUTHORITY.issue(["example.org"])
        self.cert = self.file("c.crt", self.issued.cert_pem)
        self.key = self.file("k.key", self.issued.key_pem)

    def test_no_such_file(self) -> None:
        self.assertEqual(
            self.refused(cert=self.directory / "x"),
            "D/x: No such file or directory: expected a certificate in PEM",
        )
        self.assertEqual(
            self.refused(cert=self.cert, key=self.directory / "x"),
            "D/x: No such file or directory: expected a private key in PEM",
        )
        self.assertEqual(
            self.refused(cert=self.cert, key=self.key, client_ca=self.directory / "x"),
            "D/x: No such file or directory: expected certificates of authorities in PEM",
        )
        self.assertEqual(
            self.refused(directory=self.directory / "x"),
            "D/x: No such file or directory: expected a directory with NAME.pem (key and"
            " certificates), or NAME/fullchain.pem and NAME/privkey.pem",
        )

    def test_no_regular_file(self) -> None:
        os.mkfifo(self.directory / "fifo")
        self.assertEqual(
            self.refused(cert=self.directory / "fifo"),
            "D/fifo: not a regular file: expected a certificate in PEM",
        )
        self.assertEqual(
            self.refused(cert=self.directory), "D: Is a directory: expected a certificate in PEM"
        )
        self.assertIn("c.crt: Not a directory: expected", self.refused(directory=self.cert))

    def test_a_file_without_a_certificate(self) -> None:
        for data in (
            b"",
            b"hello",
            self.issued.key_pem,
            self.issued.certificate.public_bytes(Encoding.DER),
        ):
            self.assertEqual(
                self.refused(cert=self.file("x", data)),
                "D/x: no certificate in it: expected a certificate in PEM",
            )

    def test_a_file_that_is_cut(self) -> None:
        """Wherever: unless just between two things, and then something is missing."""
        data = self.issued.pem
        ends = {len(self.issued.key_pem), len(data)}
        for size in range(len(data) - 1):
            if not {size, size + 1} & ends:
                self.assertIn("D/x: ", self.refused(cert=self.file("x", data[:size])))
        self.assertEqual(
            self.refused(cert=self.file("x", data[:-20])),
            "D/x: cut short or damaged: expected a certificate in PEM",
        )

    def test_a_damaged_certificate(self) -> None:
        lines = self.issued.cert_pem.splitlines(keepends=True)
        chain = self.issued.pem + b"".join(lines[:3] + lines[5:])
        self.assertEqual(
            self.refused(cert=self.file("x", chain)),
            "D/x: certificate 2 cannot be read: expected a certificate in PEM",
        )

    def test_no_key(self) -> None:
        self.assertEqual(
            self.refused(cert=self.cert),
            "D/c.crt: no private key in it: expected a private key in PEM",
        )
        self.assertEqual(
            self.refused(cert=self.cert, key=self.cert),
            "D/c.crt: no private key in it: expected a private key in PEM",
        )

    def test_several_keys(self) -> None:
        self.assertEqual(
            self.refused(cert=self.cert, key=self.file("x", self.issued.key_pem * 2)),
            "D/x: 2 private keys in it: expected a private key in PEM",
        )

    def test_a_key_of_another_certificate(self) -> None:
        other = self.file("x", AUTHORITY.issue().key_pem)
        self.assertEqual(
            self.refused(cert=self.cert, key=other),
            "D/x: the key does not belong to the certificate in D/c.crt:"
            " expected the server's own certificate first, and its key",
        )

    def test_the_wrong_certificate_first(self) -> None:
        chain = self.file("x", AUTHORITY.pem + self.issued.pem)
        self.assertIn("does not belong to the first certificate in D/x", self.refused(cert=chain))

    def test_an_encrypted_key(self) -> None:
        for style in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            key = self.issued.key.private_bytes(
                Encoding.PEM, style, BestAvailableEncryption(b"secret")
            )
            self.assertEqual(
                self.refused(cert=self.cert, key=self.file("x", key)),
                "D/x: the key is encrypted: expected one without a passphrase",
            )

    def test_a_damaged_key(self) -> None:
        lines = self.issued.key_pem.splitlines(keepends=True)
        self.assertEqual(
            self.refused(cert=self.cert, key=self.file("x", b"".join(lines[:1] + lines[2:]))),
            "D/x: the key cannot be read: expected a private key in PEM",
        )

    def test_a_key_of_a_kind_that_tls_does_not_have(self) -> None:
        key = dsa.generate_private_key(1024).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        self.assertIn(
            "of this kind cannot be used", self.refused(cert=self.cert, key=self.file("x", key))
        )

    def test_what_openssl_refuses(self) -> None:
        weak = rsa.generate_private_key(65_537, 1024)
        path = self.file("x", issue_for(weak))
        line = self.refused(cert=path)
        self.assertRegex(line, r"\AD/x: OpenSSL refuses it: .*key too small: expected ")

    def test_a_directory_without_certificates(self) -> None:
        empty = self.directory / "empty"
        (empty / "sub").mkdir(parents=True)
        (empty / "README").write_text("This directory has your keys")
        (empty / ".hidden.pem").write_text("")
        self.assertEqual(
            self.refused(directory=empty),
            "D/empty: no certificates in it: expected NAME.pem (key and certificates),"
            " or NAME/fullchain.pem and NAME/privkey.pem",
        )

    def test_one_bad_file_in_a_directory(self) -> None:
        self.put("a", "a.example")
        self.file("b.pem", b"")
        self.assertEqual(
            self.refused(), "D/b.pem: no certificate in it: expected a certificate in PEM"
        )

    def test_half_of_what_certbot_has(self) -> None:
        directory = self.issued.write_certbot(self.directory / "example.org")
        (directory / "privkey.pem").unlink()
        self.assertEqual(
            self.refused(),
            "D/example.org/privkey.pem: No such file or directory: expected a private key in PEM",
        )

    def test_client_authorities(self) -> None:
        for data, expected in {
            b"": "no certificate in it",
            self.issued.key_pem: "no certificate in it",
            AUTHORITY.revoke(): "no certificate in it",
            AUTHORITY.pem[:-40]: "cut short or damaged",
        }.items():
            path = self.file("ca", data)
            self.assertEqual(
                self.refused(cert=self.cert, key=self.key, client_ca=path),
                f"D/ca: {expected}: expected certificates of authorities in PEM",
            )

    def test_a_damaged_revocation_list(self) -> None:
        lines = AUTHORITY.revoke().splitlines(keepends=True)
        path = self.file("ca", AUTHORITY.pem + b"".join(lines[:2] + lines[3:]))
        self.assertEqual(
            self.refused(cert=self.cert, key=self.key, client_ca=path),
            "D/ca: a revocation list cannot be read: expected it in PEM",
        )

    def test_the_longest_file(self) -> None:
        self.patch(_certificates_files, "MAX_FILE_SIZE", len(self.issued.pem))
        path = self.file("x", self.issued.pem)
        self.load(cert=path)
        self.file("x", self.issued.pem + b"\n")
        self.assertEqual(
            self.refused(cert=path),
            f"D/x: over {len(self.issued.pem)} bytes: expected a certificate in PEM",
        )
        self.assertGreaterEqual(MAX_FILE_SIZE, 2**20, "bundles of all the web's authorities")


def issue_for(key: Any) -> bytes:
    """Key and certificate, whatever kind of key it is."""
    issued: Issued = AUTHORITY.issue(["example.org"], key=key)
    return issued.pem


class LayoutTests(FilesCase):
    def test_kinds_of_keys(self) -> None:
        for key in (
            rsa.generate_private_key(65_537, 2048),
            ec.generate_private_key(ec.SECP384R1()),
            ed25519.Ed25519PrivateKey.generate(),
            ed448.Ed448PrivateKey.generate(),
        ):
            self.load(cert=self.file("x", issue_for(key)))

    def test_order_and_other_text_in_a_file_are_free(self) -> None:
        issued = AUTHORITY.issue(["example.org"])
        parameters = (
            b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        )
        text = b"subject: CN = test\r\n\r\n" + issued.cert_pem + b"# key\n" + parameters
        data = text + issued.key_pem.rstrip(b"\n")
        for each in (data, data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")):
            self.load(cert=self.file("x", each))

    def test_a_key_of_its_own(self) -> None:
        issued = AUTHORITY.issue(["example.org"])
        other = AUTHORITY.issue()
        cert = self.file("x.crt", issued.cert_pem + other.key_pem)
        certificates = self.load(cert=cert, key=self.file("x.key", issued.key_pem))
        self.assertEqual(self.serial_for(certificates, None), issued.serial)

    def test_the_chain_is_sent(self) -> None:
        issued = Authority("Between", AUTHORITY).issue(["example.org"])
        certificates = self.load(cert=issued.write(self.directory / "x"))
        self.assertEqual(self.serial_for(certificates, None), issued.serial)

    def test_certbot(self) -> None:
        one, two = AUTHORITY.issue(["one.example"]), AUTHORITY.issue(["two.example"])
        three = self.put("three", "three.example")
        one.write_certbot(self.directory / "one.example")
        two.write_certbot(self.directory.parent / "archive" / "two")
        (self.directory / "two.example").symlink_to("../archive/two")
        (self.directory / "README").write_text("hello")
        (self.directory / "empty").mkdir()
        certificates = self.load()
        for name, expected in {
            "one.example": one,
            "two.example": two,
            "three.example": three,
        }.items():
            self.assertEqual(self.serial_for(certificates, name), expected.serial)
        self.assertEqual(
            list(certificates.expiries),
            [
                str(self.directory / path)
                for path in ("one.example/fullchain.pem", "three.pem", "two.example/fullchain.pem")
            ],
        )


class WarningTests(FilesCase):
    def test_nothing(self) -> None:
        self.put("a", "a.example")
        self.assertEqual(self.warned(), [])

    def test_expired(self) -> None:
        issued = self.put("a", "a.example", begins=-2 * DAY, ends=-DAY)
        when = issued.certificate.not_valid_after_utc
        self.assertEqual(
            self.warned(), [f"D/a.pem: the certificate expired at {when:%Y-%m-%d %H:%M} UTC"]
        )

    def test_not_yet_valid(self) -> None:
        issued = self.put("a", "a.example", begins=DAY)
        when = issued.certificate.not_valid_before_utc
        self.assertEqual(
            self.warned(),
            [f"D/a.pem: the certificate is not valid before {when:%Y-%m-%d %H:%M} UTC"],
        )

    def test_no_name(self) -> None:
        self.put("a")
        self.assertEqual(self.warned(), ["D/a.pem: no name in the certificate (subjectAltName)"])

    def test_a_key_for_everybody(self) -> None:
        issued = AUTHORITY.issue(["example.org"])
        cert = self.file("x.crt", issued.cert_pem, 0o644)
        for mode, expected in {
            0o644: ["D/x.key: every user can read this private key"],
            0o640: [],
        }.items():
            key = self.file("x.key", issued.key_pem, mode)
            self.assertEqual(self.warned(cert=cert, key=key), expected)

    def test_an_old_revocation_list(self) -> None:
        self.put("a", "a.example")
        ca = self.file("ca", AUTHORITY.pem + AUTHORITY.revoke(due=-DAY) + AUTHORITY.revoke())
        (warning,) = self.warned(client_ca=ca)
        self.assertIn("D/ca: a revocation list was to be replaced by ", warning)
