"""Echo and its siblings over UDP: RFC 862, 863, 864, 865, 867 and 868, and never a reflector.

An answer is never longer than the request that it answers. Where that leaves no correct
answer there is none: a client of quote, daytime and time pads its request to the length of
the answer that it expects (512, 44 and 4 bytes are enough), where the RFCs have it send an
empty datagram. The character generator's answer is as long as the request, up to 512 bytes.
See :mod:`netsuite.echo` for the rest of the rules.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.protocol import DatagramProtocol

from netsuite.echo._machine import Answer, DatagramGuard, Drop
from netsuite.echo._wire import (
    CHARGEN_CYCLE,
    MAX_QUOTE,
    QUOTES,
    daytime_line,
    quote_of_the_day,
    time_value,
)
from netsuite.net import DatagramCounters


class AnsweringDatagramProtocol(DatagramProtocol):
    """Answers datagrams that deserve it, and counts.

    It listens on a :class:`netsuite.net.datagram.UnicastPort`.

    :param answer: the answer to a request; None for none.
    :param guard: decides who is answered; shared by all ports of a program.
    :param counters: shared by all ports of a service.
    :param clock: seconds on a clock that does not jump.
    """

    noisy = False
    transport: Any

    def __init__(
        self,
        answer: Answer,
        guard: DatagramGuard,
        counters: DatagramCounters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counters = counters
        self._answer = answer
        self._guard = guard
        self._clock = clock

    def startProtocol(self) -> None:
        """Tell the guard that this port answers."""
        self._guard.add_own_port(self.transport.getHost().port)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """Answer, or count why not."""
        self._count(datagram)
        answer = self._answer(datagram)
        if answer is None:
            self.counters.drop(Drop.NO_ANSWER)
        elif len(answer) > len(datagram):
            self.counters.drop(Drop.TOO_SHORT)
        elif reason := self._guard.check(*addr, self._clock()):
            self.counters.drop(reason)
        else:
            self._send(answer, addr)

    def datagramRefused(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """It was sent to a broadcast address or a multicast group."""
        self._count(datagram)
        self.counters.drop(Drop.NOT_UNICAST)

    def _count(self, datagram: bytes) -> None:
        self.counters.received += 1
        self.counters.bytes_received += len(datagram)

    def _send(self, answer: bytes, addr: tuple[str, int]) -> None:
        if self.transport.write(answer, addr) < len(answer):
            self.counters.drop(Drop.SEND_FAILED)
            return
        self.counters.answered += 1
        self.counters.bytes_sent += len(answer)


def echo_answer(datagram: bytes) -> bytes:
    """RFC 862: the same."""
    return datagram


def discard_answer(datagram: bytes) -> None:
    """RFC 863: nothing."""


def chargen_answer(datagram: bytes) -> bytes:
    """RFC 864: as many characters as came in, up to 512."""
    return CHARGEN_CYCLE[: min(len(datagram), MAX_QUOTE)]


def quote_answer(now: Callable[[], float] = time.time, quotes: Sequence[bytes] = QUOTES) -> Answer:
    """RFC 865: today's quote."""
    return lambda datagram: quote_of_the_day(tuple(quotes), now())


def daytime_answer(now: Callable[[], float] = time.time) -> Answer:
    """RFC 867: the moment as a line."""
    return lambda datagram: daytime_line(now())


def time_answer(now: Callable[[], float] = time.time) -> Answer:
    """RFC 868: the moment as 32 bits."""
    return lambda datagram: time_value(now())
