"""netsuite.line.kv beside memcached itself: get and set, values of 100 bytes.

``netsuite`` and ``netsuite-epoll`` are the cache of netsuite on the reactor netsuite-uv and on
Twisted's own, ``memcached`` the real one with one thread, ``node`` a program for Node.js that does
as much with a ``Map``. All keys are there before; each value that comes back is compared.
"""

import argparse
import random
import string
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import _options
from bench._line_peers import Memcached, netsuite_line
from bench._line_work import Dialogue, Exchange, short_name, write_script
from bench._peers import STOCK, UV, NodePeer, Peer
from bench._rounds import Contest, Heat, add_round_options, compare
from bench._targets import Target
from bench.line import add_dialogue_options

SUMMARY = "get and set of memcached's protocol: netsuite.line.kv, memcached with one thread, Node"

REFERENCE = "memcached"
_APP = "kv"

PEERS: dict[str, Peer] = {
    "netsuite": netsuite_line(UV, _APP),
    "netsuite-epoll": netsuite_line(STOCK, _APP),
    REFERENCE: Memcached(),
    "node": NodePeer("kv_node.js"),
}

#: How many of a hundred requests are set.
MIXES = {"get": 0, "get 90 %, set 10 %": 10, "set": 100}

DEPTHS = (1, 100)
KEYS = 1000
VALUE_SIZE = 100
MAX_VALUE_SIZE = 1 << 20

CONTEST = Contest(
    "kv",
    REFERENCE,
    pairs=(("netsuite", REFERENCE), ("netsuite", "node"), ("netsuite-epoll", REFERENCE)),
    targets=tuple(
        Target("netsuite", REFERENCE, most=3.0, work=short_name(name, 1)) for name in MIXES
    ),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_round_options(parser, PEERS)
    add_dialogue_options(parser, DEPTHS)
    parser.add_argument(
        "--value-size",
        type=_options.integer(MAX_VALUE_SIZE - 1024),
        default=VALUE_SIZE,
        help=f"bytes of a value; default: {VALUE_SIZE}",
    )


def run(options: argparse.Namespace) -> None:
    """Measure, and print a table for each mix of requests and a line for each target.

    :raises BenchError: if a peer is missing, or a server or the load fails.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        compare(options, CONTEST, Heat(PEERS, _dialogues(options, Path(scratch))))


def _dialogues(options: argparse.Namespace, scratch: Path) -> list[Dialogue]:
    pairs = items(options.value_size)
    every = tuple(setting(key, value) for key, value in pairs)
    count = max(KEYS, *options.depths)
    dialogues = []
    for number, (name, share) in enumerate(MIXES.items()):
        script = scratch / f"script-{number}"
        write_script(script, mixed(pairs, share, count))
        dialogues += [
            Dialogue(name, depth, options.connections, script, before=every)
            for depth in options.depths
        ]
    return dialogues


def items(size: int) -> list[tuple[bytes, bytes]]:
    """Make the keys with their values.

    :param size: of a value, in bytes.
    """
    letters = random.Random(size)
    return [
        (b"key:%06d" % number, "".join(letters.choices(string.ascii_letters, k=size)).encode())
        for number in range(KEYS)
    ]


def mixed(pairs: Sequence[tuple[bytes, bytes]], share: int, count: int) -> list[Exchange]:
    """Make some requests with their replies.

    :param share: how many of a hundred are set, on average.
    """
    chance = random.Random(share)
    return [
        (setting if chance.randrange(100) < share else getting)(*chance.choice(pairs))
        for _ in range(count)
    ]


def setting(key: bytes, value: bytes) -> Exchange:
    """Set a key to what it always is."""
    return Exchange(b"set %b 0 0 %d\r\n%b\r\n" % (key, len(value), value), b"STORED\r\n")


def getting(key: bytes, value: bytes) -> Exchange:
    """Get a key that is there."""
    return Exchange(
        b"get %b\r\n" % key, b"VALUE %b 0 %d\r\n%b\r\nEND\r\n" % (key, len(value), value)
    )
