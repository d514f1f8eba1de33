from ipaddress import ip_address, ip_network

from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import LineApp, LineFactory
from netsuite.line._client_errors import LineArgumentError, LineWireError
from netsuite.line._client_wire import (
    Argument,
    End,
    Event,
    Failed,
    Parting,
    Push,
    ReplyReader,
    Text,
    request,
    typed,
)


def events(data: bytes, *lines: bool, longest: int = 1000) -> list[Event]:
    """What a reader makes of bytes; for commands of one line, or of several."""
    reader = ReplyReader(longest)
    for each in lines:
        reader.expect(each)
    reader.feed(data)
    found = []
    while (event := reader.next()) is not None:
        found.append(event)
    return found


class ReplyReaderTests(SynchronousTestCase):
    def test_a_line(self) -> None:
        self.assertEqual(events(b"OK\r\n3\n", False, False), [Text("OK", True), Text("3", True)])

    def test_an_empty_line_is_a_reply(self) -> None:
        self.assertEqual(events(b"\r\n", False), [Text("", True)])

    def test_several_lines(self) -> None:
        self.assertEqual(
            events(b"a\r\n\r\nb\r\n.\r\nOK\r\n", True, False),
            [Text("a", False), Text("", False), Text("b", False), End(), Text("OK", True)],
        )

    def test_no_lines(self) -> None:
        self.assertEqual(events(b".\r\n", True), [End()])

    def test_errors_are_values(self) -> None:
        self.assertEqual(
            events(b"ERR bad-argument a: no\r\nERR failed\r\nERR\r\n", False, True, False),
            [Failed("bad-argument", "a: no"), Failed("failed", ""), Failed("", "")],
        )

    def test_lines_may_end_with_an_error(self) -> None:
        self.assertEqual(
            events(b"a\r\n. ERR failed X failed\r\nOK\r\n", True, False),
            [Text("a", False), Failed("failed", "X failed"), Text("OK", True)],
        )

    def test_a_push_stands_between_replies(self) -> None:
        self.assertEqual(
            events(b"* hello\r\nOK\r\n* MESSAGE a b\r\n*\r\n.\r\n", False, True),
            [Push("hello"), Text("OK", True), Push("MESSAGE a b"), Push(""), End()],
        )

    def test_a_dot_in_front_is_taken_off(self) -> None:
        data = b"..\r\n.*\r\n.ERR x\r\n..a\r\n.ERR\r\n.x\r\nERRx\r\n.\r\n"
        texts = [each.text for each in events(data, True) if isinstance(each, Text)]
        self.assertEqual(texts, [".", "*", "ERR x", ".a", "ERR", "x", "ERRx"])
        self.assertEqual(events(b"..\r\n", False), [Text(".", True)])
        self.assertEqual(events(b"... ERR x\r\n", True), [Text(".. ERR x", False)])

    def test_an_error_to_nothing_is_a_parting_word(self) -> None:
        self.assertEqual(events(b"ERR timeout you\r\n"), [Parting("timeout", "you")])

    def test_what_breaks_the_wire(self) -> None:
        for data, lines, complaint in (
            (b"OK\r\n", (), "a reply to nothing: 'OK'"),
            (b".\r\n", (), "a reply to nothing: '.'"),
            (b".\r\n", (False,), "the end of several lines where there is one: '.'"),
            (b". ERR a b\r\n", (False,), "the end of several lines where there is one"),
            (b"a\r\n* b\r\n", (True,), "no line of a reply: '* b'"),
            (b"a\r\nERR b\r\n", (True,), "no line of a reply: 'ERR b'"),
            (b"*b\r\n", (False,), "no line of a reply: '*b'"),
            (b"\x1b[2J\r\n", (), r"a reply to nothing: '\x1b[2J'"),
        ):
            error = self.assertRaises(LineWireError, events, data, *lines)
            self.assertIn(f"the server has sent {complaint}", str(error))

    def test_what_is_broken_stays_so(self) -> None:
        reader = ReplyReader()
        reader.feed(b"OK\r\n")
        first = self.assertRaises(LineWireError, reader.next)
        reader.expect(False)
        reader.feed(b"OK\r\n")
        self.assertEqual(str(self.assertRaises(LineWireError, reader.next)), str(first))

    def test_a_line_may_have_so_many_bytes(self) -> None:
        for end in (b"\n", b"\r\n"):
            self.assertEqual(events(b"x" * 10 + end, False, longest=10), [Text("x" * 10, True)])
            error = self.assertRaises(LineWireError, events, b"x" * 11 + end, False, longest=10)
            self.assertIn("a line of more than 10 bytes", str(error))

    def test_a_line_that_does_not_end_is_given_up(self) -> None:
        reader = ReplyReader(10)
        reader.expect(False)
        reader.feed(b"x" * 10)
        self.assertIsNone(reader.next())
        reader.feed(b"\r")
        self.assertIsNone(reader.next())
        reader.feed(b"x")
        self.assertRaises(LineWireError, reader.next)

    def test_text_that_is_not_utf_8(self) -> None:
        for errors, text in (("replace", "a\ufffd"), ("surrogateescape", "a\udcff")):
            reader = ReplyReader(invalid_utf8=errors)  # type: ignore[arg-type]  # from a table
            reader.expect(False)
            reader.feed(b"a\xff\r\n")
            self.assertEqual(reader.next(), Text(text, True))
        reader = ReplyReader(invalid_utf8="strict")
        reader.expect(False)
        reader.feed(b"a\xff\r\n")
        self.assertRaises(LineWireError, reader.next)

    def test_it_knows_what_it_holds(self) -> None:
        reader = ReplyReader()
        self.assertFalse(reader.holds)
        reader.expect(False)
        reader.feed(b"OK\r\n* ")
        self.assertTrue(reader.holds)
        self.assertEqual(reader.next(), Text("OK", True))
        self.assertTrue(reader.holds)
        self.assertIsNone(reader.next())
        reader.feed(b"\r\n")
        self.assertEqual(reader.next(), Push(""))
        self.assertFalse(reader.holds)

    def test_lines_in_single_bytes(self) -> None:
        reader = ReplyReader()
        reader.expect(True)
        found: list[Event | None] = []
        for each in b"* a\r\nxyz\r\n\n.\r\n":
            reader.feed(bytes([each]))
            found.append(reader.next())
        self.assertEqual(
            [each for each in found if each is not None],
            [Push("a"), Text("xyz", False), Text("", False), End()],
        )


