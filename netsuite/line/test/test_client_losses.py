"""What a client says of a connection that is gone, and how it finds out."""

from netsuite.line.client import LineConnectionError, LineError, LineWireError
from netsuite.line.test.memory import settle
from netsuite.line.test.test_client import ClientCase, ScriptCase


class LossTests(ScriptCase):
    def test_a_server_that_closes_says_no_more(self) -> None:
        for said, given, why, heard in (
            (b"", ["A"], "the server has closed it before it said anything", False),
            (b"\x15\x03\x01", ["A"], "the server has closed it before it said anything", False),
            (b"a\r\n", ["A", "B", "C"], "the server has closed it before it replied to B", True),
            (b"a\r\n", ["A"], "the server has closed it", True),
        ):
            lost: list[Exception] = []
            client = self.connected(on_lost=lost.append)
            for each in given:
                client.call(each).addErrback(lambda _: None)
            self.server.say(said)
            assert self.server.transport is not None
            self.server.transport.loseConnection()
            settle(self.clock)
            (error,) = lost
            assert isinstance(error, LineConnectionError)
            self.assertEqual(str(error), f"the connection was lost: {why}")
            self.assertEqual(error.heard, heard)


class StepTests(ClientCase):
    def test_what_a_server_takes_for_a_literal(self) -> None:
        client = self.client()
        self.assertEqual(self.result(client.call("SAY", rest="price {9}")), "price {9}")
        first = client.call("NO-SUCH", rest="price {9}")
        others = [client.call("SAY", rest=text) for text in "abc"]
        self.assertEqual(self.failure(first, LineError).code, "unknown-command")
        for each in others:
            error = self.failure(each, LineWireError)
            self.assertIn("NO-SUCH: the server has taken what follows for a literal", str(error))
        self.clock.advance(1)
        self.assertEqual(self.result(client.call("SAY", rest="d")), "d")

    def test_what_the_program_does_then_is_for_the_next_connection(self) -> None:
        client = self.client()
        self.result(client.connect())
        first = client.call("NO-SUCH", rest="price {9}")
        instead = first.addErrback(lambda _: client.call("SAY", rest="instead"))
        client.call("SAY", rest="what is skipped").addErrback(lambda _: None)
        self.pending(instead)
        self.clock.advance(1)
        self.assertEqual(self.result(instead), "instead")

    def test_a_literal_that_was_sent_is_no_reason(self) -> None:
        client = self.client()
        first, second = client.call("NO-SUCH", literal=b"{3}"), client.call("SAY", rest="a")
        self.failure(first, LineError)
        self.assertEqual(self.result(second), "a")
        self.assertEqual(self.endpoint.tries, 1)


class KeepaliveTests(ScriptCase):
    """Whether a server that says nothing is there."""

    def look(self) -> bytes:
        """Let ten seconds pass; what the server has got meanwhile."""
        before = len(self.server.received)
        self.clock.advance(10)
        settle(self.clock)
        return bytes(self.server.received[before:])

    def test_a_server_that_answers_is_there(self) -> None:
        client = self.connected(keepalive=10, on_lost=self.fail)
        for answer in (b"OK\r\n", b"ERR unknown-command what?\r\n"):
            self.assertEqual(self.look(), b"NOOP\r\n")
            self.server.say(answer)
            self.assertEqual(self.look(), b"")
        self.assertTrue(client.is_connected)

    def test_a_server_that_does_not_answer_is_gone(self) -> None:
        lost: list[Exception] = []
        client = self.connected(keepalive=10, on_lost=lost.append)
        self.assertEqual(self.look(), b"NOOP\r\n")
        call = client.call("A")
        self.assertTrue(client.is_connected)
        self.look()
        why = "the connection was lost: the server has not answered within 10 seconds"
        self.assertEqual(str(self.failure(call, LineConnectionError)), why)
        self.assertEqual([str(each) for each in lost], [why])

    def test_one_that_says_something_is_not_asked(self) -> None:
        self.connected(keepalive=10)
        for _ in range(3):
            self.server.say(b"* news\r\n")
            self.assertEqual(self.look(), b"")
        self.assertEqual(self.look(), b"NOOP\r\n")

    def test_one_that_says_something_else_first_is_there(self) -> None:
        client = self.connected(keepalive=10)
        self.assertEqual(self.look(), b"NOOP\r\n")
        self.server.say(b"* news\r\n")
        self.assertEqual(self.look(), b"")
        self.assertTrue(client.is_connected)
        self.look()
        self.assertFalse(client.is_connected)

    def test_a_command_may_take_its_time(self) -> None:
        client = self.connected(keepalive=10, timeout=None)
        call = client.call("A")
        self.assertEqual(self.look(), b"A\r\n")
        for _ in range(10):
            self.assertEqual(self.look(), b"")
        self.server.say(b"a\r\n")
        self.assertEqual(self.result(call), "a")
        self.assertEqual(self.look(), b"")
        self.assertEqual(self.look(), b"NOOP\r\n")

    def test_nobody_has_to_ask(self) -> None:
        self.connected(keepalive=None, timeout=None)
        self.assertEqual(self.clock.getDelayedCalls(), [])
