"""Lines of a file, a pipe or a terminal, read in a thread: whatever it is, nobody else waits."""

import os
import threading
from queue import SimpleQueue
from typing import Any

from twisted.internet.defer import Deferred

#: Bytes of a line that is taken at all.
LONGEST = 1024 * 1024

_READ = 64 * 1024


class InputError(Exception):
    """The input is not lines; the message is for people."""


class Input:
    """Lines from a file descriptor; no more is read than is asked for, but for one buffer.

    :param reactor: has ``callFromThread``.
    """

    def __init__(self, reactor: Any, descriptor: int) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._held = bytearray()
        self._number = 1
        self._next = 1
        self._ended = False
        self._wanted: SimpleQueue[None] = SimpleQueue()
        self._reading = False
        self._waiting: Deferred[None] | None = None
        self._thread: threading.Thread | None = None

    @property
    def where(self) -> str:
        """Which line was asked for last, for people."""
        return f"standard input, line {self._number}"

    async def line(self) -> bytes | None:
        """The next line without its end; None if there are no more.

        :raises InputError: for one that does not end.
        """
        at = 0
        self._number = self._next
        while (end := self._held.find(b"\n", at)) < 0:
            at = len(self._held)
            if at > LONGEST:
                raise InputError(f"{self.where}: a line of more than {LONGEST} bytes")
            if not await self._more():
                return self._taken(at, at).removesuffix(b"\r") if at else None
        return self._taken(end, end + 1).removesuffix(b"\r")

    async def exactly(self, count: int) -> bytes:
        """So many bytes.

        :raises InputError: if there are no more.
        """
        while len(self._held) < count:
            if not await self._more():
                expected = f"expected {count} bytes of literal, not {len(self._held)}"
                raise InputError(f"{self.where}: {expected}")
        return self._taken(count, count)

    def _taken(self, end: int, rest: int) -> bytes:
        data = bytes(self._held[:end])
        self._next += self._held.count(b"\n", 0, rest)
        del self._held[:rest]
        return data

    async def _more(self) -> bool:
        """Read once; whether there was anything."""
        if self._ended:
            return False
        if self._thread is None:
            # A daemon: the end of the program does not wait for what may never be typed.
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()
        if not self._reading:
            self._reading = True
            self._wanted.put(None)
        self._waiting = Deferred()
        await self._waiting
        return not self._ended

    def _read(self) -> None:
        while True:
            self._wanted.get()
            try:
                data = os.read(self._descriptor, _READ)
            except OSError:  # a terminal that has gone
                data = b""
            self._reactor.callFromThread(self._came, data)

    def _came(self, data: bytes) -> None:
        # It is not lost if who waited for it was cancelled.
        self._reading = False
        self._held += data
        self._ended = not data
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.called:
            waiting.callback(None)
