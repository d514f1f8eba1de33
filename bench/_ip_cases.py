"""What is measured of ``netsuite.ip``: against whom, and how the answers are compared."""

import operator
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from ipaddress import IPv4Address
from pathlib import Path
from shutil import which
from typing import Any

from bench._ip_data import Data, log, texts
from bench._procs import ROOT, BenchError
from netsuite.ip import IPSet, PrefixMap

#: Peers, the PyPI package of each, or the Debian package of a program.
PACKAGES = {
    "netaddr": "netaddr",
    "pytricia": "pytricia",
    "py-radix": "py-radix",
    "aggregate6": "aggregate6",
}
PROGRAMS = {"grepcidr": "grepcidr"}
PEERS = (*PACKAGES, *PROGRAMS)

Work = Callable[[], Any]


@dataclass(frozen=True)
class Target:
    """What we want: time for each operation, or a ratio to the peer's."""

    most_us: float | None = None
    least_ratio: float | None = None

    def __str__(self) -> str:
        if self.most_us is not None:
            return f"<= {self.most_us:g} us"
        return f">= {self.least_ratio:g} x"

    def is_met(self, us: float, ratio: float | None) -> bool:
        """Whether these medians are good enough."""
        if self.most_us is not None:
            return us <= self.most_us
        return ratio is not None and self.least_ratio is not None and ratio >= self.least_ratio


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    what: str
    count: int
    """Operations in one call: times are for each."""

    ours: Work
    peer: str | None = None
    theirs: Work | None = None
    compare: Callable[[Any, Any], bool] = operator.eq
    target: Target | None = None
    clock: Callable[[], float] = time.process_time


def versions(peers: Sequence[str]) -> dict[str, str]:
    """Name the peers' versions.

    :raises BenchError: with a line for each that is missing.
    """
    found, missing = {}, []
    for peer in peers:
        if peer in PROGRAMS:
            if which(peer) is None:
                missing.append(f"no {peer}: install the Debian package {PROGRAMS[peer]}")
                continue
            done = subprocess.run([peer, "-V"], capture_output=True, text=True, check=False)
            found[peer] = (done.stdout + done.stderr).partition("\n")[0]
            continue
        try:
            found[peer] = f"{peer} {version(PACKAGES[peer])}"
        except PackageNotFoundError:
            missing.append(f"no {peer}: pip install netsuite[bench]")
    if missing:
        raise BenchError("\nbench: ".join([*missing, "or choose other peers with --peers"]))
    return found


def cases(data: Data, peers: Sequence[str], scratch: Path) -> Iterator[Case]:
    """Everything that is measured, in the order of the table."""
    yield from _large_set(data)
    if "netaddr" in peers:
        yield from _netaddr(data)
    yield from _maps(data, peers)
    if "aggregate6" in peers:
        yield _aggregate6(data)
    if "grepcidr" in peers:
        yield from _grep(data, scratch)


def _large_set(data: Data) -> Iterator[Case]:
    count = len(data.prefixes)
    yield Case(
        f"IPSet load, {count:,} texts", count, lambda: IPSet(data.prefixes), target=Target(2.0)
    )
    contains = IPSet(data.prefixes).contains_int
    yield Case(
        "IPSet.contains_int",
        len(data.queries),
        lambda: [contains(value, 4) for value in data.queries],
        target=Target(1.0),
    )


def _netaddr(data: Data) -> Iterator[Case]:
    netaddr = import_module("netaddr")

    one, other = data.small
    count = len(one)
    target = Target(least_ratio=10)

    def same(ours: IPSet, theirs: Any) -> bool:
        return [str(prefix) for prefix in ours.prefixes()] == [
            str(prefix) for prefix in theirs.iter_cidrs()
        ]

    yield Case(
        f"IPSet load, {count:,} texts",
        count,
        lambda: IPSet(one),
        "netaddr",
        lambda: netaddr.IPSet(one),
        same,
        target,
    )
    mine = IPSet(one), IPSet(other)
    theirs = netaddr.IPSet(one), netaddr.IPSet(other)
    for sign, operation in {
        "|": operator.or_,
        "&": operator.and_,
        "-": operator.sub,
        "^": operator.xor,
    }.items():
        yield Case(
            f"IPSet {sign} IPSet",
            2 * count,
            partial(operation, *mine),
            "netaddr",
            partial(operation, *theirs),
            same,
            target,
        )
    queries = data.queries[:count]
    ours_asked = [IPv4Address(value) for value in queries]
    theirs_asked = [netaddr.IPAddress(value) for value in queries]
    yield Case(
        "address in IPSet",
        count,
        lambda: [address in mine[0] for address in ours_asked],
        "netaddr",
        lambda: [address in theirs[0] for address in theirs_asked],
        target=target,
    )


