from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet import error
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from netsuite.net.tls import CLOSE_SECONDS, HANDSHAKE_SECONDS, TLSFactory, TLSProtocol


def self_signed() -> CertificateOptions:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return CertificateOptions(
        privateKey=crypto.PKey.from_cryptography_key(key),
        certificate=crypto.X509.from_cryptography(certificate),
    )


OPTIONS = self_signed()


class Transport(StringTransport):
    """One whose closing can be watched."""

    write_closed = False
    aborted = False

    def loseWriteConnection(self) -> None:
        self.write_closed = True

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()


class Recorder(Protocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.data = b""
        self.read_closed = 0
        self.lost: list[type[BaseException]] = []
        self.stopped = False

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert reason.type is not None
        self.lost.append(reason.type)

    # As a producer.

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None:
        self.stopped = True


@implementer(IHalfCloseableProtocol)
class HalfCloseRecorder(Recorder):
    def readConnectionLost(self) -> None:
        self.read_closed += 1

    def writeConnectionLost(self) -> None: ...


class TLSCase(SynchronousTestCase):
    version = SSL.TLS1_3_VERSION

    def connect(self, protocol: Protocol, handshake: bool = True) -> None:
        """A server with ``protocol`` in memory, and OpenSSL as its client."""
        self.clock = Clock()
        factory = TLSFactory(
            OPTIONS,
            False,
            Factory.forProtocol(lambda: protocol),
            self.clock,
        )
        server = factory.buildProtocol(None)
        assert isinstance(server, TLSProtocol)
        self.server = server
        self.transport = Transport()
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(self.version)
        self.client = SSL.Connection(context, None)
        self.client.set_connect_state()
        self.received = b""
        self.client_saw_close = False
        self.closed = False
        self.server.makeConnection(self.transport)
        if handshake:
            self.shake_hands()

    def shake_hands(self) -> None:
        for _ in range(4):
            try:
                self.client.do_handshake()
            except SSL.WantReadError:
                self.pump()

    def pump(self) -> None:
        """Carry bytes both ways until there are none."""
        moved = True
        while moved:
            moved = False
            try:
                data = self.client.bio_read(2**16)
            except SSL.WantReadError:
                data = b""
            if data and not self.closed:
                moved = True
                self.server.dataReceived(data)
            self.clock.advance(0)
            data = self.transport.value()
            self.transport.clear()
            if data:
                moved = True
                self.client.bio_write(data)
            self.read_client()
        self.close_if_asked()

    def read_client(self) -> None:
        while True:
            try:
                self.received += self.client.recv(2**16)
            except SSL.WantReadError:
                return
            except SSL.ZeroReturnError:
                self.client_saw_close = True
                return
            except SSL.Error:
                return

    def end_tcp(self) -> None:
        """The client's TCP FIN, as Twisted's TCP transport reports it."""
        if IHalfCloseableProtocol.providedBy(self.server):
            self.server.readConnectionLost()
        self.close_if_asked()

    def close_if_asked(self) -> None:
        """What a transport does once all is sent after ``loseConnection``."""
        if self.transport.disconnecting and not self.closed:
            self.closed = True
            self.server.connectionLost(Failure(ConnectionDone()))


class HalfCloseTests(TLSCase):
    def test_close_notify_is_read_connection_lost(self) -> None:
        protocol = HalfCloseRecorder()
        self.connect(protocol)
        self.client.send(b"hello")
        self.client.shutdown()
        self.pump()
        self.assertEqual((protocol.data, protocol.read_closed), (b"hello", 1))
        self.assertEqual(protocol.lost, [])
        self.assertFalse(self.client_saw_close)

    def test_writing_goes_on_after_the_peer_has_closed(self) -> None:
        protocol = HalfCloseRecorder()
        self.connect(protocol)
        self.client.shutdown()
        self.pump()
        self.end_tcp()
        assert protocol.transport is not None
        protocol.transport.write(b"x" * 200_000)
        self.pump()
        self.assertEqual(len(self.received), 200_000)
        self.assertFalse(self.client_saw_close)
        protocol.transport.loseConnection()
        self.pump()
        self.assertTrue(self.client_saw_close)
        self.assertEqual(protocol.lost, [ConnectionDone])

    def test_what_was_written_is_sent_when_the_peer_closes(self) -> None:
        """Stock Twisted loses what it was still gathering."""

        class Answer(Recorder):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.write(b"answer")

        protocol = Answer()
        self.connect(protocol)
        self.client.send(b"question")
        self.client.shutdown()
        self.pump()
        self.assertEqual(self.received, b"answer")
        self.assertTrue(self.client_saw_close)
        self.assertEqual(protocol.lost, [ConnectionDone])

    def test_a_protocol_without_half_close_loses_the_connection(self) -> None:
        protocol = Recorder()
        self.connect(protocol)
        self.client.shutdown()
        self.pump()
        self.assertEqual(protocol.lost, [ConnectionDone])

    def test_a_producer_is_stopped_when_the_peer_closes(self) -> None:
        protocol = Recorder()
        self.connect(protocol)
        self.server.registerProducer(protocol, True)
        self.client.shutdown()
        self.pump()
        self.assertTrue(protocol.stopped)
        self.assertEqual(protocol.lost, [ConnectionDone])

    def test_tcp_end_without_close_notify_is_no_end_of_data(self) -> None:
        protocol = HalfCloseRecorder()
        self.connect(protocol)
        self.client.send(b"cut sho")
        self.pump()
        self.server.write(b"so far")
        self.end_tcp()
        self.assertEqual(protocol.read_closed, 0)
        self.assertEqual(protocol.lost, [ConnectionLost])
        self.client.bio_write(self.transport.value())
        self.read_client()
        self.assertEqual(self.received, b"so far", "what was written is delivered")
        self.assertTrue(self.client_saw_close, "and close_notify is said")

    def test_readConnectionLost_that_fails_ends_its_connection(self) -> None:
        class Broken(HalfCloseRecorder):
            def readConnectionLost(self) -> None:
                raise RuntimeError("a bug")

        protocol = Broken()
        self.connect(protocol)
        self.client.shutdown()
        self.pump()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(len(protocol.lost), 1)


class CloseTests(TLSCase):
    def test_the_peer_s_close_notify_is_not_waited_for_for_ever(self) -> None:
        protocol = HalfCloseRecorder()
        self.connect(protocol)
        self.server.loseConnection()
        self.pump()
        self.assertTrue(self.client_saw_close)
        self.assertTrue(self.transport.write_closed, "TCP's end follows close_notify")
        self.assertEqual(protocol.lost, [])
        self.clock.advance(CLOSE_SECONDS)
        self.assertTrue(self.transport.aborted)

    def test_a_peer_that_answers_ends_it(self) -> None:
        protocol = HalfCloseRecorder()
        self.connect(protocol)
        self.server.loseConnection()
        self.pump()
        self.client.shutdown()
        self.pump()
        self.assertEqual(protocol.lost, [ConnectionDone])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_peer_that_only_ends_tcp_ends_it_too(self) -> None:
        protocol = HalfCloseRecorder()
        self.connect(protocol)
        self.server.loseConnection()
        self.pump()
        self.end_tcp()
        self.assertEqual(protocol.lost, [ConnectionDone])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class HandshakeTimeTests(TLSCase):
    def lose(self) -> None:
        """What a transport does once it is aborted."""
        self.assertTrue(self.transport.aborted)
        self.server.connectionLost(Failure(ConnectionAborted()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_handshake_in_time(self) -> None:
        protocol = Recorder()
        self.connect(protocol, handshake=False)
        self.clock.advance(HANDSHAKE_SECONDS - 0.1)
        self.shake_hands()
        self.clock.advance(3600.0)
        self.client.send(b"hello")
        self.pump()
        self.assertEqual((protocol.data, protocol.lost), (b"hello", []))

    def test_a_peer_that_says_nothing(self) -> None:
        protocol = Recorder()
        self.connect(protocol, handshake=False)
        self.clock.advance(HANDSHAKE_SECONDS - 0.1)
        self.assertFalse(self.transport.aborted)
        self.clock.advance(0.1)
        self.lose()
        self.assertEqual(protocol.lost, [error.TimeoutError])

    def test_a_peer_that_goes_on_for_ever(self) -> None:
        protocol = Recorder()
        self.connect(protocol, handshake=False)
        self.assertRaises(SSL.WantReadError, self.client.do_handshake)
        for byte in self.client.bio_read(2**16)[:30]:
            self.server.dataReceived(bytes([byte]))
            self.clock.advance(HANDSHAKE_SECONDS / 30)
        self.lose()
        self.assertEqual(protocol.lost, [error.TimeoutError])

    def test_a_peer_that_is_refused_and_does_not_read_it(self) -> None:
        protocol = Recorder()
        self.connect(protocol, handshake=False)
        self.server.dataReceived(b"GET / HTTP/1.0\r\n\r\n")
        self.assertTrue(self.transport.disconnecting)
        self.clock.advance(HANDSHAKE_SECONDS)
        self.lose()
        self.assertEqual(protocol.lost, [SSL.Error], "what went wrong first")

    def test_a_peer_that_goes_away(self) -> None:
        protocol = Recorder()
        self.connect(protocol, handshake=False)
        self.server.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class TLS12HalfCloseTests(HalfCloseTests):
    version = SSL.TLS1_2_VERSION


class LoseWriteConnectionTests(TLSCase):
    def test_close_notify_follows_the_data_and_reading_goes_on(self) -> None:
        protocol = HalfCloseRecorder()
        self.connect(protocol)
        self.server.write(b"all of it")
        self.server.loseWriteConnection()
        self.pump()
        self.assertEqual(self.received, b"all of it")
        self.assertTrue(self.client_saw_close)
        self.client.send(b"still here")
        self.pump()
        self.assertEqual(protocol.data, b"still here")
        self.client.shutdown()
        self.pump()
        self.assertEqual(protocol.read_closed, 1)
        self.server.loseConnection()
        self.pump()
        self.assertEqual(protocol.lost, [ConnectionDone])

    def test_before_the_handshake(self) -> None:
        class Greeter(HalfCloseRecorder):
            def connectionMade(self) -> None:
                self.transport.write(b"hi")  # type: ignore[union-attr]
                self.transport.loseWriteConnection()  # type: ignore[union-attr]

        self.connect(Greeter(), handshake=False)
        self.shake_hands()
        self.pump()
        self.assertEqual(self.received, b"hi")
        self.assertTrue(self.client_saw_close)

    def test_before_the_handshake_with_nothing_to_say(self) -> None:
        class Silent(HalfCloseRecorder):
            def connectionMade(self) -> None:
                self.transport.loseWriteConnection()  # type: ignore[union-attr]

        self.connect(Silent(), handshake=False)
        self.shake_hands()
        self.pump()
        self.assertTrue(self.client_saw_close)


class RefusalTests(SynchronousTestCase):
    def test_a_refused_peer_gets_no_protocol(self) -> None:
        class Refusing(Factory):
            def buildProtocol(self, addr: object) -> None:
                return None

        factory = TLSFactory(OPTIONS, False, Refusing(), Clock())
        self.assertIsNone(factory.buildProtocol(None))
