"""netsuite.line beside everything that one would use instead: commands of one line, answered.

``ADD 12 34`` is answered with ``46``. ``netsuite`` and ``netsuite-epoll`` are an application of
netsuite with typed arguments, limits and ordered replies, on the reactor netsuite-uv and on
Twisted's own. ``linereceiver`` is stock Twisted's ``LineReceiver`` on the latter, which does the
same by hand, as do the others.

Two further parts are what a command costs without a reactor and a socket
(:mod:`bench._line_core`), and what peers that never end a line, or never read, make a server keep
in memory (:mod:`bench._line_floods`).
"""

import argparse
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import _line_core, _line_floods, _options
from bench._line_peers import LINE_PEERS, REFERENCE
from bench._line_work import Dialogue, Exchange, short_name, write_script
from bench._rounds import (
    Contest,
    Heat,
    Results,
    add_connections_option,
    add_round_options,
    write_json,
)
from bench._targets import Target, verdict_table

SUMMARY = "commands of one line: netsuite.line, LineReceiver, asyncio, gevent, telnetlib3"

NAME = "ADD"
DEPTHS = (1, 100)
MAX_DEPTH = 10_000

ALONE, PIPELINED = (short_name(NAME, depth) for depth in DEPTHS)
CONTEST = Contest(
    "line",
    REFERENCE,
    pairs=(("netsuite", REFERENCE), ("netsuite-epoll", REFERENCE)),
    targets=(
        Target("netsuite", REFERENCE, least=2.2, work=ALONE),
        Target("netsuite-epoll", REFERENCE, least=1.0, work=ALONE),
        Target("netsuite", REFERENCE, least=1.5, work=PIPELINED),
        Target("netsuite-epoll", REFERENCE, least=1.0, work=PIPELINED),
    ),
)

PARTS = ("commands", "protocols", "memory")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_round_options(parser, LINE_PEERS)
    add_dialogue_options(parser, DEPTHS)
    parser.add_argument(
        "--parts",
        type=_options.several(_options.one_of(PARTS)),
        default=list(PARTS),
        metavar="PART,...",
        help=f"default: {','.join(PARTS)}",
    )
    _line_floods.add_options(parser)


def add_dialogue_options(parser: argparse.ArgumentParser, depths: Sequence[int]) -> None:
    """Declare how many connections there are, and how many requests in flight on each."""
    add_connections_option(parser)
    parser.add_argument(
        "--depths",
        type=_options.several(_options.integer(MAX_DEPTH)),
        default=list(depths),
        metavar="NUMBER,...",
        help=f"requests in flight; default: {','.join(map(str, depths))}",
    )


def run(options: argparse.Namespace) -> None:
    """Measure, and print a table for each part and a line for each target.

    :raises BenchError: if a peer is missing, or a server or the load fails.
    """
    results = Results(CONTEST, options)
    core: list[_line_core.Reading] = []
    floods: _line_floods.Floods | None = None
    exchanges = sums(max(1000, *options.depths))
    if "commands" in options.parts:
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            script = Path(scratch, "script")
            write_script(script, exchanges)
            work = [Dialogue(NAME, each, options.connections, script) for each in options.depths]
            results.add(Heat(LINE_PEERS, work))
    if "protocols" in options.parts:
        core = _line_core.measure(options, exchanges)
    if "memory" in options.parts:
        floods = _line_floods.measure(options)
    print(results.report())
    if core:
        print(f"\n{_line_core.report(core)}")
    if floods is not None:
        print(f"\n{floods.report()}")
    print(f"\n{verdict_table([*results.verdicts(), *_line_floods.verdicts(floods)])}")
    if options.json is not None:
        record = results.record()
        record["protocols"] = _line_core.record(core)
        record["floods"] = [] if floods is None else floods.record()
        write_json(options.json, record)


def sums(count: int) -> list[Exchange]:
    """Make some commands with their replies."""
    numbers = random.Random(count)
    pairs = [(numbers.randrange(100), numbers.randrange(100)) for _ in range(count)]
    return [Exchange(b"ADD %d %d\r\n" % pair, b"%d\r\n" % sum(pair)) for pair in pairs]