class RequestTests(SynchronousTestCase):
    def sent(self, name: str, *arguments: Argument) -> bytes:
        return request(name, arguments, line_length=1000)

    def test_words(self) -> None:
        self.assertEqual(self.sent("ADD", 1, 2.5), b"ADD 1 2.5\r\n")
        self.assertEqual(self.sent("SAY", "a b", ""), b'SAY "a b" ""\r\n')
        self.assertEqual(self.sent("SAY", 'a"\n\x1b\u00e9'), b'SAY "a\\"\\n\\x1b\xc3\xa9"\r\n')
        self.assertEqual(
            self.sent("NEAR", ip_address("192.0.2.1"), ip_network("2001:db8::/32")),
            b"NEAR 192.0.2.1 2001:db8::/32\r\n",
        )
        self.assertEqual(self.sent("SET", True), b"SET True\r\n")

    def test_bytes_arrive_as_they_are(self) -> None:
        self.assertEqual(self.sent("SET", b"abc"), b"SET abc\r\n")
        self.assertEqual(self.sent("SET", b'a\xff"\\ \0'), b'SET "a\\xff\\x22\\x5c \\x00"\r\n')

    def test_a_literal(self) -> None:
        data = request("STORE", ["k"], literal=b"a\r\nb", line_length=1000)
        self.assertEqual(data, b"STORE k {4}\r\na\r\nb\r\n")
        self.assertEqual(request("STORE", literal=b"", line_length=9), b"STORE {0}\r\n\r\n")

    def test_what_looks_like_a_literal_is_quoted(self) -> None:
        self.assertEqual(self.sent("SAY", "{3}"), b'SAY "{3}"\r\n')
        self.assertEqual(self.sent("SAY", b"{3}"), b'SAY "{3}"\r\n')

    def test_the_rest_of_a_line_is_as_it_is(self) -> None:
        data = request("PUBLISH", ["news"], rest='say "hi"  now', line_length=1000)
        self.assertEqual(data, b'PUBLISH news say "hi"  now\r\n')
        for rest, line in (("", b"SAY \r\n"), ("  a ", b"SAY   a \r\n"), ("\ta", b"SAY \ta\r\n")):
            self.assertEqual(request("SAY", rest=rest, line_length=100), line)

    def test_a_line_may_have_so_many_bytes(self) -> None:
        self.assertEqual(request("SAY", ["x" * 6], line_length=10), b"SAY xxxxxx\r\n")
        error = self.assertRaises(LineArgumentError, request, "SAY", ["x" * 7], line_length=10)
        self.assertEqual(str(error), "SAY: a line of 11 bytes: expected at most 10")
        self.assertEqual(typed("x" * 10, 10), b"x" * 10 + b"\r\n")
        self.assertRaises(LineArgumentError, typed, "x" * 11, 10)

    def test_what_no_line_can_carry(self) -> None:
        for name in ("", "A B", "A\r\nB", 'A"', "\u00c4"):
            self.assertRaises(LineArgumentError, request, name, line_length=1000)
        for rest in ("a\nb", "a\r", "\ud800"):
            self.assertRaises(LineArgumentError, request, "A", rest=rest, line_length=1000)
        for argument in (None, [], object(), "\ud800"):
            self.assertRaises(LineArgumentError, request, "A", [argument], line_length=1000)
        for line in ("a\nb", "", " \t"):
            self.assertRaises(LineArgumentError, typed, line, 1000)

    def test_a_line_as_it_was_typed(self) -> None:
        self.assertEqual(typed('say  "a', 1000), b'say  "a\r\n')
        self.assertEqual(typed("store {3}", 1000, b"abc"), b"store {3}\r\nabc\r\n")

    def test_a_server_reads_what_was_meant(self) -> None:
        taken: list[object] = []
        app = LineApp("test", invalid_utf8="surrogateescape")

        @app.command()
        def take(*words: str) -> None:
            taken.extend(words)

        @app.command()
        def take_bytes(word: bytes) -> None:
            taken.append(word)

        protocol = LineFactory(app, Clock()).buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        texts = ["", "a b", 'q"', "\\", "\t\n\r\0\x7f\x0b", "\u00e9\u3000", "{3}", "\udcff", "*."]
        protocol.dataReceived(request("TAKE", texts, line_length=1000))
        self.assertEqual(taken, texts)
        taken.clear()
        for data in (bytes(range(256)), b"", b"plain", b"{3}"):
            protocol.dataReceived(request("TAKE-BYTES", [data], line_length=2000))
            self.assertEqual(taken.pop(), data)
        self.assertEqual(transport.value(), b"OK\r\n" * 5)
