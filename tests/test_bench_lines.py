"""The benchmarks of lines, the cache and channels: their loads compare what comes back."""

import json
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench import kv, line, publish
from bench._line_floods import Flood, Floods, verdicts
from bench._line_work import Dialogue, Exchange, write_script
from bench._procs import BenchError, Server
from bench._targets import Target
from bench.peers.line_answers import answer

pytestmark = pytest.mark.once

SECONDS = 60.0  # for a load that takes a fraction of one
ORDER = "0.05\n"

Answer = Callable[[bytes], bytes]


class _Lines(socketserver.StreamRequestHandler):
    """Answers each line, and says something first."""

    server: "_Server"

    def handle(self) -> None:
        self.wfile.write(self.server.greeting)
        for each in self.rfile:
            self.wfile.write(self.server.answer(each))


class _Channel(socketserver.StreamRequestHandler):
    """Publishes to all who have subscribed; its answer makes a message of a text."""

    server: "_Server"

    def handle(self) -> None:
        for each in self.rfile:
            command, _, rest = each.partition(b" ")
            if command == b"SUBSCRIBE":
                self.server.subscribers.append(self.wfile)
                self.wfile.write(b"OK\r\n")
            else:
                for subscriber in self.server.subscribers:
                    subscriber.write(b"* MESSAGE " + self.server.answer(rest))
                self.wfile.write(b"%d\r\n" % len(self.server.subscribers))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 50

    def __init__(self, kind: Any, answer: Answer, greeting: bytes) -> None:
        super().__init__(("127.0.0.1", 0), kind)
        self.answer = answer
        self.greeting = greeting
        self.subscribers: list[Any] = []


@contextmanager
def served(answer: Answer, kind: Any = _Lines, greeting: bytes = b"") -> Iterator[int]:
    """A server in a thread; its port."""
    with _Server(kind, answer, greeting) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def sums(each: bytes) -> bytes:
    """The right reply."""
    return answer(each) + b"\r\n"


def run(command: list[str]) -> Any:
    """What a load tells of an order.

    :raises BenchError: with its complaint.
    """
    done = subprocess.run(
        command, input=ORDER * 2, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        raise BenchError(done.stderr.strip())
    first, second = done.stdout.splitlines()
    assert json.loads(first).keys() == json.loads(second).keys()
    return json.loads(second)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A file of sums."""
    path = tmp_path / "script"
    write_script(path, line.sums(30))
    return path


@pytest.mark.parametrize("depth", [1, 7, 30])
def test_every_reply_is_counted(script: Path, depth: int) -> None:
    with served(sums, greeting=b"* hello\r\n\xff\xfd\x18") as port:
        found = run(Dialogue("ADD", depth, 3, script).command(port))
    assert found["round_trips"] >= 3 * depth
    assert found["latency_p99_us"] >= found["latency_p50_us"] > 0


def test_a_wrong_reply_ends_the_load_with_where_it_was(script: Path) -> None:
    seen = 0

    def wrong_later(each: bytes) -> bytes:
        nonlocal seen
        seen += 1
        return b"0\r\n" if seen == 20 else sums(each)

    with served(wrong_later) as port, pytest.raises(BenchError) as caught:
        run(Dialogue("ADD", 5, 1, script).command(port))
    assert str(caught.value).startswith("connection 0: ")
    assert "a wrong reply" in str(caught.value) or "more than it was asked" in str(caught.value)


def test_more_replies_than_requests_end_the_load(script: Path) -> None:
    twice = False

    def answer_twice(each: bytes) -> bytes:
        return sums(each) * (2 if twice else 1)

    with served(answer_twice) as port:
        run(Dialogue("ADD", 1, 1, script).command(port))
        twice = True
        with pytest.raises(BenchError, match=r"connection 0: "):
            run(Dialogue("ADD", 1, 1, script).command(port))


def test_more_in_flight_than_there_are_requests_is_refused(script: Path) -> None:
    with pytest.raises(BenchError, match="expected as many as are to be in flight, 31"):
        run(Dialogue("ADD", 31, 1, script).command(1))


def test_what_comes_before_has_to_be_answered(tmp_path: Path) -> None:
    def prepare(reply: bytes) -> None:
        work = Dialogue("ADD", 1, 1, tmp_path, (Exchange(b"ADD 1 2\r\n", reply),))
        process: Any = None  # nobody asks for it
        work.prepare(Server("sums", process, port, tmp_path))

    with served(sums) as port:
        prepare(b"3\r\n")
        with pytest.raises(BenchError, match=r"sums answers b'3\\r\\n': expected b'4\\r\\n'"):
            prepare(b"4\r\n")


def test_sums_are_what_they_should_be() -> None:
    assert len(line.sums(100)) == 100
    assert all(sums(request) == reply for request, reply in line.sums(100))


@pytest.mark.parametrize(
    "wrong", [b"ADD 1", b"ADD 1 2 3", b"ADD one 2", b"SUB 1 2", b"", b"ADD 1 2x"]
)
def test_the_peers_refuse_what_is_no_sum(wrong: bytes) -> None:
    assert answer(wrong).startswith(b"ERR ")


def test_mixes_of_get_and_set_have_their_shares() -> None:
    pairs = kv.items(10)
    assert len(pairs) == len(dict(pairs)) == kv.KEYS
    assert all(len(value) == 10 for _, value in pairs)
    for share in kv.MIXES.values():
        found = kv.mixed(pairs, share, 2000)
        sets = [each for each in found if each.request.startswith(b"set ")]
        assert share * 18 <= len(sets) <= share * 22
        assert all(each.reply == b"STORED\r\n" for each in sets)


@pytest.mark.parametrize(("size", "burst"), [(1, 1), (100, 10), (4000, 3)])
def test_every_message_is_counted_at_every_subscriber(size: int, burst: int) -> None:
    with served(bytes, _Channel) as port:
        found = run(publish.Publishing(size, burst, 40).command(port))
    assert found["round_trips"] >= 40 * burst
    assert found["round_trips"] % (40 * burst) == 0


def test_a_wrong_message_ends_the_load() -> None:
    with served(bytes.upper, _Channel) as port, pytest.raises(BenchError, match="a wrong message"):
        run(publish.Publishing(100, 1, 3).command(port))


def test_memory_has_a_line_for_each_flood_of_ours() -> None:
    floods = Floods(1, 1.0, [Flood("netsuite", "a line without end", 1, 1, 4 << 20, 9, 0.1)])
    rows = [verdict.row() for verdict in verdicts(floods)]
    assert rows[0] == ["memory in MiB, a line without end, netsuite", "4.000", "<= 4", "met"]
    assert {row[-1] for row in rows[1:]} == {"not measured"}
    assert len(rows) == 6


@pytest.mark.parametrize(
    ("targets", "made"),
    [
        (line.CONTEST.targets, [Dialogue(line.NAME, each, 50, Path()) for each in line.DEPTHS]),
        (kv.CONTEST.targets, [Dialogue(each, 1, 50, Path()) for each in kv.MIXES]),
        (
            publish.CONTEST.targets,
            [publish.Publishing(a, b, 1) for a in publish.SIZES for b in publish.BURSTS],
        ),
    ],
)
def test_every_target_is_about_work_that_is_done(targets: tuple[Target, ...], made: Any) -> None:
    assert {each.work for each in targets} == {each.short for each in made}
    for each in targets:
        assert all(verdict.row()[-1] == "not measured" for verdict in each.verdicts([], made))
