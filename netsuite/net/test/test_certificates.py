import gc
import ssl
import weakref
from pathlib import Path

from OpenSSL import SSL
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from netsuite.net._certificates_contexts import CHAIN_DEPTH, LOGGED_NAME
from netsuite.net._certificates_names import NameIndex, names_in
from netsuite.net.certificates import CertificateError, TLSConfig, peer_certificate
from netsuite.net.test.authority import DAY, Authority
from netsuite.net.test.handshake import (
    AUTHORITY,
    LOCAL,
    CertificatesCase,
    Connection,
    RecorderFactory,
    client_context,
)

STRANGER = Authority("Somebody Else")
TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


class NameIndexTests(SynchronousTestCase):
    def test_exact_before_wildcard(self) -> None:
        index = NameIndex([(["*.example.org"], "any"), (["www.example.org"], "www")])
        self.assertEqual(index.find(b"www.example.org"), "www")
        self.assertEqual(index.find(b"ftp.example.org"), "any")

    def test_a_wildcard_is_one_label(self) -> None:
        index = NameIndex([(["*.example.org"], "any")])
        for name in ("example.org", ".example.org", "a.b.example.org", "xexample.org", "org"):
            self.assertIsNone(index.find(name), name)

    def test_case_and_a_final_dot_are_nothing(self) -> None:
        index = NameIndex([(["www.example.org"], "www")])
        self.assertEqual(index.find(b"WWW.Example.ORG."), "www")

    def test_international_names_are_as_on_the_wire(self) -> None:
        index = NameIndex([(["xn--bcher-kva.example"], "books")])
        self.assertEqual(index.find(b"XN--BCHER-KVA.example"), "books")
        self.assertIsNone(index.find("bücher.example".encode()))
        self.assertIsNone(index.find("bücher.example"))

    def test_addresses(self) -> None:
        index = NameIndex([(["192.0.2.1", "2001:db8::1"], "here")])
        for name in ("192.0.2.1", "::ffff:192.0.2.1", "2001:DB8:0::1", "2001:db8::1%eth0"):
            self.assertEqual(index.find(name), "here", name)
        self.assertIsNone(index.find("192.0.2.2"))

    def test_no_address_is_below_a_wildcard(self) -> None:
        self.assertIsNone(NameIndex([(["*.0.2.1"], "odd")]).find("192.0.2.1"))

    def test_other_wildcards_are_nobody_s_names(self) -> None:
        index = NameIndex([(["w*.example.org", "www.*.org", "*"], "odd")])
        for name in ("www.example.org", "w*.example.org", "*", "x", ""):
            self.assertIsNone(index.find(name), name)

    def test_the_first_with_a_name_has_it(self) -> None:
        index = NameIndex([(["example.org"], 1), (["example.org", "*.example.org"], 2)])
        self.assertEqual((index.find("example.org"), index.find("a.example.org")), (1, 2))


class NamesInTests(SynchronousTestCase):
    def test_all_kinds(self) -> None:
        names = ["Example.ORG", "*.example.org", "192.0.2.1", "2001:db8::1", "example.org"]
        self.assertEqual(
            names_in(AUTHORITY.issue(names).certificate),
            ("example.org", "*.example.org", "192.0.2.1", "2001:db8::1"),
        )

    def test_none(self) -> None:
        self.assertEqual(names_in(AUTHORITY.issue(subject="example.org").certificate), ())


