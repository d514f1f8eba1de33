"""The kv application beside memcached: the same bytes to both, and its clients at both."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymemcache import MemcacheIllegalInputError, MemcacheServerError
from pymemcache.client.base import Client

from netsuite.line.kv.test.scripts import KEYS, SCRIPTS
from tests.memcached import MIB, Server, memcached, ours
from tests.running import RunningService, running, wait_for


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Server]]:
    directory = tmp_path_factory.mktemp("kv")
    with memcached(directory) as theirs, ours(directory) as kv:
        yield {"memcached": theirs, "netsuite": kv}


def without_version(said: bytes) -> bytes:
    return re.sub(rb"VERSION \S+", b"VERSION", said)


@pytest.mark.parametrize("name", ["memcached", "netsuite"])
def test_scripts(both: dict[str, Server], name: str) -> None:
    server = both[name]
    for script, reply in SCRIPTS:
        server.ask(b"".join(b"delete %b\r\n" % key for key in KEYS))
        assert without_version(server.ask(script)) == reply, script


LARGE = [
    b"%b b 0 0 %d\r\n" % (name, size) + bytes(size) + end + b"get b\r\nversion\r\n"
    for name in (b"set", b"add", b"replace", b"append", b"prepend")
    for size in (MIB - 5000, MIB + 1, 3 * MIB)
    for end in (b"\r\n", b"xx")
]


@pytest.mark.parametrize(
    "before", [b"", b"set b 0 0 1\r\nx\r\n", b"set b 0 0 1000\r\n%b\r\n" % bytes(1000)]
)
@pytest.mark.parametrize("script", LARGE)
def test_large_values(both: dict[str, Server], before: bytes, script: bytes) -> None:
    said = {}
    for name, server in both.items():
        server.ask(b"delete b\r\n")
        said[name] = without_version(server.ask(before + script))
    assert said["netsuite"] == said["memcached"]


def test_get_of_a_long_line_and_much_to_say(both: dict[str, Server]) -> None:
    said = {}
    script = b"set a 0 0 100000\r\n" + bytes(100000) + b"\r\n"
    script += b"get" + b" a" * 300 + b" none" * 10_000 + b"\r\nversion\r\n"
    for name, server in both.items():
        said[name] = without_version(server.ask(script))
    assert len(said["memcached"]) > 300 * 100_000
    assert said["netsuite"] == said["memcached"]


@pytest.mark.parametrize("data", [b"x" * MIB, b"x" * MIB + b"\r\nversion\r\n", b" " * MIB])
def test_lines_without_an_end_close(both: dict[str, Server], data: bytes) -> None:
    assert both["memcached"].ask(data) == b""
    assert both["netsuite"].ask(data) in {b"", b"CLIENT_ERROR line too long\r\n"}


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"xy HTTP/\r\nget a\r\n"])
def test_http_closes(both: dict[str, Server], data: bytes) -> None:
    for server in both.values():
        assert server.ask(data) == b""


# Any commands.

PLAIN = [b"a", b"b", b"c\x01", b"noreply"]
LONG = [b"k" * 250, b"k" * 251]
NUMBERS = [
    *b"0 1 3 5 -1 +3 x 1000 4294967295 4294967296 4294967297 18446744073709551615 007".split(),
    *b"18446744073709551616 -18446744073709551615 9223372036854775807 9223372036854775808".split(),
    *b"2147483647 2147483648 000000000000000000000000000005 noreply - + 1- 3x".split(),
    *(b"\t5", b"5\t", b"5\tz"),
]
VALUES = [
    *(b"", b"x", b"5", b"10", b"99", b"100", b"4611686018427387904", b"-5", b" 7", b"7 ", b"7\0"),
    *(b"abc\r\ndef", b"\r\n", b"0" * 30 + b"8", b"5-", b"4611686018427387904 -", b"get a\r\n"),
]
USES = [
    *(b"get %b", b"gets %b", b"get %b a b", b"gets %b a", b"gat 0 %b", b"gats -1 %b", b"bget %b"),
    *(b"incr %b 1", b"incr %b 4294967297", b"decr %b 5", b"decr %b 1 noreply"),
    *(b"delete %b", b"delete %b 0 noreply", b"delete %b noreply", b"touch %b 0", b"touch %b -1"),
]
REST = [
    *(b"flush_all", b"flush_all noreply", b"flush_all -1", b"flush_all x", b"flush_all 0 noreply"),
    *(b"verbosity", b"verbosity 1", b"version", b"stats nothing", b"quit"),
]

#: What memcached says of counting on from 2**63 is by chance: there it looks for a minus sign
#: behind the item too, in what stood there before (``safe_strtoull``). The scripts count on from
#: there once; here nothing is counted so far.
HIGH = {b"9223372036854775807", b"9223372036854775808", b"18446744073709551615"}
LOWER = [each for each in NUMBERS if each not in HIGH]

ends = st.sampled_from([b"\r\n"] * 6 + [b"\n", b"\r\r\n"])
gaps = st.sampled_from([b" "] * 12 + [b"  ", b"\t", b" \t ", b"\0"])


def keys_of(name: bytes) -> st.SearchStrategy[bytes]:
    """Keys for a command. memcached forgets what it was about to say where one that reads has
    a key that is too long, and a CR makes it so."""
    reads = name.startswith((b"ge", b"ga", b"bg"))
    return st.sampled_from(PLAIN if reads else PLAIN + LONG)


@st.composite
def stored(draw: st.DrawFn) -> bytes:
    """A line and a block, which fit or nearly do; ``<key>`` stands for the key's number."""
    name = draw(st.sampled_from([b"set", b"add", b"replace", b"append", b"prepend", b"cas"]))
    key, value = draw(keys_of(name)), draw(st.sampled_from(VALUES))
    flags = draw(st.sampled_from([b"0", b"0", b"7", b"4294967295"]))
    expires = draw(st.sampled_from([b"0", b"0", b"0", b"1000", b"-1", b"2592001"]))
    length = max(0, len(value) + draw(st.sampled_from([0] * 8 + [-1, 1, 2, 3])))
    line = b"%b %b %b %b %d" % (name, key, flags, expires, length)
    if name == b"cas":
        line += b" " + draw(st.sampled_from([b"<%b>" % key, b"1", b"<a>"]))
    line += draw(st.sampled_from([b"", b"", b" noreply", b" x"])) + draw(ends)
    return line + value + draw(st.sampled_from([b"\r\n"] * 6 + [b"\n", b"", b"x\r\n"]))


