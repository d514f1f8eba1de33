"""What limits cost: the same echo service without any, and with every one switched on.

The limits are those of :func:`bench._peers.every_limit`, at values that never bite. Both services
and stock Twisted take turns in one run; see :mod:`bench._rounds`. Limits work at two places, and
both are measured: messages on connections that stay, and connections that come and go.
"""

import argparse
import tempfile
from pathlib import Path

from bench._load import Workload
from bench._peers import PEERS, Netsuite, every_limit
from bench._rounds import Contest, add_peer_options, compare, messages

SUMMARY = "TCP echo on 127.0.0.1: netsuite with every limit switched on, and with none"

LIMITED = "netsuite+limits"
CONTEST = Contest("limits", ours=LIMITED, reference="netsuite", target=0.9)

#: Rates move 64 KiB at a time, which is a whole number of messages of the first and last size. In
#: between is one that is cut in two.
SIZES = (1024, 10_000, 65536)

#: New connections under way at a time: below what a server lets wait (Twisted: 50).
ANEW = Workload(size=1024, connections=32, anew=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_peer_options(parser, ("netsuite", LIMITED, "twisted"), SIZES)


def run(options: argparse.Namespace) -> None:
    """Measure, and print a table for each message size and one for new connections.

    :raises BenchError: if a peer is missing, or a server or the load fails.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        peers = PEERS | {LIMITED: Netsuite(every_limit(Path(scratch)))}
        compare(options, CONTEST, peers, [*messages(options), ANEW])