class ChoiceTests(CertificatesCase):
    def test_by_name(self) -> None:
        one = self.put("one", "one.example", "other.example")
        two = self.put("two", "two.example", "*.two.example")
        certificates = self.load()
        for name, expected in {
            "one.example": one,
            "other.example": one,
            "two.example": two,
            "TWO.example": two,
            "www.two.example": two,
        }.items():
            self.assertEqual(self.serial_for(certificates, name), expected.serial, name)

    def test_an_exact_name_comes_before_a_wildcard(self) -> None:
        self.put("a", "*.example.org")
        exact = self.put("b", "www.example.org")
        self.assertEqual(self.serial_for(self.load(), "www.example.org"), exact.serial)

    def test_the_first_by_name_is_for_all_others(self) -> None:
        self.put("b", "b.example")
        first = self.put("a", "a.example")
        certificates = self.load()
        for name in (None, "other.example", "x" * 63 + ".b.example"):
            self.assertEqual(self.serial_for(certificates, name), first.serial, name)

    def test_the_single_one_is_for_all_others_of_a_directory(self) -> None:
        named = self.put("a", "a.example", "*.example.org")
        single = AUTHORITY.issue(["www.example.org"])
        file = single.write(self.directory / "single.crt")
        certificates = self.load(cert=file, directory=self.directory)
        for name, expected in {
            None: single,
            "other.example": single,
            "a.example": named,
            "ftp.example.org": named,
            "www.example.org": single,
        }.items():
            self.assertEqual(self.serial_for(certificates, name), expected.serial, name)

    def test_a_client_without_a_name_came_to_an_address(self) -> None:
        self.put("a", "a.example")
        here = self.put("b", "b.example", LOCAL.host)
        certificates = self.load()
        self.assertEqual(self.serial_for(certificates, None), here.serial)
        self.assertEqual(self.serial_for(certificates, LOCAL.host), here.serial)

    def test_of_two_for_one_name_the_one_that_ends_last(self) -> None:
        self.put("a", "example.org", ends=10 * DAY)
        longest = self.put("b", "example.org", ends=30 * DAY)
        self.put("c", "example.org", ends=20 * DAY)
        self.assertEqual(self.serial_for(self.load(), "example.org"), longest.serial)

    def test_stock_tls_factory(self) -> None:
        """It does not know ours, nor who wraps what."""
        one = self.put("one", "one.example")
        factory = TLSMemoryBIOFactory(self.load(), False, RecorderFactory())
        connection = factory._creatorCallable(factory.buildProtocol(None))
        self.assertEqual(connection.get_certificate(as_cryptography=True), one.certificate)

    def test_what_is_served_can_be_read(self) -> None:
        one = self.put("one", "one.example")
        two = self.put("two", "two.example", "192.0.2.2")
        certificates = self.load()
        first, second = certificates.certificates
        self.assertEqual(first.names, ("one.example",))
        self.assertEqual(second.names, ("two.example", "192.0.2.2"))
        self.assertEqual(
            certificates.expiries,
            {
                str(self.directory / "one.pem"): one.certificate.not_valid_after_utc.timestamp(),
                str(self.directory / "two.pem"): two.certificate.not_valid_after_utc.timestamp(),
            },
        )
        self.assertEqual(certificates.fingerprints[first.file], first.fingerprint)
        self.assertRegex(first.fingerprint, r"\A([0-9A-F]{2}:){31}[0-9A-F]{2}\Z")


class ParameterTests(CertificatesCase):
    def setUp(self) -> None:
        super().setUp()
        self.put("one", "one.example")

    def test_both_versions(self) -> None:
        certificates = self.load()
        for version, name in [(TLS12, "TLSv1.2"), (TLS13, "TLSv1.3")]:
            connection = Connection(certificates, context=client_context(version=version))
            self.assertEqual(connection.shake_hands().client.version(), name)

    def test_an_older_version_than_the_least_is_refused(self) -> None:
        connection = Connection(self.load(min_version="1.3"), context=client_context(version=TLS12))
        error = self.assertRaises(ssl.SSLError, connection.shake_hands)
        self.assertIn("PROTOCOL_VERSION", str(error))
        self.assertTrue(connection.transport.disconnecting)

    def test_tls_1_1_is_refused(self) -> None:
        context = client_context()
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        self.assertRaises(ssl.SSLError, Connection(self.load(), context=context).shake_hands)

    def test_old_ciphers_are_refused(self) -> None:
        for ciphers in ("ECDHE+AES+SHA", "ECDHE+AES+SHA256:!AESGCM"):
            context = client_context(version=TLS12)
            context.set_ciphers(ciphers)
            self.assertRaises(ssl.SSLError, Connection(self.load(), context=context).shake_hands)

    def test_a_session_is_resumed(self) -> None:
        for version in (TLS12, TLS13):
            certificates, context = self.load(), client_context(version=version)
            first = Connection(certificates, context=context).shake_hands()
            self.assertFalse(first.client.session_reused)
            session = first.client.session
            again = Connection(certificates, context=context, session=session).shake_hands()
            self.assertTrue(again.client.session_reused)
            certificates.renew_ticket_keys()
            renewed = Connection(certificates, context=context, session=session).shake_hands()
            self.assertFalse(renewed.client.session_reused, "begun afresh")


