"""What limits cost: the same echo service without any, and with every one switched on.

The limits are those of :func:`bench._peers.every_limit`, at values that never bite. The services,
on either reactor, and stock Twisted take turns in one run; see :mod:`bench._rounds`. Limits work at
two places, and both are measured: messages on connections that stay, and connections that come and
go.
"""

import argparse
import tempfile
from pathlib import Path

from bench._peers import PEERS, STOCK, Netsuite, every_limit
from bench._rounds import NEW_CONNECTIONS, Contest, Heat, add_peer_options, compare, messages
from bench._targets import Target

SUMMARY = "TCP echo on 127.0.0.1: netsuite with every limit switched on, and with none"

LIMITED = "netsuite+limits"
LIMITED_EPOLL = "netsuite-epoll+limits"
CONTEST = Contest(
    "limits",
    reference="netsuite",
    pairs=((LIMITED, "netsuite"), (LIMITED_EPOLL, "netsuite-epoll")),
    targets=(
        Target(LIMITED, "netsuite", least=0.9),
        Target(LIMITED_EPOLL, "netsuite-epoll", least=0.9),
    ),
)

NAMES = ("netsuite", LIMITED, "netsuite-epoll", LIMITED_EPOLL, "twisted")

#: Rates move 64 KiB at a time, which is a whole number of messages of the first and last size. In
#: between is one that is cut in two.
SIZES = (1024, 10_000, 65536)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_peer_options(parser, NAMES, SIZES)


def run(options: argparse.Namespace) -> None:
    """Measure, and print a table for each message size and one for new connections.

    :raises BenchError: if a peer is missing, or a server or the load fails.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        native, stock = Path(scratch, "native"), Path(scratch, "stock")
        native.mkdir()
        stock.mkdir()
        peers = PEERS | {
            LIMITED: Netsuite(every_limit(native)),
            LIMITED_EPOLL: Netsuite(every_limit(stock), reactor=STOCK),
        }
        compare(options, CONTEST, Heat(peers, [*messages(options), NEW_CONNECTIONS]))