@st.composite
def used(draw: st.DrawFn) -> bytes:
    use = draw(st.sampled_from(USES))
    return use % draw(keys_of(use)) + draw(ends)


@st.composite
def anything(draw: st.DrawFn) -> bytes:
    """Any words behind any name."""
    names = b"get gets gat gats bget set add replace append prepend cas delete incr decr touch"
    name = draw(st.sampled_from((names + b" verbosity version GET foo g setx stats_ mgot").split()))
    numbers = LOWER if name == b"incr" else NUMBERS
    words = draw(st.lists(keys_of(name) | st.sampled_from(numbers), max_size=7))
    line = name + b"".join(draw(gaps) + word for word in words)
    return line + draw(st.sampled_from([b""] * 5 + [b" "])) + draw(ends)


rests = st.builds(lambda line, end: line + end, st.sampled_from(REST), ends)
scripts = st.lists(
    stored() | used() | stored() | used() | anything() | rests, min_size=1, max_size=8
)

#: Whatever block is awaited ends in these.
FILLED = b"\r\nversion\r\n" * 100

COUNTED = (
    b"cmd_get cmd_set cmd_flush cmd_touch get_hits get_misses delete_misses delete_hits "
    b"incr_misses incr_hits decr_misses decr_hits cas_misses cas_hits cas_badval touch_hits "
    b"touch_misses store_too_large total_items"
).split()