@implementer(IProtocolNegotiationFactory)
class NegotiatingFactory(RecorderFactory):
    def acceptableProtocols(self) -> list[bytes]:
        return [b"netsuite/2", b"netsuite/1"]


class ALPNTests(CertificatesCase):
    def negotiate(
        self, offered: list[str], alpn: tuple[str, ...] = (), factory: RecorderFactory | None = None
    ) -> str | None:
        """What is agreed on, with a certificate that is not the default one."""
        self.put("one", "one.example")
        self.put("two", "two.example")
        connection = Connection(
            self.load(alpn=alpn),
            "two.example",
            context=client_context(alpn=offered),
            factory=factory,
        ).shake_hands()
        agreed = connection.client.selected_alpn_protocol()
        self.assertEqual(connection.server.negotiatedProtocol, agreed and agreed.encode())
        return agreed

    def test_the_server_s_preference(self) -> None:
        self.assertEqual(self.negotiate(["http/1.1", "h2"], alpn=("h2", "http/1.1")), "h2")

    def test_the_factory_s_preference(self) -> None:
        offered = ["netsuite/1", "x", "netsuite/2"]
        self.assertEqual(self.negotiate(offered, factory=NegotiatingFactory()), "netsuite/2")

    def test_the_operator_comes_before_the_factory(self) -> None:
        factory = NegotiatingFactory()
        self.assertEqual(self.negotiate(["netsuite/2", "x"], ("x",), factory), "x")

    def test_nobody_cares(self) -> None:
        self.assertIsNone(self.negotiate(["h2"]))

    def test_a_client_that_offers_nothing(self) -> None:
        self.assertIsNone(self.negotiate([], alpn=("h2",)))

    def test_nothing_in_common(self) -> None:
        """RFC 7301 section 3.2."""
        self.put("one", "one.example")
        for version in (TLS12, TLS13):
            connection = Connection(
                self.load(alpn=("h2",)), context=client_context(version=version, alpn=["h3"])
            )
            error = self.assertRaises(ssl.SSLError, connection.shake_hands)
            self.assertIn("no application protocol", str(error).lower().replace("_", " "))
            self.assertTrue(connection.transport.disconnecting)


