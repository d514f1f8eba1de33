"""Limits against real peers: how many, how long, how fast, and from where."""

import re
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from netsuite.net._shaping import turn_size
from netsuite.net.metered import SHORTEST_WAIT
from tests.clients import TLSTransfer, payload
from tests.limited import LimitedService, echoes, is_refused, limited, read_exactly
from tests.running import PATIENCE, wait_for

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    """As many file descriptors as the system lets the tests have."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


# How many.


def test_ten_thousand_connections_of_one_client(tmp_path: Path) -> None:
    with limited(tmp_path, "--max-per-client=100") as service, ExitStack() as stack:
        served = [stack.enter_context(service.connect()) for _ in range(100)]
        assert all(echoes(each) for each in served)
        before = service.process.memory()
        for _ in range(99):
            batch = [service.connect() for _ in range(100)]
            assert all(is_refused(each) for each in batch)
            for each in batch:
                each.close()
        assert service.process.memory() - before < 8 * MIB
        service.wait_until(accepted=100, active=100, refused={"client_connections": 9_900})
        assert all(echoes(each) for each in served), "they do not notice"
        with service.connect("127.0.0.2") as other:
            assert echoes(other)
        served.pop().close()
        service.wait_until(active=99)
        with service.connect() as again:
            assert echoes(again)
        lines = service.process.log().count("refused: client_connections")
        assert 5 <= lines < 200, "a line a second, however many there are"
        assert re.search(
            r'^netsuite_connections_refused_total\{.*"client_connections".*\} 9900\.0$',
            service.metrics(),
            re.MULTILINE,
        )


def test_unix_sockets_have_limits_too(tmp_path: Path) -> None:
    path = f"{tmp_path}/sock"
    options = ("--max-connections=3", "--max-per-client=1", "--deny=0.0.0.0/0", "--idle-timeout=1")
    with limited(tmp_path, *options, port=f"--listen=unix:{path}") as service, ExitStack() as stack:

        def connect() -> socket.socket:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(PATIENCE)
            connection.connect(path)
            return connection

        inside = [connect() for _ in range(3)]
        assert all(echoes(each) for each in inside)
        assert is_refused(connect())
        assert [each.recv(1) for each in inside] == [b"", b"", b""], "in good order, for silence"
        service.wait_until(active=0, refused={"connections": 1}, cut={"idle": 3})
        assert {(line["client"], line["end"]) for line in service.access()} == {("unix:", "idle")}


# How long.


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_who_does_not_read_is_cut(tmp_path: Path, tls: bool) -> None:
    clients = 50
    options = ["--stall-timeout=1", "--idle-timeout=60"] + ["--tls-self-signed"] * tls
    with limited(tmp_path, "--service=chargen", *options) as service, ExitStack() as stack:
        before = service.process.memory()
        silent = [stack.enter_context(service.connect()) for _ in range(clients)]
        if tls:
            context = ssl._create_unverified_context()
            silent = [stack.enter_context(context.wrap_socket(each)) for each in silent]
        service.wait_until(accepted=clients)
        service.wait_until(active=0, cut={"stall": clients})
        # A peer that does not read costs less than a buffer, and what TLS takes.
        assert service.process.memory() - before < (32 if tls else 16) * MIB
        for each in silent:
            with suppress(ConnectionResetError, ssl.SSLError):
                while each.recv(MIB):
                    pass
        lines = service.access()
    assert [line["end"] for line in lines] == ["stall"] * clients
    assert all(int(line["sent"]) > 0 for line in lines)


def test_who_writes_a_byte_at_a_time_has_so_long(tmp_path: Path) -> None:
    with (
        limited(tmp_path, "--total-timeout=1", "--idle-timeout=60") as service,
        ExitStack() as stack,
    ):
        clients = [stack.enter_context(service.connect()) for _ in range(20)]
        left = list(clients)
        while left:
            for each in list(left):
                try:
                    each.sendall(b"x")
                    if each.recv(10) == b"":
                        left.remove(each)
                except ConnectionError:
                    left.remove(each)
            time.sleep(0.01)
        service.wait_until(active=0, cut={"total": 20})
        assert [line["end"] for line in service.access()] == ["total"] * 20
        assert all(float(line["duration"]) >= 1 for line in service.access()), "never early"


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_silence_ends_in_good_order(tmp_path: Path, certificate: Path, tls: bool) -> None:
    options = [f"--tls-cert={certificate}/cert.pem", f"--tls-key={certificate}/key.pem"]
    with (
        limited(tmp_path, "--idle-timeout=1", *(options if tls else ())) as service,
        ExitStack() as stack,
    ):
        connection = stack.enter_context(service.connect())
        if tls:
            context = ssl._create_unverified_context()
            connection = stack.enter_context(context.wrap_socket(connection))
        connection.sendall(b"hello")
        assert connection.recv(5) == b"hello"
        assert connection.recv(1) == b"", "an end (and close_notify), not a reset"
        connection.close()
        service.wait_until(active=0, cut={"idle": 1})
        [line] = service.access()
        assert (line["end"], float(line["duration"]) >= 1) == ("idle", True)


# How fast.

RATE = 200_000
#: Two turns of the bucket, and 2 ms that are not worth a timer.
BURST = 2 * turn_size(RATE) + RATE * SHORTEST_WAIT
#: What each connection may read beyond its tokens, and pays later.
BEYOND = turn_size(RATE)


class Flood(threading.Thread):
    """Sends as fast as it can, until it is told to stop."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(daemon=True)
        self._connection = connection
        self._over = threading.Event()

    def run(self) -> None:
        block = bytes(65_536)
        self._connection.settimeout(0.1)
        with suppress(ConnectionError):
            while not self._over.is_set():
                with suppress(TimeoutError):
                    self._connection.send(block)

    def stop(self) -> None:
        self._over.set()
        self.join(PATIENCE)


