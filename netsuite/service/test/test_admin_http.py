from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from netsuite.net import Drainable
from netsuite.service.admin._http import (
    MAX_BODY,
    MAX_HEAD,
    MAX_HEADERS,
    MAX_LINE,
    REQUEST_TIMEOUT,
    AdminChannel,
)
from netsuite.service.test.admin_client import TOKEN, Client, Connection

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = (
    b"POST /api/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Authorization: Bearer " + TOKEN.encode() + b"\r\n"
)


class LimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = Client()

    def send(self, data: bytes) -> Connection:
        connection = self.client.connect()
        connection.send(data)
        return connection

    def code(self, data: bytes) -> int:
        """The status of the only answer."""
        [reply] = self.send(data).replies()
        return reply.code

    def body(self, size: int) -> bytes:
        return b"{" + b" " * (size - 2) + b"}"

    def test_body(self) -> None:
        head = POST + b"Content-Length: %d\r\n\r\n"
        self.assertEqual(self.code(head % MAX_BODY + self.body(MAX_BODY)), 200)
        self.assertEqual(self.code(head % (MAX_BODY + 1) + self.body(MAX_BODY + 1)), 413)

    def test_a_long_body_is_refused_before_it_comes(self) -> None:
        connection = self.send(
            POST + b"Expect: 100-continue\r\nContent-Length: 99999999999999999999\r\n\r\n"
        )
        [reply] = connection.replies()
        self.assertEqual((reply.code, reply.headers["Connection"]), (413, "close"))
        self.assertEqual(reply.json, {"error": "expected a body of up to 4096 bytes"})
        self.assertTrue(connection.transport.disconnecting)
        connection.send(b"x" * 100_000)
        self.assertEqual(len(connection.replies()), 1)

    def test_a_short_body_that_is_announced(self) -> None:
        connection = self.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        self.assertEqual(connection.received(), b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.transport.clear()
        connection.send(b"{}")
        [reply] = connection.replies()
        self.assertEqual(reply.code, 200)

    def chunked(self, size: int) -> bytes:
        body = self.body(size)
        chunks = [body[start : start + 100] for start in range(0, size, 100)] + [b""]
        text = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
        return POST + b"Transfer-Encoding: chunked\r\n\r\n" + text

    def test_body_in_chunks(self) -> None:
        self.assertEqual(self.code(self.chunked(MAX_BODY)), 200)
        self.assertEqual(self.code(self.chunked(MAX_BODY + 1)), 413)
        self.assertEqual(self.code(self.chunked(MAX_BODY * 20)), 413)

    def test_line(self) -> None:
        target = b"/healthz?" + b"a" * (MAX_LINE - 22)
        self.assertEqual(self.code(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % target), 200)
        connection = self.send(b"GET %sa HTTP/1.1\r\n" % target)
        [reply] = connection.replies()
        self.assertEqual(reply.code, 431)
        self.assertEqual(reply.json, {"error": "expected lines of up to 4096 bytes"})
        self.assertTrue(connection.transport.disconnecting)

    def test_a_line_that_never_ends(self) -> None:
        connection = self.send(b"a" * MAX_LINE)
        self.assertEqual(connection.received(), b"")
        connection.send(b"a" * 10)
        [reply] = connection.replies()
        self.assertEqual(reply.code, 431)

    def test_headers(self) -> None:
        self.assertEqual(self.code(HEAD + b"X: y\r\n" * (MAX_HEADERS - 1) + b"\r\n"), 200)
        connection = self.send(HEAD + b"X: y\r\n" * MAX_HEADERS + b"\r\n")
        self.assertTrue(connection.received().startswith(b"HTTP/1.1 400 "))
        self.assertTrue(connection.transport.disconnecting)

    def test_head(self) -> None:
        room = MAX_HEAD - len(HEAD.replace(b"\r\n", b""))
        lines = b"X: %s\r\n" % (b"y" * (MAX_LINE - 10))
        last = b"X: %s\r\n" % (b"y" * (room - len(lines) + 2 - 3))
        self.assertEqual(self.code(HEAD + lines + last + b"\r\n"), 200)
        connection = self.send(HEAD + lines + b"X" + last + b"\r\n")
        self.assertTrue(connection.received().startswith(b"HTTP/1.1 400 "))

    def test_what_is_no_http(self) -> None:
        for data in (b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/3\r\n\r\n"):
            connection = self.send(data)
            self.assertTrue(connection.received().startswith(b"HTTP/1.1 400 "), data)
            self.assertTrue(connection.transport.disconnecting)


class TimeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = Client()
        self.clock = self.client.clock
        self.connection = self.client.connect()

    def test_silence(self) -> None:
        self.clock.advance(REQUEST_TIMEOUT - 0.1)
        self.assertFalse(self.connection.transport.disconnecting)
        self.clock.advance(0.1)
        self.assertTrue(self.connection.transport.disconnecting)

    def test_bytes_that_drip(self) -> None:
        """A request has to be here in time: its bytes do not prolong it."""
        for byte in HEAD[: int(REQUEST_TIMEOUT)]:
            self.assertFalse(self.connection.transport.disconnecting)
            self.connection.send(bytes([byte]))
            self.clock.advance(1)
        self.assertTrue(self.connection.transport.disconnecting)

    def test_each_request_has_its_time(self) -> None:
        for _ in range(5):
            self.clock.advance(REQUEST_TIMEOUT - 0.1)
            self.connection.send(HEAD + b"\r\n")
        self.assertEqual(len(self.connection.replies()), 5)
        self.assertFalse(self.connection.transport.disconnecting)

    def test_one_that_does_not_take_its_answer(self) -> None:
        self.connection.send(HEAD + b"\r\n")
        self.clock.advance(REQUEST_TIMEOUT)
        self.assertFalse(self.connection.transport.aborted)
        self.clock.advance(AdminChannel.abortTimeout)
        self.assertTrue(self.connection.transport.aborted)

    def test_nothing_is_left_behind(self) -> None:
        self.connection.send(HEAD)
        self.connection.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DrainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = Client()

    def drain(self, connection: Connection) -> None:
        self.assertIsInstance(connection.channel, Drainable)
        connection.channel.drain(self.client.clock, 1.0)

    def test_silent_ones_close_at_once(self) -> None:
        for data in (b"", HEAD, HEAD + b"\r\n"):
            connection = self.client.connect()
            connection.send(data)
            self.drain(connection)
            self.assertTrue(connection.transport.disconnecting)

    def test_an_answer_is_finished(self) -> None:
        self.client.source.pending = Deferred()
        connection = self.client.request("GET", "/api/stats")
        self.drain(connection)
        self.assertFalse(connection.transport.disconnecting)
        self.client.source.pending.callback(self.client.source.current)
        self.assertEqual(len(connection.replies()), 1)
        self.assertTrue(connection.transport.disconnecting)


class HalfCloseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.client = Client()

    def test_an_answer_that_is_being_made(self) -> None:
        """``printf 'GET …' | nc -N`` has closed its side before the answer is there."""
        self.client.source.pending = Deferred()
        connection = self.client.request("GET", "/api/stats")
        connection.channel.readConnectionLost()
        self.assertFalse(connection.transport.disconnecting)
        self.client.source.pending.callback(self.client.source.current)
        [reply] = connection.replies()
        self.assertEqual(reply.code, 200)
        self.assertTrue(connection.transport.disconnecting)

    def test_half_a_request(self) -> None:
        connection = self.client.connect()
        connection.send(HEAD)
        connection.channel.readConnectionLost()
        self.assertEqual(connection.received(), b"")
        self.assertTrue(connection.transport.disconnecting)

    def test_no_request(self) -> None:
        connection = self.client.request("GET", "/healthz")
        connection.channel.readConnectionLost()
        self.assertTrue(connection.transport.disconnecting)

    def test_nobody_who_listens(self) -> None:
        connection = self.client.request("GET", "/healthz")
        connection.channel.writeConnectionLost()
        self.assertTrue(connection.transport.disconnecting)