def _maps(data: Data, peers: Sequence[str]) -> Iterator[Case]:
    """Longest-prefix match: the value is the prefix's place in the table."""
    count, asked = len(data.prefixes), len(data.queries)
    pairs = list(zip(data.prefixes, range(count), strict=True))
    table = PrefixMap(pairs)
    frozen = table.freeze()
    objects = [IPv4Address(value) for value in data.queries]
    asked_texts = texts(data.queries)

    def by_int() -> list[Any]:
        lookup = table.lookup_int
        return [lookup(value, 4) for value in data.queries]

    def by_text() -> list[Any]:
        lookup = table.lookup
        return [lookup(text) for text in asked_texts]

    load = Case(f"PrefixMap load, {count:,} texts", count, lambda: PrefixMap(pairs))
    yield Case(load.what, count, load.ours, target=Target(1.5))
    yield Case("PrefixMap.freeze", count, table.freeze)
    yield Case("PrefixMap.lookup_int", asked, by_int, target=Target(2.0))
    yield Case(
        "PrefixMap.lookup, address",
        asked,
        lambda: [table.lookup(address) for address in objects],
        target=Target(2.0),
    )
    # The peer here is PrefixMap itself, so that the answers are compared too.
    yield Case(
        "frozen.lookup_int",
        asked,
        lambda: [frozen.lookup_int(value, 4) for value in data.queries],
        "PrefixMap",
        by_int,
        target=Target(0.5),
    )
    # What a real table is like: many routes, few next hops.
    few = PrefixMap((prefix, place % 100) for prefix, place in pairs).freeze()
    yield Case(
        "frozen.lookup_int, 100 values",
        asked,
        lambda: [few.lookup_int(value, 4) for value in data.queries],
        target=Target(0.5),
    )
    yield Case(
        "frozen.lookup, address", asked, lambda: [frozen.lookup(address) for address in objects]
    )
    for name, make in {"pytricia": _pytricia, "py-radix": _radix}.items():
        if name not in peers:
            continue
        peer = make(pairs)
        loaded = peer.load()
        yield Case(load.what, count, load.ours, name, peer.load, peer.same_size)
        yield Case(
            "PrefixMap.lookup, text",
            asked,
            by_text,
            name,
            partial(peer.search, loaded, asked_texts),
            peer.same_values,
        )
        if name == "pytricia":
            yield Case(
                "frozen.lookup_int",
                asked,
                lambda: [frozen.lookup_int(value, 4) for value in data.queries],
                name,
                partial(peer.search, loaded, data.queries),
                lambda ours, theirs: [found and found[2] for found in ours] == theirs,
            )


@dataclass(frozen=True)
class MapPeer:
    """A table of somebody else's."""

    load: Work
    search: Callable[[Any, Sequence[Any]], list[Any]]
    size: Callable[[Any], int]
    value: Callable[[Any], Any]
    """Of one thing that was found."""

    def same_size(self, ours: PrefixMap[int], theirs: Any) -> bool:
        """Whether both have loaded the same number of prefixes."""
        return len(ours) == self.size(theirs)

    def same_values(self, ours: list[Any], theirs: list[Any]) -> bool:
        """Whether both have found the same prefixes."""
        return [found and found[1] for found in ours] == [self.value(each) for each in theirs]


def _pytricia(pairs: list[tuple[str, int]]) -> MapPeer:
    new = import_module("pytricia").PyTricia

    def load() -> Any:
        trie = new(32)
        for text, value in pairs:
            trie[text] = value
        return trie

    def search(trie: Any, asked: Sequence[Any]) -> list[Any]:
        get = trie.get
        return [get(each) for each in asked]

    return MapPeer(load, search, len, lambda found: found)


def _radix(pairs: list[tuple[str, int]]) -> MapPeer:
    new = import_module("radix").Radix

    def load() -> Any:
        tree = new()
        add = tree.add
        for text, value in pairs:
            add(text).data["value"] = value
        return tree

    def search(tree: Any, asked: Sequence[Any]) -> list[Any]:
        best = tree.search_best
        return [best(text) for text in asked]

    return MapPeer(
        load,
        search,
        lambda tree: len(tree.prefixes()),
        lambda found: found and found.data["value"],
    )


def _aggregate6(data: Data) -> Case:
    theirs = import_module("aggregate6").aggregate
    return Case(
        f"aggregate {len(data.medium):,} texts",
        len(data.medium),
        lambda: IPSet(data.medium).to_text().split(),
        "aggregate6",
        lambda: theirs(data.medium),
        target=Target(least_ratio=5),
    )


def _grep(data: Data, scratch: Path) -> Iterator[Case]:
    """Whole processes: their start is in it."""
    prefixes, lines = scratch / "prefixes", scratch / "log"
    prefixes.write_text("".join(f"{prefix}\n" for prefix in data.medium))
    count = len(data.medium)
    lines.write_text(log((data.queries * (count // len(data.queries) + 1))[:count]))
    script = Path(sys.executable).with_name("netsuite")
    if not script.exists():
        raise BenchError(f"no {script}: pip install netsuite[bench]")

    def work(*command: str | Path) -> Work:
        return lambda: subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout

    theirs = work("grepcidr", "-f", prefixes, lines)
    for what, command in {
        "netsuite ip grep": (script, "ip"),
        "python -m netsuite.ip.cli grep": (sys.executable, "-m", "netsuite.ip.cli"),
    }.items():
        yield Case(
            what,
            count,
            work(*command, "grep", prefixes, lines),
            "grepcidr",
            theirs,
            target=Target(least_ratio=0.1),
            clock=_children,
        )


def _children() -> float:
    """CPU time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
