import contextlib
import io
import os
import select
import socket
import sys
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line.protocol import shown_address
from netsuite.line.stdio import address_of, main, serve
from netsuite.line.test._front_app import FrontApp


class Reactor(MemoryReactorClock):
    """One whose descriptors are looked at when a test says so."""

    def turn(self) -> None:
        self.advance(0)
        readable, writable, _ = select.select(self.readers, self.writers, [], 0)
        for each in readable:
            if each in self.readers:
                self._lose(each, each.doRead())
        for each in writable:
            if each in self.writers:
                self._lose(each, each.doWrite())

    def _lose(self, descriptor: Any, reason: Exception | None) -> None:
        if reason is not None:
            self.removeReader(descriptor)
            self.removeWriter(descriptor)
            descriptor.connectionLost(Failure(reason))


class ServeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.app = FrontApp()

    def begin(self, **given: Any) -> Any:
        """Serve on two pipes; what the test has of them."""
        stdin, self.to_it = os.pipe()
        self.from_it, stdout = os.pipe()
        for each in (self.to_it, self.from_it):
            self.addCleanup(_close, each)
        os.set_blocking(self.from_it, False)
        self.ended = serve(self.app, self.reactor, stdin=stdin, stdout=stdout, **given)

    def say(self, data: bytes) -> bytes:
        os.write(self.to_it, data)
        return self.said()

    def said(self) -> bytes:
        said = b""
        for _ in range(20):
            self.reactor.turn()
            with contextlib.suppress(BlockingIOError):
                said += os.read(self.from_it, 1 << 20)
        return said

    def test_commands(self) -> None:
        self.begin()
        self.assertEqual(self.say(b"add 1 2\nadd 3 4\n"), b"3\r\n7\r\n")
        self.assertNoResult(self.ended)

    def test_the_end_comes_after_all_is_answered(self) -> None:
        self.begin()
        self.say(b"wait\n")
        _close(self.to_it)
        self.said()
        self.assertNoResult(self.ended)
        self.app.waiting[0].callback("done")
        self.assertEqual(self.said(), b"done\r\n")
        self.assertIsNone(self.successResultOf(self.ended))

    def test_nobody_takes_the_output(self) -> None:
        self.begin()
        _close(self.from_it)
        os.write(self.to_it, b"add 1 2\n")
        for _ in range(20):
            self.reactor.turn()
        self.failureResultOf(self.ended, ConnectionLost)
        self.assertTrue(self.app.sessions[-1].ended)

    def test_lines_are_pulled_as_they_are_read(self) -> None:
        self.begin()
        os.write(self.to_it, b"count 1000000\n")
        for _ in range(100):
            self.reactor.turn()
        pulled = self.app.pulled
        self.assertLess(pulled, 100_000)
        self.reactor.turn()
        self.assertEqual(self.app.pulled, pulled)
        self.said()
        self.assertGreater(self.app.pulled, pulled)

    def test_who_is_there(self) -> None:
        self.begin(user="alice", roles=["admin"])
        self.assertEqual(self.say(b"who\n"), b"alice admin True\r\n")

    def test_an_abort(self) -> None:
        self.begin()
        self.app.sessions[-1].abort()
        self.assertIsNone(self.successResultOf(self.ended))

    def test_a_stop_answers_what_was_begun(self) -> None:
        self.begin()
        self.say(b"wait\n")
        finish = self.reactor.triggers["before"]["shutdown"][0][0]
        finished = finish()
        self.app.waiting[0].callback("done")
        self.assertEqual(self.said(), b"done\r\n")
        self.successResultOf(finished)
        self.assertIsNone(finish())

    def test_a_stop_has_its_time(self) -> None:
        self.begin()
        self.say(b"wait\n")
        finished = self.reactor.triggers["before"]["shutdown"][0][0]()
        self.reactor.advance(10)
        self.successResultOf(finished)


class AddressTests(SynchronousTestCase):
    def shown(self, ours: socket.socket) -> str:
        return shown_address(address_of(ours.fileno()))

    def test_pipes(self) -> None:
        ours, its = os.pipe()
        self.assertEqual(shown_address(address_of(ours)), "standard input")
        os.close(ours)
        os.close(its)

    def test_sockets_without_a_name(self) -> None:
        ours, its = socket.socketpair()
        with ours, its:
            self.assertEqual(address_of(ours.fileno()).name, None)  # type: ignore[attr-defined]


class MainTests(SynchronousTestCase):
    def run_main(self, *arguments: str) -> tuple[int | str | None, str]:
        errors = io.StringIO()
        self.patch(sys, "stderr", errors)
        try:
            return main(arguments), errors.getvalue()
        except SystemExit as end:
            return end.code, errors.getvalue()

    def test_mistakes_are_one_line(self) -> None:
        for arguments, expected in (
            (["--app", "nowhere"], "netsuite line stdio: nowhere: expected one of echo,"),
            (["--role", "x"], "netsuite line stdio: --role: expected --user NAME too"),
            (["--nonsense"], "netsuite line stdio: unrecognized arguments: --nonsense"),
        ):
            status, said = self.run_main(*arguments)
            self.assertEqual(status, 2)
            self.assertTrue(said.startswith(expected), said)
            self.assertEqual(said.count("\n"), 1)


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)