def flood(service: LimitedService, count: int) -> tuple[int, float]:
    """What the service has read from so many connections, and in how many seconds at most."""
    with ExitStack() as stack:
        start = time.monotonic()
        floods = [Flood(stack.enter_context(service.connect())) for _ in range(count)]
        for each in floods:
            each.start()
        wait_for(lambda: service.listener["bytes_received"] >= 2 * RATE, "bytes to pass")
        received = service.listener["bytes_received"]
        seconds = time.monotonic() - start
        for each in floods:
            each.stop()
        return received, seconds


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_flood_is_read_at_its_rate(tmp_path: Path, tls: bool) -> None:
    options = ("--tls-self-signed",) if tls else ()
    with limited(tmp_path, "--service=discard", f"--rate={RATE}", *options) as service:
        if not tls:
            received, seconds = flood(service, 1)
            assert received <= RATE * seconds + BURST + BEYOND
            return
        context = ssl._create_unverified_context()
        start = time.monotonic()
        with context.wrap_socket(service.connect()) as connection:
            sender = Flood(connection)
            sender.start()
            wait_for(lambda: service.listener["bytes_received"] >= 2 * RATE, "bytes to pass")
            received = service.listener["bytes_received"]
            assert received <= RATE * (time.monotonic() - start) + BURST + BEYOND
            sender.stop()


def test_connections_of_one_client_share_its_rate(tmp_path: Path) -> None:
    with limited(tmp_path, "--service=discard", f"--client-rate={RATE}") as service:
        received, seconds = flood(service, 3)
        assert received <= RATE * seconds + BURST + 3 * BEYOND


def test_answers_come_at_their_rate(tmp_path: Path) -> None:
    with limited(tmp_path, "--service=chargen", f"--rate={RATE}") as service:
        start = time.monotonic()
        with service.connect() as connection:
            received = 0
            while received < 2 * RATE:
                received += len(connection.recv(MIB))
                assert received <= RATE * (time.monotonic() - start) + BURST


def test_a_rate_loses_nothing(tmp_path: Path) -> None:
    data = payload(MIB)
    with (
        limited(tmp_path, "--rate=2M", "--client-rate=3M", "--stall-timeout=1") as service,
        service.connect() as connection,
    ):
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        assert read_exactly(connection, len(data)) == data
        sender.join()


# From where.


