"""What peers and the system do wrong, and a service that goes on."""

import os
import resource
import selectors
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random

import pytest

from tests.limited import LimitedService, echoes, is_refused, limited, reset
from tests.running import PATIENCE, wait_for

CONNECTIONS = 1000
#: How many of them are open at a time.
TOGETHER = 50


class Vandal:
    """A client that sends bytes, stops, reads, closes half or all, or resets: as it comes.

    :param first: what it begins with, or a part of that.
    """

    def __init__(self, connection: socket.socket, random: Random, first: bytes) -> None:
        self.connection = connection
        self._random = random
        self._steps = random.randint(0, 6)
        connection.setblocking(False)
        if first and random.random() < 0.7:
            cut = len(first) if random.random() < 0.7 else random.randrange(len(first))
            self._send(first[:cut])

    def _send(self, data: bytes) -> None:
        with suppress(OSError):
            self.connection.send(data)

    def step(self) -> bool:
        """Do one thing; whether it is still there."""
        random = self._random
        if self._steps == 0:
            if random.random() < 0.5:
                reset(self.connection)
            else:
                self.connection.close()
            return False
        self._steps -= 1
        match random.randrange(4):
            case 0:
                self._send(random.randbytes(random.choice([1, 10, 1000, 100_000])))
            case 1:
                with suppress(OSError):
                    self.connection.recv(random.choice([1, 100_000]))
            case 2:
                with suppress(OSError):
                    self.connection.shutdown(random.choice([socket.SHUT_WR, socket.SHUT_RD]))
            case _:
                """It just waits."""
        return True


def vandalize(
    service: LimitedService, connect: Callable[[], socket.socket], seed: int, first: bytes
) -> None:
    """Have ``CONNECTIONS`` vandals come and go."""
    random = Random(seed)
    left = CONNECTIONS
    there: list[Vandal] = []
    while left or there:
        while left and len(there) < TOGETHER:
            left -= 1
            if left % 200 == 0:
                # Where the kernel's queue is full, peers have to try again, seconds later.
                assert service.listener
            there.append(Vandal(connect(), random, first))
        random.shuffle(there)
        there = [each for each in there if each.step()]


HEADER = b"PROXY TCP4 203.0.113.7 192.0.2.1 4000 80\r\n"


def hello() -> bytes:
    """What a TLS client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl._create_unverified_context().wrap_bio(incoming, outgoing)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    ("flags", "layers"),
    [
        ((), ()),
        (("--tls-self-signed",), ("tls",)),
        (("--proxy-from=127.0.0.1",), ("proxy",)),
        (("--proxy-from=127.0.0.1", "--tls-self-signed"), ("proxy", "tls")),
    ],
    ids=["plain", "tls", "proxy", "proxy-and-tls"],
)
def test_garbage(tmp_path: Path, flags: tuple[str, ...], layers: tuple[str, ...]) -> None:
    limits = ("--rate=10M", "--idle-timeout=1", "--stall-timeout=1", "--proxy-timeout=1")
    first = (HEADER if "proxy" in layers else b"") + (hello() if "tls" in layers else b"")
    with limited(tmp_path, *limits, *flags) as service, ExitStack() as stack:
        vandalize(service, service.connect, 7, first)
        service.wait_until(active=0)
        before = service.process.memory()  # with what allocators and TLS keep for the next ones
        vandalize(service, service.connect, 8, first)
        connection = stack.enter_context(service.connect())
        if "proxy" in layers:
            connection.sendall(HEADER)
        if "tls" in layers:
            context = ssl._create_unverified_context()
            connection = stack.enter_context(context.wrap_socket(connection))
        connection.sendall(b"still there?")
        assert connection.recv(12) == b"still there?"
        service.wait_until(active=1)
        assert service.process.memory() - before < 16 * 1024 * 1024
        listener = service.listener
        assert listener["accepted"] + sum(listener["refused"].values()) <= 2 * CONNECTIONS + 1
        assert listener["accepted"] == len(service.access()) + 1


def test_garbage_on_a_unix_socket(tmp_path: Path) -> None:
    path = f"{tmp_path}/sock"
    with limited(tmp_path, "--idle-timeout=1", port=f"--listen=unix:{path}") as service:

        def connect() -> socket.socket:
            connection = socket.socket(socket.AF_UNIX)
            # Its own name is the peer's to choose.
            with suppress(OSError):
                connection.bind(f"{tmp_path}/a\nb".encode() + os.urandom(4).replace(b"\0", b"0"))
            connection.connect(path)  # without a timeout it waits for a place in the queue
            return connection

        vandalize(service, connect, 9, b"")
        with connect() as connection:
            connection.settimeout(PATIENCE)
            assert echoes(connection)
            service.wait_until(active=1, accepted=CONNECTIONS + 1)
            assert len(service.access()) == CONNECTIONS
        assert "were lost" not in service.process.log()


def test_a_full_disk_under_the_access_log(tmp_path: Path) -> None:
    with limited(tmp_path, "--access-log=/dev/full") as service:
        for _ in range(20):
            with service.connect() as connection:
                assert echoes(connection)
        service.wait_until(active=0, accepted=20)
        assert service.process.log().count("access log /dev/full") == 1, "said once"


def few_descriptors(service: LimitedService, number: int) -> None:
    resource.prlimit(service.process.process.pid, resource.RLIMIT_NOFILE, (number, number))


def test_few_file_descriptors_are_not_used_up(tmp_path: Path) -> None:
    with limited(tmp_path) as service, ExitStack() as stack:
        few_descriptors(service, 128)  # a quarter of which is for other uses
        service.process.signal(signal.SIGHUP)
        service.process.wait_for_log("reloaded")
        inside = [stack.enter_context(service.connect()) for _ in range(96)]
        assert all(echoes(each) for each in inside)
        for _ in range(100):
            with service.connect() as connection:
                assert is_refused(connection)
        service.wait_until(active=96, refused={"connections": 100})
        assert "EMFILE" not in service.process.log()


def test_file_descriptors_that_are_used_up_come_back(tmp_path: Path) -> None:
    """Whatever else has taken them: a limit that was lowered from outside, a leak."""
    with limited(tmp_path) as service, ExitStack() as stack:
        first = stack.enter_context(service.connect())
        assert echoes(first)
        few_descriptors(service, 40)
        others = [stack.enter_context(service.connect()) for _ in range(60)]
        selector = stack.enter_context(selectors.DefaultSelector())
        for each in others:
            each.sendall(b"x")
            selector.register(each, selectors.EVENT_READ)
        wait_for(lambda: len(selector.select(0)) == 60, "an answer or an end for each")
        answered = 0
        for each in others:
            with suppress(ConnectionError):
                answered += each.recv(1) == b"x"
            each.close()
        assert 0 < answered < 60
        assert echoes(first), "who is in does not notice"

        def alone() -> bool:
            # Before they are gone there is no descriptor for who asks.
            with suppress(OSError):
                return bool(service.listener["active"] == 1)
            return False

        wait_for(alone, "the others to go")
        with service.connect() as connection:
            assert echoes(connection)
