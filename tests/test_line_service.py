"""Line services, asked by the programs that people ask them with, and by those that would harm."""

import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clients import exchange, read_all
from tests.limited import LimitedService
from tests.running import PATIENCE, RunningService, running, wait_for

MIB = 1024 * 1024
LINES = [b"hello", b"", b"two  words ", b"\xff\xfe\x00 bytes", b'"', b".", b"* x", b"ERR x", b"\r"]
SENT = b"".join(line + b"\r\n" for line in LINES)


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[RunningService]:
    """The echo application on TCP (both families), TLS and UNIX."""
    directory = tmp_path_factory.mktemp("echo")
    tls = f"tlsCert={certificate}/cert.pem:tlsKey={certificate}/key.pem"
    with running(
        directory,
        "--port=0",
        f"--listen=tcp:0:interface=127.0.0.1:{tls}",
        f"--listen=unix:{directory}/line.sock",
        service="netsuite-line",
    ) as service:
        yield service
        assert "Traceback" not in service.log()


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """An application of one's own."""
    with running(
        tmp_path_factory.mktemp("program"),
        *("--app=tests.line_program:app", "--port=0", "--literal-size=1M"),
        service="netsuite-line",
    ) as service:
        yield service


def connect(service: RunningService) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), PATIENCE)


def ask(service: RunningService, data: bytes) -> bytes:
    """All that comes back."""
    with connect(service) as connection:
        return exchange(connection, data)


@pytest.mark.parametrize("copies", [1, 10_000])
@pytest.mark.parametrize("program", ["ncat", "ncat6", "ncat-unix", "socat", "socat-unix"])
def test_netcats_get_every_line_back(
    echo: RunningService, program: str, copies: int, tmp_path: Path
) -> None:
    port, path = str(echo.port), echo.ports[2]
    command = {
        "ncat": ["ncat", "127.0.0.1", port],
        "ncat6": ["ncat", "-6", "::1", port],
        "ncat-unix": ["ncat", "-U", path],
        "socat": ["socat", "-t60", "-", f"TCP:127.0.0.1:{port}"],
        "socat-unix": ["socat", "-t60", "-", f"UNIX-CONNECT:{path}"],
    }[program]
    source, sink = tmp_path / "source", tmp_path / "sink"
    source.write_bytes(SENT * copies)
    with source.open("rb") as sent, sink.open("wb") as received:
        subprocess.run(command, stdin=sent, stdout=received, timeout=PATIENCE, check=True)
    assert sink.read_bytes() == SENT * copies


