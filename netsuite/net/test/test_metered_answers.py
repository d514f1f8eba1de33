"""Metered transports send what a protocol answers at once, without a turn of the reactor."""

from collections.abc import Callable
from errno import EPIPE
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost

from netsuite.net.test.test_metered import BURST, RATE, MeteredCase


class Pauses:
    """A producer that counts how often it was paused, and went on."""

    paused = resumed = 0

    def pauseProducing(self) -> None:
        self.paused += 1

    def resumeProducing(self) -> None:
        self.resumed += 1

    def stopProducing(self) -> None: ...


class AnsweringTests(MeteredCase):
    """What a protocol writes while it is given bytes goes out as soon as it is whole."""

    def answer(self, answer: Callable[[], object], window: int = 2**40) -> Any:
        """Have the protocol do something when bytes come; what the reactor is told."""
        self.protocol.dataReceived = lambda data: answer()  # type: ignore[method-assign,assignment]  # that is the point
        self.socket.window = window
        self.socket.incoming += b"?"
        return self.transport.doRead()

    def test_it_needs_no_turn(self) -> None:
        self.assertIsNone(self.answer(lambda: self.transport.write(b"answer")))
        self.assertEqual(bytes(self.socket.received), b"answer")
        self.assertEqual(self.transport.bytes_sent, 6)
        self.assertEqual(self.reactor.writers, set())

    def test_pieces_are_put_together(self) -> None:
        def write() -> None:
            self.transport.write(b"an ")
            self.transport.writeSequence([b"ans", b"wer"])

        self.answer(write)
        self.assertEqual(bytes(self.socket.received), b"an answer")
        self.assertEqual(self.socket.calls, [1, 9])

    def test_the_rest_is_sent_when_the_peer_has_read(self) -> None:
        self.answer(lambda: self.transport.write(b"answer"), window=2)
        self.assertEqual(self.reactor.writers, {self.transport})
        self.assertTrue(self.transport.unsent)
        self.socket.window = 100
        self.reactor.run(0)
        self.assertEqual(bytes(self.socket.received), b"answer")
        self.assertEqual(self.reactor.writers, set())

    def test_behind_what_waits(self) -> None:
        self.socket.window = 2
        self.transport.write(b"first ")
        self.reactor.run(0)
        self.answer(lambda: self.transport.write(b"second"), window=2)
        self.socket.window = 100
        self.reactor.run(0)
        self.assertEqual(bytes(self.socket.received), b"first second")

    def test_then_it_closes(self) -> None:
        def say_goodbye() -> None:
            self.transport.write(b"goodbye")
            self.transport.loseConnection()

        self.assertIsNone(self.answer(say_goodbye))
        self.reactor.run(0)
        self.assertEqual(bytes(self.socket.received), b"goodbye")
        self.assertEqual(self.protocol.reasons, [ConnectionDone])
        self.assert_nothing_is_left()

    def test_then_it_closes_its_direction(self) -> None:
        def say_goodbye() -> None:
            self.transport.write(b"goodbye")
            self.transport.loseWriteConnection()

        self.assertIsNone(self.answer(say_goodbye))
        self.assertFalse(self.socket.shut)
        self.reactor.run(0)
        self.assertEqual(bytes(self.socket.received), b"goodbye")
        self.assertTrue(self.socket.shut)
        self.assertEqual(self.protocol.reasons, [])

    def test_then_it_is_aborted(self) -> None:
        def break_off() -> None:
            self.transport.write(b"never")
            self.transport.abortConnection()

        self.assertIsNone(self.answer(break_off))
        self.reactor.run(0)
        self.assertEqual(bytes(self.socket.received), b"")
        self.assertEqual(self.protocol.reasons, [ConnectionAborted])
        self.assert_nothing_is_left()

    def test_a_peer_that_is_gone(self) -> None:
        def fail(data: bytes) -> int:
            raise BrokenPipeError(EPIPE, "gone")

        self.socket.send = fail  # type: ignore[method-assign]  # that is the point
        lost = self.answer(lambda: self.transport.write(b"answer"))
        self.assertIsInstance(lost, ConnectionLost)

    def test_a_protocol_that_fails(self) -> None:
        def fail() -> None:
            self.transport.write(b"answer")
            raise RuntimeError("a bug")

        with self.assertRaises(RuntimeError):
            self.answer(fail)
        self.transport.write(b" later")
        self.assertEqual(self.reactor.writers, {self.transport})

    def test_a_producer_that_was_paused_goes_on(self) -> None:
        producer = Pauses()
        self.transport.registerProducer(producer, True)
        self.answer(lambda: self.transport.write(bytes(100_000)))
        self.reactor.run(0)
        self.assertEqual(len(self.socket.received), 100_000)
        self.assertEqual((producer.paused, producer.resumed), (1, 1))

    def test_under_a_rate_it_waits_as_all_does(self) -> None:
        self.shape(RATE)
        self.answer(lambda: self.transport.write(bytes(2 * BURST)))
        self.assertEqual(self.reactor.writers, {self.transport})
        self.assertEqual(bytes(self.socket.received), b"")