def numbered(server: Server, script: bytes) -> bytes:
    """A script with the numbers that the items have on a server."""
    said = server.ask(b"gets %b\r\n" % b" ".join(PLAIN + LONG[:1]))
    found = dict(re.findall(rb"VALUE (\S+) \d+ \d+ (\d+)\r\n", said))
    return re.sub(rb"<([^<>]*)>", lambda match: found.get(match[1], b"3"), script)


def ranked(said: bytes) -> bytes:
    """Numbers of items by their order alone."""
    pattern = re.compile(rb"(VALUE \S+ \d+ \d+ )(\d+)\r\n")
    found = sorted({int(match[2]) for match in pattern.finditer(said)})
    return pattern.sub(
        lambda match: match[1] + b"#%d\r\n" % found.index(int(match[2])), without_version(said)
    )


def split(data: bytes, places: list[int]) -> list[bytes]:
    cuts = [0, *sorted({place % len(data) for place in places}), len(data)]
    return [data[a:b] for a, b in pairwise(cuts)]


def counts(server: Server) -> dict[bytes, bytes]:
    found = dict(re.findall(rb"STAT (\S+) (\S+)\r\n", server.ask(b"stats\r\n")))
    return {name: found[name] for name in COUNTED}


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rounds=st.lists(scripts, min_size=1, max_size=3), places=st.lists(st.integers(0, 500)))
def test_any_commands(
    both: dict[str, Server], rounds: list[list[bytes]], places: list[int]
) -> None:
    theirs, kv = both["memcached"], both["netsuite"]
    for server in (theirs, kv):
        forget = b"".join(b"delete %b\r\n" % key for key in PLAIN + LONG)
        server.ask(forget + b"stats reset\r\n")
    for script in rounds:
        data = b"".join(script)
        said = [
            ranked(server.ask(*split(numbered(server, data), places), FILLED))
            for server in (theirs, kv)
        ]
        assert said[0] == said[1], data
    assert counts(theirs) == counts(kv)


# A client.


@pytest.fixture(params=["memcached", "netsuite"])
def client(both: dict[str, Server], request: pytest.FixtureRequest) -> Iterator[Client]:
    client = Client(both[request.param].path, timeout=60, connect_timeout=60)
    client.flush_all(noreply=False)
    yield client
    client.close()


@pytest.mark.parametrize("noreply", [False, True])
def test_client_stores_and_gets(client: Client, noreply: bool) -> None:
    assert client.set("a", b"1", noreply=noreply, flags=5)
    assert client.get("a") == b"1"
    assert client.get("b", "none") == "none"
    assert client.add("a", b"2", noreply=noreply) is noreply
    assert client.add("b", b"2", noreply=noreply)
    assert client.replace("c", b"3", noreply=noreply) is noreply
    assert client.replace("b", b"3", noreply=noreply)
    assert client.append("b", b"4", noreply=noreply)
    assert client.prepend("b", b"2", noreply=noreply)
    assert client.append("c", b"4", noreply=noreply) is noreply
    assert client.get_many(["a", "b", "c"]) == {"a": b"1", "b": b"234"}
    assert client.delete("a", noreply=noreply)
    assert client.delete("a", noreply=noreply) is noreply
    assert client.get("a") is None


@pytest.mark.parametrize("noreply", [False, True])
def test_client_has_many(client: Client, noreply: bool) -> None:
    values = {f"key_{number}": b"%d" % number * 100 for number in range(1000)}
    assert client.set_many(values, noreply=noreply) == []
    assert client.get_many([*values, "none"]) == values
    found = client.gets_many(list(values))
    assert {key: value for key, (value, _) in found.items()} == values
    assert client.delete_many(list(values), noreply=noreply)
    assert client.get_many(list(values)) == {}