class ClientCertificateTests(CertificatesCase):
    version = TLS13

    def setUp(self) -> None:
        super().setUp()
        self.put("one", "one.example")
        self.put("two", "two.example")
        self.ca = self.directory / "clients.crt"
        self.ca.write_bytes(AUTHORITY.pem)
        self.mine = AUTHORITY.issue(subject="alice", client=True)

    def shake_hands(
        self, identity: Path | None, client: str = "required", name: str = "two.example"
    ) -> Connection:
        certificates = self.load(client_ca=self.ca, client=client)
        context = client_context(identity, version=self.version)
        self.connection = Connection(certificates, name, context=context)
        return self.connection.shake_hands()

    def refused(self, identity: Path | None, alert: str, client: str = "required") -> str:
        """What is logged of a client that is refused with this alert."""
        with capturedLogs() as events:
            error = self.assertRaises(ssl.SSLError, self.shake_hands, identity, client)
        self.assertIn(alert, str(error))
        self.assertEqual(self.connection.recorder.shown, "not asked", "no handshake was completed")
        self.assertTrue(self.connection.transport.disconnecting)
        return " ".join(each["reason"] for each in events if "subject" in each)

    def test_it_is_what_the_protocol_sees(self) -> None:
        connection = self.shake_hands(self.mine.write(self.directory / "mine"))
        self.assertIsNone(connection.recorder.early, "nothing is proved yet")
        self.assertEqual(connection.recorder.shown, self.mine.certificate)

    def test_with_the_default_certificate_too(self) -> None:
        connection = self.shake_hands(self.mine.write(self.directory / "mine"), name="one.example")
        self.assertEqual(connection.recorder.shown, self.mine.certificate)

    def test_an_authority_between(self) -> None:
        between = Authority("Between", AUTHORITY)
        mine = between.issue(client=True)
        connection = self.shake_hands(mine.write(self.directory / "mine"))
        self.assertEqual(connection.recorder.shown, mine.certificate)

    def test_as_many_authorities_between_as_may_be(self) -> None:
        between = AUTHORITY
        for depth in range(CHAIN_DEPTH):
            between = Authority(f"Between {depth}", between)
        mine = between.issue(client=True)
        connection = self.shake_hands(mine.write(self.directory / "mine"))
        self.assertEqual(connection.recorder.shown, mine.certificate)
        mine = Authority("One more", between).issue(client=True)
        self.refused(mine.write(self.directory / "mine"), "UNKNOWN_CA")

    def test_each_in_the_file_is_trusted_whoever_issued_it(self) -> None:
        between = Authority("Between", AUTHORITY)
        self.ca.write_bytes(between.pem)
        mine = between.issue(client=True)
        self.shake_hands(mine.write(self.directory / "mine"))
        self.refused(self.mine.write(self.directory / "mine"), "UNKNOWN_CA")

    def test_required(self) -> None:
        missing = "CERTIFICATE_REQUIRED" if self.version is TLS13 else "HANDSHAKE_FAILURE"
        self.refused(None, missing)

    def test_optional(self) -> None:
        connection = self.shake_hands(None, client="optional")
        self.assertIsNone(connection.recorder.shown)
        connection = self.shake_hands(self.mine.write(self.directory / "mine"), client="optional")
        self.assertEqual(connection.recorder.shown, self.mine.certificate)

    def test_another_authority(self) -> None:
        theirs = STRANGER.issue(client=True).write(self.directory / "theirs")
        for client in ("required", "optional"):
            reason = self.refused(theirs, "UNKNOWN_CA", client)
            self.assertEqual(reason, "from an authority that is not trusted")

    def test_an_authority_by_the_same_name(self) -> None:
        theirs = Authority().issue(client=True).write(self.directory / "theirs")
        self.refused(theirs, "UNKNOWN_CA")

    def test_expired(self) -> None:
        mine = AUTHORITY.issue(begins=-2 * DAY, ends=-DAY, client=True)
        reason = self.refused(mine.write(self.directory / "mine"), "CERTIFICATE_EXPIRED")
        self.assertEqual(reason, "expired")

    def test_not_yet_valid(self) -> None:
        mine = AUTHORITY.issue(begins=DAY, client=True)
        reason = self.refused(mine.write(self.directory / "mine"), "BAD_CERTIFICATE")
        self.assertEqual(reason, "not yet valid")

    def test_not_for_clients(self) -> None:
        mine = AUTHORITY.issue(["one.example"]).write(self.directory / "mine")
        self.assertEqual(self.refused(mine, "UNSUPPORTED_CERTIFICATE"), "not meant for clients")

    def test_revoked(self) -> None:
        other = AUTHORITY.issue(client=True)
        self.ca.write_bytes(AUTHORITY.pem + AUTHORITY.revoke(self.mine.serial))
        self.shake_hands(other.write(self.directory / "other"))
        reason = self.refused(self.mine.write(self.directory / "mine"), "CERTIFICATE_REVOKED")
        self.assertEqual(reason, "revoked")

    def test_a_revocation_list_of_another_authority_only(self) -> None:
        self.ca.write_bytes(AUTHORITY.pem + STRANGER.pem + STRANGER.revoke())
        reason = self.refused(self.mine.write(self.directory / "mine"), "UNKNOWN_CA")
        self.assertEqual(reason, "no revocation list of its issuer")

    def test_what_a_client_calls_itself_is_cut_and_quoted(self) -> None:
        theirs = STRANGER.issue(subject="evil\n[info] ready" + "x" * LOGGED_NAME, client=True)
        with capturedLogs() as events:
            identity = theirs.write(self.directory / "theirs")
            self.assertRaises(ssl.SSLError, self.shake_hands, identity)
        (subject,) = (each["subject"] for each in events if "subject" in each)
        self.assertNotIn("\n", subject)
        self.assertEqual(len(subject), LOGGED_NAME + len("''") + len("\\n") - 1)

    def test_nothing_is_resumed(self) -> None:
        """A certificate that has expired since would not be looked at."""
        certificates = self.load(client_ca=self.ca)
        context = client_context(self.mine.write(self.directory / "mine"), version=self.version)
        first = Connection(certificates, context=context).shake_hands()
        again = Connection(certificates, context=context, session=first.client.session)
        self.assertFalse(again.shake_hands().client.session_reused)
        self.assertEqual(again.recorder.shown, self.mine.certificate)


