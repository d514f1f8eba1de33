"""What a command costs in the protocols alone: bytes in, bytes out, no reactor and no socket.

A tool for working on :mod:`netsuite.line`: kernel and reactor take most of the time of a command of
one line, and are the same for both.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock

from bench._line_work import Exchange
from bench._procs import BenchError, pinned, two_cores
from bench._table import table
from bench.peers.line_app import app
from bench.peers.line_receiver import Sums
from netsuite.line import LineFactory

COMMANDS = 20_000  # of a round
COLUMNS = ("protocol", "commands at a time", "us each, median", "least")


class Silent:
    """A transport that takes everything.

    :ivar taken: bytes.
    """

    disconnecting = False

    def __init__(self) -> None:
        self.taken = 0

    def write(self, data: bytes) -> None:
        """Take."""
        self.taken += len(data)

    def setTcpNoDelay(self, _: bool) -> None:
        """Nothing waits here."""

    def registerProducer(self, *_: object) -> None:
        """Nothing is too much."""

    def getPeer(self) -> IAddress:
        """Name somebody."""
        return IPv4Address("TCP", "127.0.0.1", 1)


@dataclass(frozen=True)
class Reading:
    """One protocol in one round: microseconds for each command."""

    protocol: str
    depth: int
    cost: float


def _netsuite() -> Protocol:
    return LineFactory(app, Clock()).buildProtocol(None)


PROTOCOLS: dict[str, Callable[[], Protocol]] = {"netsuite": _netsuite, "LineReceiver": Sums}


def measure(options: argparse.Namespace, exchanges: Sequence[Exchange]) -> list[Reading]:
    """Measure both at each number of commands at a time, in every round.

    :raises BenchError: if one does not give as many bytes as it should.
    """
    readings = []
    with pinned(two_cores().server):
        for depth in options.depths:
            for turn in range(1, options.rounds + 1):
                progress = f"{depth} at a time in memory, round {turn} of {options.rounds}"
                print(progress, file=sys.stderr, flush=True)
                for name, make in PROTOCOLS.items():
                    cost = _cost(name, make(), exchanges, depth)
                    readings.append(Reading(name, depth, cost))
    return readings


def _cost(name: str, protocol: Protocol, exchanges: Sequence[Exchange], depth: int) -> float:
    transport = Silent()
    protocol.makeConnection(transport)
    pieces = [exchanges[at : at + depth] for at in range(0, len(exchanges) - depth + 1, depth)]
    requests = [b"".join(each.request for each in piece) for piece in pieces]
    expected = sum(len(each.reply) for piece in pieces for each in piece)
    times = max(1, COMMANDS // (len(pieces) * depth))
    receive = protocol.dataReceived
    for request in requests:
        receive(request)  # for the first time
    start = time.perf_counter()
    for _ in range(times):
        for request in requests:
            receive(request)
    taken = time.perf_counter() - start
    if transport.taken != expected * (times + 1):
        raise BenchError(f"{name} gave {transport.taken} bytes: expected {expected * (times + 1)}")
    return taken / (times * len(pieces) * depth) * 1e6


def report(readings: Sequence[Reading]) -> str:
    """Lay out a table."""
    rows = []
    for depth in dict.fromkeys(each.depth for each in readings):
        for name in PROTOCOLS:
            costs = [it.cost for it in readings if (it.protocol, it.depth) == (name, depth)]
            rows.append([name, str(depth), f"{median(costs):.2f}", f"{min(costs):.2f}"])
    return "\n".join(["the protocols alone, in memory", "", table(COLUMNS, rows)])


def record(readings: Sequence[Reading]) -> list[dict[str, object]]:
    """Return every number, for a file."""
    return [asdict(each) for each in readings]