@pytest.mark.parametrize("noreply", [False, True])
def test_client_compares_and_sets(client: Client, noreply: bool) -> None:
    client.set("a", b"1", noreply=False)
    value, unique = client.gets("a")
    assert value == b"1"
    assert client.cas("a", b"2", unique, noreply=noreply)
    assert client.gets("a")[0] == b"2"
    assert client.cas("a", b"3", unique, noreply=noreply) is noreply
    assert client.cas("b", b"3", unique, noreply=noreply) is (True if noreply else None)
    assert client.gets("b") == (None, None)
    assert client.get("a") == b"2"


@pytest.mark.parametrize("noreply", [False, True])
def test_client_counts(client: Client, noreply: bool) -> None:
    client.set("n", b"9", noreply=False)
    assert client.incr("n", 2, noreply=noreply) == (None if noreply else 11)
    assert client.decr("n", 5, noreply=noreply) == (None if noreply else 6)
    assert client.get("n") == b"6 "
    assert client.incr("m", 2, noreply=noreply) is None
    assert client.decr("m", 2, noreply=noreply) is None


@pytest.mark.parametrize("noreply", [False, True])
def test_client_touches_and_flushes(client: Client, noreply: bool) -> None:
    for key in ("a", "b", "c"):
        client.set(key, b"1", expire=1000, noreply=False)
    assert client.touch("a", 0, noreply=noreply)
    assert client.touch("b", -1, noreply=noreply)
    assert client.touch("d", 0, noreply=noreply) is noreply
    assert client.get_many(["a", "b", "c"]) == {"a": b"1", "c": b"1"}
    assert client.flush_all(noreply=noreply)
    assert client.get_many(["a", "b", "c"]) == {}


def test_client_reads_statistics(client: Client) -> None:
    client.set("a", b"1", noreply=False)
    found = client.stats()
    for name in (b"pid", b"uptime", b"time", b"curr_items", b"total_items", b"cmd_get", b"bytes"):
        assert int(found[name]) >= 0
    assert found[b"pointer_size"] == 64
    assert found[b"limit_maxbytes"] == 64 * MIB
    assert client.stats("settings")[b"maxbytes"] == 64 * MIB
    assert client.version().startswith(b"1.6.")
    client.quit()
    assert client.get("a") == b"1"


def test_client_hears_of_errors(client: Client) -> None:
    with pytest.raises(MemcacheServerError, match="too large"):
        client.set("a", bytes(MIB + 1), noreply=False)
    assert client.set("a", bytes(MIB - 1000), noreply=False)
    assert client.get("a") == bytes(MIB - 1000)
    with pytest.raises(MemcacheIllegalInputError):
        client.set("k" * 251, b"")


# Time and memory.


def test_a_second_is_a_second(both: dict[str, Server]) -> None:
    for server in both.values():
        client = Client(server.path, timeout=60)
        client.set("short", b"1", expire=1, noreply=False)
        wait_for(lambda client=client: client.get("short") is None, "it to expire")  # type: ignore[misc]  # it is bound
        client.close()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[RunningService]:
    with running(
        tmp_path, "--app=kv", "--port=0", "--memory=16Mi", service="netsuite-line"
    ) as service:
        yield service


def test_memory_stays_within_its_limit(small: RunningService) -> None:
    client = Client(("127.0.0.1", small.port), timeout=60)
    client.get("a")
    before = small.memory()
    for begin in range(0, 100_000, 1000):
        client.set_many(
            {f"key_{number}": b"%d" % number * 200 for number in range(begin, begin + 1000)}
        )
    found = client.stats()
    assert found[b"limit_maxbytes"] == 16 * MIB
    assert 15 * MIB < found[b"bytes"] <= 16 * MIB
    assert found[b"curr_items"] + found[b"evictions"] == 100_000
    assert client.get("key_99999") == b"99999" * 200
    assert client.get("key_0") is None
    # The process itself needs some for what comes in.
    assert small.memory() - before < 24 * MIB
    client.close()
