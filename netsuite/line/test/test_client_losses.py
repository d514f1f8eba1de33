"""What a client says of a connection that is gone."""

from netsuite.line.client import LineConnectionError
from netsuite.line.test.memory import settle
from netsuite.line.test.test_client import ScriptCase


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