def test_who_may_not_come_in(tmp_path: Path) -> None:
    access_file = tmp_path / "acl"
    access_file.write_text("deny 127.0.0.4\nallow 127.0.0.0/8\n")
    options = ("--deny=127.0.0.2", "--allow=127.0.0.3", f"--access-file={access_file}")
    with limited(tmp_path, *options) as service:
        for source, welcome in [
            ("127.0.0.1", True),
            ("127.0.0.2", False),
            ("127.0.0.3", True),
            ("127.0.0.4", False),
        ]:
            with service.connect(source) as connection:
                assert echoes(connection) if welcome else is_refused(connection), source
        service.wait_until(accepted=2, refused={"access": 2})
        access_file.write_text("default deny\n")
        service.process.signal(signal.SIGHUP)
        service.process.wait_for_log("reloaded")
        with service.connect() as connection:
            assert is_refused(connection)
        access_file.write_text("default dney\n")
        service.process.signal(signal.SIGHUP)
        service.process.wait_for_log("not reloaded")
        with service.connect() as connection:
            assert is_refused(connection), "nothing has changed"


def header(client: int) -> bytes:
    return b"PROXY TCP4 203.0.113.%d 192.0.2.1 4000 80\r\n" % client


def test_clients_behind_a_proxy_and_who_pretends_to_be_one(tmp_path: Path) -> None:
    options = ("--proxy-from=127.0.0.1", "--max-per-client=1", "--deny=203.0.113.9")
    with limited(tmp_path, *options) as service, ExitStack() as stack:

        def connect(client: int, source: str = "127.0.0.1") -> socket.socket:
            connection = stack.enter_context(service.connect(source))
            with suppress(ConnectionError):
                connection.sendall(header(client))
            return connection

        one, two = connect(1), connect(2)
        assert echoes(one)
        assert echoes(two)
        assert is_refused(connect(1)), "it has one"
        assert is_refused(connect(9)), "it may have none"
        assert is_refused(connect(3, "127.0.0.2")), "that is no proxy"
        service.wait_until(
            active=2, refused={"client_connections": 1, "access": 1, "proxy_source": 1}
        )
        one.close()
        two.close()
        service.wait_until(active=0)
        assert {line["client"] for line in service.access()} == {
            "203.0.113.1:4000",
            "203.0.113.2:4000",
        }


def test_a_header_then_tls_then_limits(tmp_path: Path) -> None:
    options = ("--tls-self-signed", "--proxy-from=127.0.0.1", "--max-per-client=1", "--rate=1M")
    with limited(tmp_path, *options, "--idle-timeout=1") as service, ExitStack() as stack:
        context = ssl._create_unverified_context()

        def connect(client: int) -> ssl.SSLSocket:
            plain = stack.enter_context(service.connect())
            plain.sendall(header(client))
            return stack.enter_context(context.wrap_socket(plain))

        connections = [connect(1), connect(2)]
        for each in connections:
            each.sendall(b"hello")
            assert each.recv(5) == b"hello"
        with pytest.raises(OSError):  # noqa: PT011 - an end or a reset, in mid-handshake
            connect(1)
        for each in connections:
            assert each.recv(1) == b"", "close_notify"
            each.close()
        service.wait_until(active=0, refused={"client_connections": 1}, cut={"idle": 2})
        clients = {line["client"] for line in service.access()}
        assert clients == {"203.0.113.1:4000", "203.0.113.2:4000"}


# The end.


def test_a_drain_under_limits_loses_nothing(tmp_path: Path) -> None:
    data = payload(256 * 1024)
    options = (
        *("--tls-self-signed", "--rate=200k", "--client-rate=20M", "--max-per-client=100"),
        *("--idle-timeout=60", "--total-timeout=60", "--stall-timeout=60", "--drain-timeout=60"),
    )
    with limited(tmp_path, *options) as service:
        go_on = threading.Event()
        transfers = [TLSTransfer(service.process.port, data, go_on) for _ in range(100)]
        for transfer in transfers:
            transfer.start()
        for transfer in transfers:
            assert transfer.begun.wait(PATIENCE)
        service.process.signal(signal.SIGTERM)
        service.process.wait_for_log("draining: 100 open")
        go_on.set()
        for transfer in transfers:
            transfer.join(PATIENCE)
            assert transfer.received == data
        assert service.process.wait() == 0
        assert [line["end"] for line in service.access()] == ["closed"] * 100
