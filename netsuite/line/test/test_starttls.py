"""STARTTLS: what is said before it counts for nothing after it."""

import ssl
from hashlib import sha256
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from netsuite.line import Limits, LineApp, LineFactory, Session
from netsuite.line.starttls import StartTLS
from netsuite.line.test.starttls import OPTIONS, Connection, Slow, Wire
from netsuite.net.certificates import ServerCertificates, TLSConfig
from netsuite.net.tls import HANDSHAKE_SECONDS


class StartTests(SynchronousTestCase):
    """A connection becomes a TLS connection."""

    def test_start(self) -> None:
        slow = Slow()
        connection = Connection(slow.app)
        self.assertEqual(connection.plain(b"MARK 1\r\n"), b"1\r\n")
        self.assertFalse(connection.line.session.secure)
        connection.start()
        self.assertTrue(connection.line.session.secure)
        self.assertEqual(connection.secret(b"MARK 2\r\nmark 3\r\n"), b"2\r\n3\r\n")
        self.assertEqual(slow.marks, [1, 2, 3])
        self.assertEqual(connection.said, b"1\r\nOK\r\n")

    def test_by_prefix(self) -> None:
        connection = Connection(Slow().app)
        self.assertEqual(connection.plain(b"starttl\n"), b"OK\r\n")
        connection.turn()
        self.assertEqual(connection.secret(b"MARK 2\n"), b"2\r\n")

    def test_forgets_who_it_was(self) -> None:
        left = []
        connection = Connection(Slow().app)
        session = connection.line.session
        session.login("bob", frozenset({"admin"}))
        session.on_logout(lambda: left.append(session.user))
        session.state["kept"] = 1
        self.assertEqual(connection.plain(b"who\r\n"), b"bob ['admin'] {'kept': 1} False\r\n")
        connection.start()
        self.assertEqual(connection.secret(b"who\r\n"), b"None [] {'kept': 1} True\r\n")
        self.assertEqual(left, [None])

    def test_store_of_certificates(self) -> None:
        app = LineApp("x")
        certificates = ServerCertificates(TLSConfig(self_signed=True), host="box")
        app.add(StartTLS(certificates))
        connection = Connection(app)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection._tls = context.wrap_bio(connection._in, connection._out, server_hostname="box")
        connection.start()
        shown = connection._tls.getpeercert(binary_form=True)
        assert shown
        fingerprint = sha256(shown).hexdigest()
        served = certificates.certificates[0].fingerprint.replace(":", "").lower()
        self.assertEqual(fingerprint, served)

    def test_a_context_of_old(self) -> None:
        """Anything with ``getContext`` will do."""

        @implementer(IOpenSSLContextFactory)
        class Old:
            def getContext(self) -> SSL.Context:
                context: SSL.Context = OPTIONS.getContext()
                return context

        app = LineApp("x")
        app.add(StartTLS(Old()))
        connection = Connection(app)
        connection.start()
        self.assertIn(b"HELP", connection.secret(b"HELP\r\n"))

    def test_no_context(self) -> None:
        with self.assertRaisesRegex(TypeError, "str is no context factory: expected Server"):
            StartTLS("cert.pem")

    def test_twice(self) -> None:
        connection = Connection(Slow().app)
        connection.start()
        refused = b"ERR not-allowed STARTTLS: the connection is secure already\r\n"
        self.assertEqual(connection.secret(b"STARTTLS\r\n"), refused)
        self.assertEqual(connection.secret(b"MARK 7\r\n"), b"7\r\n")

    def test_help_shows_it_while_it_is_of_use(self) -> None:
        connection = Connection(Slow().app)
        self.assertIn(b"STARTTLS", connection.plain(b"HELP\r\n"))
        self.assertIn(b"STARTTLS", connection.plain(b"COMMANDS\r\n"))
        connection.start()
        self.assertNotIn(b"STARTTLS", connection.secret(b"HELP\r\n"))
        self.assertNotIn(b"STARTTLS", connection.secret(b"COMMANDS\r\n"))

    def test_arguments(self) -> None:
        connection = Connection(Slow().app)
        error = b"ERR bad-argument too many arguments: expected STARTTLS\r\n"
        self.assertEqual(connection.plain(b"STARTTLS now\r\n"), error)
        self.assertFalse(connection.begun)
        connection.start()

    def test_an_exclusive_command_again_and_again(self) -> None:
        """What waits is counted right, however often one has been refused."""
        slow = Slow(limits=Limits(buffer=1000, line_length=500))
        connection = Connection(slow.app)
        for _ in range(100):
            connection.plain(b"STARTTLS " + bytes(400).replace(b"\0", b"x") + b"\r\n")
        connection.plain(b"WAIT\r\n")
        taken = 0
        while connection.wire.reading:
            connection.plain(b"MARK 1\r\n")
            taken += 1
        self.assertLessEqual(taken, 1 + 1000 // 6)
        slow.let_go()
        connection.plain()
        self.assertEqual(len(slow.marks), taken)


class InjectionTests(SynchronousTestCase):
    """What somebody on the way adds in plain text is never carried out."""

    def refused(self, connection: Connection, said: bytes) -> None:
        self.assertIn(
            b"ERR not-allowed TLS: expected nothing behind the command before its reply\r\n", said
        )
        self.assertNotIn(b"OK\r\n", said)
        self.assertTrue(connection.wire.disconnecting or connection.wire.aborted)
        self.assertFalse(connection.begun)

    def test_in_the_same_segment(self) -> None:
        slow = Slow()
        connection = Connection(slow.app)
        self.refused(connection, connection.plain(b"STARTTLS\r\nMARK 1\r\n"))
        connection.plain(b"MARK 2\r\n")
        self.assertEqual(slow.marks, [])

    def test_not_even_an_empty_line(self) -> None:
        connection = Connection(Slow().app)
        self.refused(connection, connection.plain(b"STARTTLS\r\n\r\n"))

    def test_half_a_line(self) -> None:
        connection = Connection(Slow().app)
        self.refused(connection, connection.plain(b"STARTTLS\r\nMA"))

    def test_behind_a_slow_command(self) -> None:
        slow = Slow()
        connection = Connection(slow.app)
        connection.plain(b"WAIT\r\n", b"STARTTLS\r\n")
        self.assertFalse(connection.wire.reading, "what is behind it is not even read")
        connection.plain(b"MARK 1\r\n")
        slow.let_go()
        said = connection.plain()
        self.assertTrue(said.startswith(b"done\r\n"))
        self.refused(connection, said)
        self.assertEqual(slow.marks, [])

    def test_behind_parallel_commands(self) -> None:
        slow = Slow()
        connection = Connection(slow.app)
        connection.plain(b"PWAIT\r\nPWAIT\r\nstartt\r\n")
        slow.waiting.pop().callback("second")
        connection.plain(b"MARK 1\r\n")
        self.assertEqual(slow.marks, [])
        slow.let_go()
        said = connection.plain()
        self.assertTrue(said.startswith(b"done\r\nsecond\r\n"))
        self.refused(connection, said)

    def test_nothing_is_read_that_a_socket_still_has(self) -> None:
        """It is there for TLS to read, which cannot make sense of it."""
        slow = Slow()
        connection = Connection(slow.app)
        connection.plain(b"PWAIT\r\nSTARTTLS\r\n")
        self.assertFalse(connection.wire.reading)
        slow.let_go()
        self.assertEqual(connection.plain(), b"done\r\nOK\r\n")
        self.assertTrue(connection.wire.reading)
        connection.plain(b"MARK 1\r\n")
        self.assertTrue(connection.wire.disconnecting)
        self.assertEqual(slow.marks, [])


class BeforeTests(SynchronousTestCase):
    """TLS may be asked for first."""

    def test_required(self) -> None:
        slow = Slow(required=True)
        connection = Connection(slow.app)
        refused = b"ERR not-allowed MARK: expected STARTTLS first\r\n"
        self.assertEqual(connection.plain(b"MARK 1\r\n"), refused)
        self.assertIn(b"QUIT", connection.plain(b"HELP\r\n"))
        self.assertNotIn(b"MARK", connection.plain(b"HELP\r\n"))
        self.assertNotIn(b"MARK", connection.plain(b"COMMANDS\r\n"))
        connection.start()
        self.assertEqual(connection.secret(b"MARK 2\r\n"), b"2\r\n")
        self.assertIn(b"MARK", connection.secret(b"HELP\r\n"))
        self.assertEqual(slow.marks, [2])

    def test_open_commands_too(self) -> None:
        slow = Slow(required=True)
        slow.app.login_required = True

        @slow.app.command("AUTH", open=True)
        def auth(session: Session) -> None:
            session.login("bob")

        connection = Connection(slow.app)
        refused = b"ERR not-allowed AUTH: expected STARTTLS first\r\n"
        self.assertEqual(connection.plain(b"AUTH\r\n"), refused)
        connection.start()
        self.assertEqual(connection.secret(b"MARK 1\r\n")[:15], b"ERR not-allowed")
        self.assertEqual(connection.secret(b"AUTH\r\nMARK 1\r\n"), b"OK\r\n1\r\n")

    def test_quit(self) -> None:
        connection = Connection(Slow(required=True).app)
        self.assertEqual(connection.plain(b"QUIT\r\n"), b"OK\r\n")
        self.assertTrue(connection.wire.disconnecting)

    def test_who_is_secure_may_go_on(self) -> None:
        """A UNIX socket, for one."""
        slow = Slow(required=True)
        connection = Connection(slow.app)
        connection.line.session.secure = True
        slow.app.watch(connection.line.session)
        self.assertEqual(connection.plain(b"MARK 1\r\n"), b"1\r\n")

    def test_names_of_ones_own(self) -> None:
        app = LineApp("x", builtins=False)
        app.add(StartTLS(OPTIONS, required=True, before=["STARTTLS", "PING"]))

        @app.command()
        def ping() -> str:
            return "PONG"

        @app.command()
        def help_() -> str:
            return "no"

        connection = Connection(app)
        self.assertEqual(connection.plain(b"ping\r\n"), b"PONG\r\n")
        self.assertEqual(connection.plain(b"help\r\n")[:15], b"ERR not-allowed")


class HandshakeTests(SynchronousTestCase):
    """From OK to the first command under TLS."""

    def test_a_push_waits_for_the_handshake(self) -> None:
        """It does not keep the handshake from being read."""
        connection = Connection(Slow().app)
        connection.plain(b"STARTTLS\r\n")
        connection.line.session.send("news")
        connection.clock.advance(0)
        self.assertFalse(connection.line.session.writable)
        self.assertTrue(connection.wire.reading)
        connection.turn()
        self.assertEqual(connection.heard, b"* news\r\n")
        self.assertTrue(connection.line.session.writable)
        self.assertTrue(connection.wire.reading)

    def test_a_greeting_waits_for_the_handshake(self) -> None:
        """Where TLS was there from the start, too."""
        connection = Connection(Slow(greeting="hello").app, at_once=True)
        connection.clock.advance(0)
        self.assertTrue(connection.wire.reading)
        connection.turn()
        self.assertEqual(connection.heard, b"* hello\r\n")

    def test_silence(self) -> None:
        connection = Connection(Slow().app)
        connection.plain(b"STARTTLS\r\n")
        connection.clock.advance(HANDSHAKE_SECONDS - 1)
        self.assertFalse(connection.wire.aborted)
        connection.clock.advance(1)
        self.assertTrue(connection.wire.aborted)

    def test_nothing_is_left_behind(self) -> None:
        """No call is left when the connection is lost in the middle of it."""
        slow = Slow()
        connection = Connection(slow.app)
        connection.plain(b"STARTTLS\r\n")
        connection.line.session.send("news")
        connection.wire.protocol.connectionLost()
        self.assertEqual(connection.clock.getDelayedCalls(), [])
        self.assertTrue(connection.line.session.ended)

    def test_close_notify(self) -> None:
        """The peer sends no more: what it has asked is answered."""
        slow = Slow()
        connection = Connection(slow.app)
        connection.start()
        connection.secret(b"WAIT\r\n")
        connection.say_close()
        self.assertFalse(connection.wire.disconnecting)
        slow.let_go()
        connection.turn()
        self.assertEqual(connection.heard, b"done\r\n")
        self.assertTrue(connection.wire.disconnecting)

    def test_the_peer_s_close_notify_comes_last(self) -> None:
        """Below TLS the connection may close at once then."""

        class AtOnce(Wire):
            def loseConnection(self) -> None:
                super().loseConnection()
                self.protocol.connectionLost()

        connection = Connection(Slow().app, transport=AtOnce)
        connection.start()
        self.assertEqual(connection.secret(b"QUIT\r\n"), b"OK\r\n")
        self.assertFalse(connection.line.session.ended)
        connection.say_close()
        self.assertTrue(connection.line.session.ended)
        self.assertEqual(connection.clock.getDelayedCalls(), [])

    def test_a_full_buffer(self) -> None:
        """TLS does not begin before what came first could be sent."""
        slow = Slow(limits=Limits(buffer=100))

        class Full(Wire):
            def write(self, data: bytes) -> None:
                super().write(data)
                if data.endswith(b"OK\r\n"):
                    producer: Any = self.producer
                    producer.pauseProducing()

        connection = Connection(slow.app, transport=Full)
        connection.plain(b"BIG 99\r\nSTARTTLS\r\n")
        self.assertFalse(connection.begun)
        self.assertEqual(connection.said, bytes(99) + b"OK\r\n")
        connection.line.resumeProducing()
        self.assertTrue(connection.begun)
        self.assertTrue(connection.wire.reading)
        connection.turn()
        self.assertEqual(connection.secret(b"MARK 1\r\n"), b"1\r\n")

    def test_end_of_input_behind_it(self) -> None:
        connection = Connection(Slow().app)
        connection.plain(b"STARTTLS\r\n")
        connection.wire.protocol.readConnectionLost()
        self.assertTrue(connection.wire.disconnecting)


class Shouter(Protocol):
    """Answers in upper case."""

    def __init__(self, rest: bytes) -> None:
        self.rest = rest

    def dataReceived(self, data: bytes) -> None:
        transport: Any = self.transport
        transport.write(data.upper())


class UpgradeTests(SynchronousTestCase):
    """Another protocol can have a connection that is under TLS."""

    def test_upgrade_under_tls(self) -> None:
        slow = Slow()

        @slow.app.command(exclusive=True)
        def shout(session: Session) -> None:
            session.upgrade(lambda transport, rest: Shouter(rest))

        connection = Connection(slow.app)
        connection.start()
        self.assertEqual(connection.secret(b"SHOUT\r\n"), b"OK\r\n")
        self.assertEqual(connection.secret(b"hello"), b"HELLO")


class ElsewhereTests(SynchronousTestCase):
    """Transports that something stands in front of begin TLS in their own way."""

    def test_its_own(self) -> None:
        begun: list[object] = []

        class Own(StringTransport):
            def startTLS(self, context: object) -> None:
                begun.append(context)

        app = LineApp("x")
        app.add(StartTLS(OPTIONS))
        protocol = LineFactory(app, Clock()).buildProtocol(None)
        protocol.makeConnection(Own())
        protocol.dataReceived(b"STARTTLS\r\n")
        self.assertEqual(begun, [OPTIONS])
