"""TCP echo: how many round trips a server makes in a second, and what each one costs it.

Every connection has one message in flight; see :mod:`bench._rounds`.
"""

import argparse

from bench._peers import PEERS, REFERENCE
from bench._rounds import Contest, Heat, add_peer_options, compare, messages

SUMMARY = "TCP echo on 127.0.0.1: throughput and CPU time of netsuite and its peers"

CONTEST = Contest("echo", REFERENCE, pairs=(("netsuite", "twisted"), ("twisted-uv", "twisted")))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_peer_options(parser, PEERS)


def run(options: argparse.Namespace) -> None:
    """Measure, and print a table for each message size.

    :raises BenchError: if a peer is missing, or a server or the load fails.
    """
    compare(options, CONTEST, Heat(PEERS, messages(options)))