class TLS12ClientCertificateTests(ClientCertificateTests):
    version = TLS12

    def test_a_certificate_counts_once_its_key_is_proved(self) -> None:
        """The client has sent its certificate, and keeps its proof to itself."""
        certificates = self.load(client_ca=self.ca)
        context = client_context(self.mine.write(self.directory / "mine"), version=TLS12)
        connection = Connection(certificates, context=context)
        connection.deliver(connection.say())
        records = split_records(connection.say())
        self.assertEqual(len(records), 5, "certificate, key exchange, proof, change, finished")
        for record in records[:-1]:
            connection.deliver(record)
            self.assertIsNone(peer_certificate(connection.server))
        connection.deliver(records[-1])
        self.assertEqual(peer_certificate(connection.server), self.mine.certificate)


def split_records(data: bytes) -> list[bytes]:
    """TLS records (RFC 5246 section 6.2.1)."""
    records = []
    while data:
        size = 5 + int.from_bytes(data[3:5])
        records.append(data[:size])
        data = data[size:]
    return records


class PeerCertificateTests(CertificatesCase):
    def test_other_transports(self) -> None:
        for transport in (None, object(), StringTransport()):
            self.assertIsNone(peer_certificate(transport))

    def test_a_connection_that_is_gone(self) -> None:
        self.put("one", "one.example")
        connection = Connection(self.load()).shake_hands()
        connection.server.connectionLost()
        self.assertIsNone(peer_certificate(connection.server))


class MemoryTests(CertificatesCase):
    def test_a_connection_keeps_what_openssl_calls_back(self) -> None:
        """It was switched to another context, and the first one is still OpenSSL's."""
        self.put("one", "one.example")
        self.put("two", "two.example")
        certificates = self.load()
        connection = Connection(certificates, "two.example").shake_hands()
        handle = connection.server.getHandle()
        assert isinstance(handle, SSL.Connection)
        contexts = weakref.ref(handle.get_context().get_app_data())
        default = weakref.ref(handle.get_context().get_app_data()._default)
        self.assertIsNot(default(), handle.get_context())
        certificates.renew_ticket_keys()
        gc.collect()
        self.assertIsNotNone(default())
        self.assertIsNotNone(contexts())
        del connection, handle
        gc.collect()
        self.assertIsNone(default(), "and it does not stay for ever")
        self.assertIsNone(contexts())


class ConfigTests(SynchronousTestCase):
    def refused(self, **config: object) -> str:
        return str(self.assertRaises(CertificateError, TLSConfig, **config))

    def test_nothing(self) -> None:
        self.assertIn("expected a file, a directory, or a self-signed one", self.refused())

    def test_a_key_alone(self) -> None:
        self.assertEqual(
            self.refused(key=Path("k.pem"), self_signed=True),
            "k.pem: a key without a certificate: expected both",
        )

    def test_self_signed_and_another(self) -> None:
        self.assertEqual(
            self.refused(cert=Path("c.pem"), self_signed=True),
            "c.pem: a self-signed certificate beside it: expected one of the two",
        )

    def test_words(self) -> None:
        self.assertIn("expected 1.2 or 1.3", self.refused(self_signed=True, min_version="1.1"))
        self.assertIn(
            "expected required or optional", self.refused(self_signed=True, client="never")
        )

    def test_protocol_names(self) -> None:
        for name in ("", "x" * 256, "ü" * 128):
            self.assertIn("expected 1 to 255 bytes", self.refused(self_signed=True, alpn=(name,)))
        for name in ("x", "x" * 255):
            TLSConfig(self_signed=True, alpn=(name,))
