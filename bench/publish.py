"""Publishing to 10,000 subscribers: channels of netsuite beside a loop over a set of connections.

One connection publishes; when all the others have what it has published, it goes on. A burst is
some messages that it sends in one piece. What is counted are messages at subscribers. ``netsuite``
and ``netsuite-epoll`` are :class:`netsuite.line.channels.Channels` on the two reactors, ``twisted``
and ``twisted-uv`` a program of stock Twisted that writes to each connection in turn.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import _options
from bench._compile import Program, compiled
from bench._line_peers import netsuite_line
from bench._peers import REFERENCE, STOCK, UV, Peer, PythonPeer
from bench._procs import Server, allow_descriptors
from bench._rounds import Contest, Heat, add_round_options, compare
from bench._table import size_name
from bench._targets import Target

SUMMARY = "publishing to 10,000 subscribers: netsuite.line.channels and a loop of stock Twisted"

_LOAD = Program(Path(__file__).with_name("load_publish.c"))
_APP = "bench.peers.line_channels:app"

PEERS: dict[str, Peer] = {
    "netsuite": netsuite_line(UV, _APP),
    "netsuite-epoll": netsuite_line(STOCK, _APP),
    "twisted-uv": PythonPeer("line_publish", "Twisted", (UV,)),
    REFERENCE: PythonPeer("line_publish", "Twisted", (STOCK,)),
}

SIZES = (100, 1000)
BURSTS = (1, 10)
SUBSCRIBERS = 10_000

#: Of each server in a round, at least: a visit lasts until everybody has everything, and a burst
#: can take seconds.
SECONDS = 0.5

MAX_SUBSCRIBERS = 100_000
MAX_SIZE = 4096  # bytes; channels take no more
MAX_BURST = 128  # texts that differ in the load
SPARE_DESCRIPTORS = 256


def short_name(size: int, burst: int) -> str:
    """Name some messages that are published in one piece."""
    how = "one at a time" if burst == 1 else f"{burst} at a time"
    return f"messages of {size_name(size)}, {how}"


CONTEST = Contest(
    "publish",
    REFERENCE,
    pairs=(("netsuite", REFERENCE), ("netsuite-epoll", REFERENCE), ("netsuite", "twisted-uv")),
    targets=tuple(
        Target("netsuite", REFERENCE, least=2.0, most=0.5, work=short_name(size, burst))
        for size in SIZES
        for burst in BURSTS
    ),
)


@dataclass(frozen=True)
class Publishing:
    """Messages to many.

    :ivar size: bytes of a message's text.
    :ivar burst: messages that are published in one piece.
    """

    size: int
    burst: int
    subscribers: int

    @property
    def short(self) -> str:
        """What is published, and how."""
        return short_name(self.size, self.burst)

    @property
    def title(self) -> str:
        """The same, with how many get it."""
        return f"{self.short}, {self.subscribers} subscribers"

    @property
    def unit(self) -> str:
        """Messages at subscribers."""
        return "deliveries"

    def prepare(self, server: Server) -> None:
        """Nothing has to be known."""

    def command(self, port: int) -> list[str]:
        """Return the command line of :file:`load_publish.c`."""
        arguments = (port, self.subscribers, self.size, self.burst)
        return [str(compiled(_LOAD)), *map(str, arguments)]

    def record(self) -> dict[str, object]:
        """Return what there is to know about it afterwards."""
        return {"kind": "publishing", **vars(self)}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_round_options(parser, PEERS, SECONDS)
    integer = _options.integer
    parser.add_argument(
        "--subscribers",
        type=integer(MAX_SUBSCRIBERS),
        default=SUBSCRIBERS,
        help=f"default: {SUBSCRIBERS}",
    )
    _add_numbers(parser, "--sizes", "bytes of a message", MAX_SIZE, SIZES)
    _add_numbers(parser, "--bursts", "messages published in one piece", MAX_BURST, BURSTS)


def _add_numbers(
    parser: argparse.ArgumentParser, name: str, what: str, highest: int, default: Sequence[int]
) -> None:
    parser.add_argument(
        name,
        type=_options.several(_options.integer(highest)),
        default=list(default),
        metavar="NUMBER,...",
        help=f"{what}; default: {','.join(map(str, default))}",
    )


def run(options: argparse.Namespace) -> None:
    """Measure, and print a table for each kind of messages and a line for each target.

    :raises BenchError: if a peer is missing, or a server or the load fails.
    """
    allow_descriptors(options.subscribers + SPARE_DESCRIPTORS)
    work = [
        Publishing(size, burst, options.subscribers)
        for size in options.sizes
        for burst in options.bursts
    ]
    compare(options, CONTEST, Heat(PEERS, work))
