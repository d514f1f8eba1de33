from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.trial.unittest import SynchronousTestCase

from netsuite.net.test.fake_sockets import FakeSocket, SocketReactor, connect
from netsuite.service._refusal import LINGER_BYTES, LINGER_SECONDS, RefusalProtocol


class RefusalProtocolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = SocketReactor()
        self.done = 0

    def refuse(self, words: bytes = b"no\r\n", window: int = 2**40) -> Any:
        def gone() -> None:
            self.done += 1

        self.socket = FakeSocket(window)
        transport = connect(RefusalProtocol(words, self.reactor, gone), self.reactor, self.socket)
        self.reasons: list[Any] = []
        transport.on_lost = lambda reason: self.reasons.append(reason.type)
        self.reactor.run(0)
        return transport

    def test_it_is_said_and_the_peer_closes(self) -> None:
        self.refuse()
        self.assertEqual(bytes(self.socket.received), b"no\r\n")
        self.assertTrue(self.socket.shut)
        self.assertEqual((self.done, self.reasons), (0, []))
        self.socket.ended = True
        self.reactor.run(0)
        self.assertEqual((self.done, self.reasons), (1, [ConnectionDone]))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_peer_that_has_closed_already_hears_it(self) -> None:
        self.refuse(window=0)
        self.socket.ended = True
        self.reactor.run(0)
        self.assertEqual(self.done, 0)
        self.socket.window = 100
        self.reactor.run(0)
        self.assertEqual(bytes(self.socket.received), b"no\r\n")
        self.assertEqual((self.done, self.reasons), (1, [ConnectionDone]))

    def test_a_peer_that_never_closes(self) -> None:
        self.refuse()
        self.reactor.run(LINGER_SECONDS - 0.1)
        self.assertEqual(self.done, 0)
        self.reactor.run(0.2)
        self.assertEqual((self.done, self.reasons), (1, [ConnectionAborted]))

    def test_a_peer_that_never_reads(self) -> None:
        self.refuse(bytes(1000), window=10)
        self.reactor.run(LINGER_SECONDS)
        self.assertEqual((self.done, self.reasons), (1, [ConnectionAborted]))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_what_it_sends_is_thrown_away_up_to_a_bound(self) -> None:
        self.refuse()
        self.socket.incoming += bytes(LINGER_BYTES)
        self.reactor.run(0)
        self.assertEqual(self.done, 0, "at the limit")
        self.socket.incoming += b"x"
        self.reactor.run(0)
        self.assertEqual((self.done, self.reasons), (1, [ConnectionAborted]), "one past it")
        self.assertEqual(self.reactor.getDelayedCalls(), [])