def test_socat_and_openssl_over_tls(echo: RunningService, certificate: Path) -> None:
    port = echo.ports[1]
    done = subprocess.run(
        ["socat", "-t60", "-", f"OPENSSL:localhost:{port},cafile={certificate}/cert.pem"],
        input=SENT,
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout == SENT
    with subprocess.Popen(
        ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{port}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        for line in (b"over TLS\r\n", b"\xff\r\n"):
            client.stdin.write(line)
            client.stdin.flush()
            assert client.stdout.readline() == line
        client.kill()


def test_ways_to_end_a_line(echo: RunningService) -> None:
    assert ask(echo, b"a\nb\r\n\nlast without an end") == b"a\r\nb\r\n\r\n"


def test_commands(program: RunningService) -> None:
    assert ask(program, b"add 1 2\r\nADD x 2\ncount 3\nsize {3}\r\nabc\r\nquit\r\nadd 1 1\r\n") == (
        b'3\r\nERR bad-argument a "x": expected a whole number\r\n0\r\n1\r\n2\r\n.\r\n3\r\nOK\r\n'
    )


def test_a_bug_is_logged_and_not_told(program: RunningService) -> None:
    assert ask(program, b"fail\r\nadd 1 2\r\n") == b"ERR failed FAIL failed\r\n3\r\n"
    program.wait_for_log("RuntimeError: a bug, and a secret")


def test_a_listing_of_a_million_lines(program: RunningService) -> None:
    lines = ask(program, b"count 1000000\r\nadd 1 1\r\n").split(b"\r\n")
    assert lines[:2] == [b"0", b"1"]
    assert lines[-5:] == [b"999998", b"999999", b".", b"2", b""]
    assert len(lines) == 1_000_003


def test_the_ip_application(tmp_path: Path) -> None:
    with running(tmp_path, "--app=ip", "--port=0", service="netsuite-line") as service:
        said = ask(service, b"aggregate 10.0.0.0/25 10.0.0.128/25\nsubnets 10.0.0.0/8 10 2\n")
        assert said == b"10.0.0.0/24\r\n.\r\n10.0.0.0/10\r\n10.64.0.0/10\r\n.\r\n"


def test_who_is_asked_for_behind_tls_and_proxies(tmp_path: Path, certificate: Path) -> None:
    with running(
        tmp_path,
        *("--app=tests.line_program:app", "--port=0", "--proxy-from=127.0.0.1"),
        *(f"--tls-cert={certificate}/cert.pem", f"--tls-key={certificate}/key.pem"),
        service="netsuite-line",
    ) as service:
        service.wait_for_log(
            f"talk to it: openssl s_client -quiet -connect localhost:{service.port}"
        )
        with connect(service) as plain:
            plain.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 1000 2000\r\n")
            with ssl._create_unverified_context().wrap_socket(plain) as connection:
                connection.sendall(b"who\r\n")
                assert connection.recv(100) == b"192.0.2.7 secure\r\n"


# What the daemon layer adds.


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Callable[..., LimitedService]]:
    """Starts a line service with an access log and an admin site."""
    opened = []

    def start(*options: str) -> LimitedService:
        access_log = tmp_path / "access"
        flags = ("--port=0", "--admin=0", f"--access-log={access_log}", *options)
        context = running(tmp_path, *flags, service="netsuite-line")
        opened.append(context)
        return LimitedService(context.__enter__(), access_log)

    yield start
    for context in opened:
        context.__exit__(None, None, None)


def test_the_log_says_how_to_talk_to_it(echo: RunningService) -> None:
    echo.wait_for_log(f"ready: line on tcp 0.0.0.0:{echo.port}")
    echo.wait_for_log(f"talk to it: nc localhost {echo.port}")


def test_refused_peers_are_told(limited: Callable[..., LimitedService]) -> None:
    service = limited("--max-per-client=1")
    with service.connect() as first, service.connect() as second:
        assert read_all(second) == b"ERR not-allowed client connections\r\n"
        first.sendall(b"hello\r\n")
        assert first.recv(100) == b"hello\r\n"
    service.wait_until(active=0, refused={"client_connections": 1})


@pytest.mark.parametrize(
    ("how", "end"), [("half", "closed"), ("at once", "closed"), ("without reading", "lost")]
)
def test_who_closes_a_unix_connection(
    limited: Callable[..., LimitedService], tmp_path: Path, how: str, end: str
) -> None:
    service = limited(f"--listen=unix:{tmp_path}/line.sock")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(f"{tmp_path}/line.sock")
        connection.sendall(b"hello\r\n")
        flags = socket.MSG_PEEK if how == "without reading" else 0
        assert connection.recv(100, flags) == b"hello\r\n"
        if how == "half":
            connection.shutdown(socket.SHUT_WR)
            assert read_all(connection) == b""
    service.wait_until(active=0, accepted=1)
    assert [each["end"] for each in service.access()] == [end]


def test_idle_peers_are_told_by_whoever_watches(limited: Callable[..., LimitedService]) -> None:
    service = limited("--idle-timeout=0.3")
    with service.connect() as connection:
        connection.sendall(b"hello\r\n")
        assert read_all(connection) == b"hello\r\nERR timeout idle time is over\r\n"
    service.wait_until(active=0, cut={"idle": 1})
    assert [each["end"] for each in service.access()] == ["idle"]


def test_a_connection_that_lasts_too_long(limited: Callable[..., LimitedService]) -> None:
    service = limited("--total-timeout=0.3")
    with service.connect() as connection:
        assert read_all(connection) == b"ERR timeout total time is over\r\n"
    service.wait_until(active=0, cut={"total": 1})


def test_access_log_and_metrics(limited: Callable[..., LimitedService]) -> None:
    service = limited("--app=tests.line_program:app")
    with service.connect() as connection:
        assert exchange(connection, b"add 1 2\nadd x\nwhat\n").startswith(b"3\r\nERR bad-argument")
    with service.connect() as connection:
        connection.sendall(b"add 1 2\n")
        assert connection.recv(100) == b"3\r\n"
        service.wait_until(active=1)
        labels = r'\{listener="line",service="line"\}'
        found = service.metrics()
        assert re.search(rf"^netsuite_line_replies_total{labels} 4\.0$", found, re.MULTILINE), found
        assert re.search(rf"^netsuite_line_errors_total{labels} 2\.0$", found, re.MULTILINE), found
    service.wait_until(active=0)
    wait_for(lambda: len(service.access()) == 2, "both lines")
    first, second = service.access()
    assert (first["listener"], first["received"], first["end"]) == ("line", "19", "closed")
    assert (second["received"], second["sent"]) == ("8", "3")


def test_workers_have_one_port_and_count_together(limited: Callable[..., LimitedService]) -> None:
    service = limited("--workers=2", "--app=tests.line_program:app")
    service.process.wait_for_log("ready: line on")  # rather than one of its workers
    for _ in range(20):
        with service.connect() as connection:
            assert exchange(connection, b"add 1 2\n") == b"3\r\n"
    service.wait_until(active=0, accepted=20, counts={"line_errors": 0, "line_replies": 20})


# Those that would harm.


class Peak:
    """How much a service's memory has grown, at most."""

    def __init__(self, service: RunningService) -> None:
        self._service = service
        self._before = service.memory()
        self.growth = 0

    def look(self) -> None:
        self.growth = max(self.growth, self._service.memory() - self._before)


def send_without_a_line_end(service: RunningService, amount: int) -> Peak:
    """Send so many bytes, on as many connections as that takes; each is told and closed."""
    with connect(service) as connection:  # what a first connection costs is not of interest
        exchange(connection, b"add 1 2\n")
    peak = Peak(service)
    left = amount
    while left > 0:
        sent = 0
        with connect(service) as connection, suppress(ConnectionError):
            while sent < left:
                sent += connection.send(b"x" * (256 * 1024))
                peak.look()
        left -= sent
    return peak


def test_no_line_end_at_all(program: RunningService) -> None:
    with connect(program) as connection:
        connection.sendall(b"x" * 8192 * 20)
        lines = read_all(connection).split(b"\r\n")
    assert len(lines) == 3
    assert lines[0].startswith(b"ERR line-too-long ")
    assert lines[1] == b"ERR line-too-long there is no end of it"
    assert send_without_a_line_end(program, 64 * MIB).growth < 8 * MIB


def send_without_reading(service: RunningService, amount: int) -> tuple[Peak, int]:
    """Send commands and read no reply, until all are sent or nothing is taken any more.

    :returns: the peak, and how much was taken before it read anything. Then all is read.
    """
    data = b"add 1 2\r\n" * (MIB // 9)
    total = amount // len(data) * len(data)
    with connect(service) as connection:
        connection.sendall(b"add 1 2\r\n")
        assert connection.recv(10) == b"3\r\n"
        peak = Peak(service)
        connection.setblocking(False)
        sent = stuck = 0
        while sent < total and stuck < 100:
            try:
                sent += connection.send(data[sent % len(data) :])
                stuck = 0
            except BlockingIOError:
                stuck += 1
                peak.look()
                time.sleep(0.01)
        taken = sent
        connection.settimeout(PATIENCE)

        def send_the_rest() -> None:
            nonlocal sent
            while sent < total:
                sent += connection.send(data[sent % len(data) :])
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send_the_rest)
        sender.start()
        read = 0
        while reply := connection.recv(MIB):
            assert reply.strip(b"3\r\n") == b""
            read += len(reply)
            peak.look()
        sender.join()
        assert read == total // 9 * 3, "every command is answered"
    return peak, taken


def test_commands_whose_replies_nobody_reads(program: RunningService) -> None:
    peak, taken = send_without_reading(program, 48 * MIB)
    assert taken < 32 * MIB, "it must have stopped reading"
    assert peak.growth < 8 * MIB, f"grew by {peak.growth / MIB:.1f} MiB"


def test_a_listing_that_nobody_reads(program: RunningService) -> None:
    with connect(program) as connection:
        connection.sendall(b"add 1 2\r\n")
        connection.recv(10)
        peak = Peak(program)
        connection.sendall(b"count 1000000000\r\n" * 1000)
        for _ in range(50):
            peak.look()
            time.sleep(0.01)
        assert peak.growth < 8 * MIB
    assert ask(program, b"add 1 2\r\n") == b"3\r\n"


def test_a_hundred_clients_that_never_read(program: RunningService) -> None:
    with connect(program) as connection:
        exchange(connection, b"add 1 2\n")
    peak = Peak(program)
    connections = [connect(program) for _ in range(100)]
    try:
        quiet = 0
        for connection in connections:
            connection.setblocking(False)
        while quiet < 5:
            quiet += 1
            for connection in connections:
                with suppress(BlockingIOError):
                    connection.send(b"add 1 2\r\n" * 30_000)
                    quiet = 0
            time.sleep(0.01)
            peak.look()
        # What was read at once, what waits to be sent, and what the allocator keeps of it.
        assert peak.growth < 100 * 512 * 1024, f"grew by {peak.growth / MIB:.1f} MiB"
    finally:
        for connection in connections:
            connection.close()
    assert ask(program, b"add 1 2\r\n") == b"3\r\n"


def test_a_literal_that_is_too_large(program: RunningService) -> None:
    most = 1_000_000
    assert ask(program, b"size {%d}\r\n" % most + bytes(most) + b"\r\n") == b"1000000\r\n"
    answer = ask(program, b"size {%d}\r\n" % (most + 1) + bytes(most + 1) + b"\r\nadd 1 2\r\n")
    assert answer == b"ERR literal-too-large expected at most 1000000 bytes\r\n3\r\n"
    peak = Peak(program)
    with connect(program) as connection, suppress(ConnectionError):
        connection.sendall(b"size {10000000000}\r\n")
        assert read_all(connection).startswith(b"ERR literal-too-large ")
        peak.look()
    assert peak.growth < 8 * MIB
