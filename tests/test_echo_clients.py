"""Echo, asked by the programs that people ask it with."""

import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clients import TLSExchange, exchange, payload, read_all
from tests.running import PATIENCE, RunningService, running, wait_for

MIB = 1024 * 1024
SIZES = [1, 5, 1000, MIB, 64 * MIB]
LARGE = 64 * MIB


@pytest.fixture(scope="module")
def service(
    tmp_path_factory: pytest.TempPathFactory, certificate: Path
) -> Iterator[RunningService]:
    """Echo on TCP (both families), TLS and UNIX."""
    directory = tmp_path_factory.mktemp("echo")
    tls = f"privateKey={certificate}/key.pem:certKey={certificate}/cert.pem"
    with running(
        directory,
        "--port=0",
        f"--listen=ssl:0:interface=127.0.0.1:{tls}",
        f"--listen=unix:{directory}/echo.sock",
    ) as service:
        yield service


@pytest.fixture(scope="module")
def large() -> bytes:
    return payload(LARGE)


def connect(service: RunningService, kind: str) -> socket.socket:
    match kind:
        case "tcp":
            connection = socket.create_connection(("127.0.0.1", service.port))
        case "tcp6":
            connection = socket.create_connection(("::1", service.port))
        case _:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(service.ports[2])
    connection.settimeout(PATIENCE)
    return connection


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["tcp", "tcp6", "unix"])
def test_python_sends_and_half_closes(
    service: RunningService, kind: str, size: int, large: bytes
) -> None:
    with connect(service, kind) as connection:
        assert exchange(connection, large[:size]) == large[:size]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("program", ["ncat", "ncat6", "nc-unix", "socat", "socat-unix"])
def test_netcats_send_and_half_close(
    service: RunningService, program: str, size: int, large: bytes, tmp_path: Path
) -> None:
    port = str(service.port)
    command = {
        "ncat": ["ncat", "127.0.0.1", port],
        "ncat6": ["ncat", "-6", "::1", port],
        "nc-unix": ["ncat", "-U", service.ports[2]],
        # -t: how long socat waits for the other direction when one has ended.
        "socat": ["socat", "-t60", "-", f"TCP:127.0.0.1:{port}"],
        "socat-unix": ["socat", "-t60", "-", f"UNIX-CONNECT:{service.ports[2]}"],
    }[program]
    source, sink = tmp_path / "source", tmp_path / "sink"
    source.write_bytes(large[:size])
    with source.open("rb") as sent, sink.open("wb") as received:
        subprocess.run(command, stdin=sent, stdout=received, timeout=PATIENCE, check=True)
    assert sink.read_bytes() == large[:size]


@pytest.mark.parametrize("size", SIZES)
def test_openssl_s_client(service: RunningService, size: int, large: bytes) -> None:
    """It cannot half-close: it ends when all is back."""
    command = ["openssl", "s_client", "-quiet", "-connect", f"127.0.0.1:{service.ports[1]}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        reader = _Reader(client.stdout.fileno(), size)
        client.stdin.write(large[:size])
        client.stdin.flush()
        reader.join()
        client.kill()
    assert reader.data == large[:size]


class _Reader:
    """Reads a number of bytes from a descriptor, in a thread."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.data = b""

        def read() -> None:
            parts: list[bytes] = []
            left = size
            while left and (data := os.read(descriptor, min(left, MIB))):
                parts.append(data)
                left -= len(data)
            self.data = b"".join(parts)

        self._thread = threading.Thread(target=read, daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "not all of it came back"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("end", ["close_notify", "close_notify and FIN", "FIN alone"])
def test_tls_half_close(
    service: RunningService, end: str, version: ssl.TLSVersion, size: int, large: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", int(service.ports[1]))) as connection:
        connection.settimeout(PATIENCE)
        done = TLSExchange(
            connection,
            large[:size],
            close_notify="close_notify" in end,
            fin="FIN" in end,
            version=version,
        )
    assert done.received == large[:size]
    assert done.saw_close


def test_plain_bytes_to_tls_end_that_connection_only(service: RunningService) -> None:
    with socket.create_connection(("127.0.0.1", int(service.ports[1]))) as rubbish:
        rubbish.settimeout(PATIENCE)
        rubbish.sendall(b"GET / HTTP/1.0\r\n\r\n")
        read_all(rubbish)
    context = ssl._create_unverified_context()
    with (
        socket.create_connection(("127.0.0.1", int(service.ports[1]))) as connection,
        context.wrap_socket(connection) as tls,
    ):
        tls.sendall(b"hello")
        assert tls.recv(10) == b"hello"
    assert "Traceback" not in service.log()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_memory_stays_flat_while_a_client_sends_and_does_not_read(
    service: RunningService, kind: str, large: bytes
) -> None:
    with connect(service, kind) as connection:
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        before = service.memory()
        connection.setblocking(False)
        sent = 0
        peak = before
        stuck = 0
        # It takes none of the 64 MiB that it has no room for; try for a while longer.
        while sent < LARGE and stuck < 100:
            try:
                sent += connection.send(large[sent : sent + MIB])
                stuck = 0
            except BlockingIOError:
                stuck += 1
                peak = max(peak, service.memory())
                _pause()
        assert sent < LARGE / 2, "the service must have stopped reading"
        assert peak - before < 8 * MIB, f"grew by {(peak - before) / MIB:.1f} MiB"
        # All of it comes back as soon as the client reads.
        connection.settimeout(PATIENCE)
        assert exchange(connection, large[sent:]) == large
        assert service.memory() - before < 8 * MIB


def _pause() -> None:
    time.sleep(0.01)


def _send_round(connections: list[socket.socket]) -> int:
    """Give each connection what it takes; returns how much that was."""
    taken = 0
    for connection in connections:
        with suppress(BlockingIOError):
            taken += connection.send(bytes(MIB))
    return taken


def test_a_hundred_clients_that_never_read_cost_bounded_memory(service: RunningService) -> None:
    before = service.memory()
    connections = [connect(service, "tcp") for _ in range(100)]
    try:
        for connection in connections:
            connection.setblocking(False)
        full_rounds = 0
        while full_rounds < 5:
            full_rounds = 0 if _send_round(connections) else full_rounds + 1
            _pause()
        # 64 KiB read and 64 KiB to be sent for each, and what the allocator keeps of it.
        assert service.memory() - before < 100 * 256 * 1024
    finally:
        for connection in connections:
            connection.close()
    with connect(service, "tcp") as connection:
        assert exchange(connection, b"still here") == b"still here"


def test_a_reset_is_no_news(service: RunningService) -> None:
    for _ in range(20):
        with connect(service, "tcp") as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.sendall(bytes(MIB // 4))
    with connect(service, "tcp") as connection:
        assert exchange(connection, b"still here") == b"still here"
    wait_for(lambda: "Traceback" not in service.log(), "a clean log")
