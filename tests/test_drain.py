"""Stopping: what was begun is finished, within the grace period."""

import json
import re
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients import TLSTransfer, payload
from tests.running import PATIENCE, RunningService, running, wait_for

CLIENTS = 100
SIZE = 2 * 1024 * 1024
DATA = payload(SIZE)


class Transfer(threading.Thread):
    """Sends all of ``DATA`` and reads it back, halting half way until it is let go on."""

    def __init__(self, connection: socket.socket, go_on: threading.Event) -> None:
        super().__init__(daemon=True)
        self._connection = connection
        self._go_on = go_on
        self.begun = threading.Event()
        self.received = b""
        self.error: OSError | None = None

    def run(self) -> None:
        sender = threading.Thread(target=self._send, daemon=True)
        sender.start()
        parts: list[bytes] = []
        left = SIZE
        try:
            while left and (data := self._connection.recv(65_536)):
                parts.append(data)
                left -= len(data)
                self.begun.set()
                self._go_on.wait(PATIENCE)
        except OSError as error:
            self.error = error
        self.received = b"".join(parts)
        sender.join(PATIENCE)
        self._connection.close()

    def _send(self) -> None:
        try:
            self._connection.sendall(DATA[: SIZE // 2])
            self._go_on.wait(PATIENCE)
            self._connection.sendall(DATA[SIZE // 2 :])
        except OSError as error:
            self.error = error


def connect_unix(path: str) -> socket.socket:
    """Connect to a UNIX socket, as often as its queue is full."""
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(path)
        except BlockingIOError:
            connection.close()
        except OSError:
            connection.close()
            raise
        else:
            connection.settimeout(PATIENCE)
            return connection


def refused(connect: Callable[[], socket.socket]) -> bool:
    try:
        connect().close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_a_hundred_connections_in_mid_transfer_are_delivered(
    tmp_path: Path, kind: str, number: int
) -> None:
    with running(tmp_path, "--port=0", f"--listen=unix:{tmp_path}/sock") as service:

        def connect() -> socket.socket:
            if kind == "tcp":
                return socket.create_connection(("127.0.0.1", service.port), PATIENCE)
            return connect_unix(f"{tmp_path}/sock")

        go_on = threading.Event()
        transfers = [Transfer(connect(), go_on) for _ in range(CLIENTS)]
        for transfer in transfers:
            transfer.start()
        for transfer in transfers:
            assert transfer.begun.wait(PATIENCE)
        service.signal(number)
        wait_for(lambda: refused(connect), "the port to close")
        assert service.process.poll() is None, "it must not end in mid-transfer"
        go_on.set()
        for transfer in transfers:
            transfer.join(PATIENCE)
            assert transfer.error is None
            assert transfer.received == DATA
        assert service.wait() == 0
        draining = re.search(r"draining: (\d+) open, up to 10 s", service.log())
        assert draining is not None
        assert int(draining[1]) >= CLIENTS
        assert "aborted" not in service.log()
        assert "Traceback" not in service.log()


def test_tls_connections_are_drained_too(tmp_path: Path, certificate: Path) -> None:
    tls = f"privateKey={certificate}/key.pem:certKey={certificate}/cert.pem"
    with running(tmp_path, f"--listen=ssl:0:interface=127.0.0.1:{tls}") as service:
        go_on = threading.Event()
        transfers = [TLSTransfer(service.port, DATA, go_on) for _ in range(CLIENTS)]
        for transfer in transfers:
            transfer.start()
        for transfer in transfers:
            assert transfer.begun.wait(PATIENCE)
        service.signal(signal.SIGTERM)
        service.wait_for_log(f"draining: {CLIENTS} open")
        go_on.set()
        for transfer in transfers:
            transfer.join(PATIENCE)
            assert transfer.received == DATA
        assert service.wait() == 0


def test_a_silent_tls_connection_is_closed_in_good_order(tmp_path: Path, certificate: Path) -> None:
    """Even if the peer never answers our close_notify."""
    tls = f"privateKey={certificate}/key.pem:certKey={certificate}/cert.pem"
    with running(
        tmp_path, f"--listen=ssl:0:interface=127.0.0.1:{tls}", "--drain-timeout=8"
    ) as service:
        context = ssl._create_unverified_context()
        with (
            socket.create_connection(("127.0.0.1", service.port), PATIENCE) as plain,
            context.wrap_socket(plain) as connection,
        ):
            connection.sendall(b"hi")
            assert connection.recv(2) == b"hi"
            service.signal(signal.SIGTERM)
            assert connection.recv(1) == b"", "close_notify, not a reset"
        assert service.wait() == 0


def open_connection(service: RunningService) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", service.port), PATIENCE)
    connection.sendall(b"hi")
    assert connection.recv(2) == b"hi"
    return connection


def test_a_connection_made_just_before_is_answered(tmp_path: Path) -> None:
    with running(tmp_path, "--port=0") as service:
        # Stopped, it cannot accept: the kernel alone has taken these connections.
        service.signal(signal.SIGSTOP)
        connections = [
            socket.create_connection(("127.0.0.1", service.port), PATIENCE) for _ in range(20)
        ]
        for connection in connections:
            connection.sendall(b"waiting")
            connection.shutdown(socket.SHUT_WR)
        service.signal(signal.SIGTERM)
        service.signal(signal.SIGCONT)
        for connection in connections:
            with connection:
                assert connection.recv(100) == b"waiting"
        assert service.wait() == 0


def test_a_silent_connection_is_closed_in_good_order(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--port=0", "--drain-timeout=2") as service,
        open_connection(service) as connection,
    ):
        service.signal(signal.SIGTERM)
        assert connection.recv(1) == b"", "an end, not a reset"
        assert service.wait() == 0


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--port=0", "--drain-timeout=1000") as service,
        open_connection(service) as connection,
    ):
        service.signal(signal.SIGTERM)
        service.wait_for_log("draining: 1 open")
        service.signal(signal.SIGINT)
        assert service.wait() == -signal.SIGINT
        with pytest.raises(ConnectionResetError):
            connection.recv(1)


def test_what_is_still_busy_when_time_is_up_is_cut(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--port=0", "--drain-timeout=0.5") as service,
        open_connection(service) as connection,
    ):
        connection.setblocking(False)
        full = 0
        while full < 100:  # it does not read, so that there is always something to send
            try:
                connection.send(bytes(1024 * 1024))
                full = 0
            except BlockingIOError:
                full += 1
                threading.Event().wait(0.01)
        service.signal(signal.SIGTERM)
        assert service.wait() == -signal.SIGTERM
        assert "aborted: 1 still busy after 0.5 s" in service.log()


def test_nothing_to_drain_ends_at_once(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    with running(tmp_path, "--port=0", "--udp", "--drain-timeout=1000") as service:
        assert port_file.exists()
        service.signal(signal.SIGTERM)
        assert service.wait() == 0
    assert not port_file.exists()


def test_json_lines(tmp_path: Path) -> None:
    with running(tmp_path, "--port=0", "--log-format=json") as service:
        service.signal(signal.SIGTERM)
        service.wait()
        lines = [json.loads(line) for line in service.log().splitlines()]
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    ready = [line for line in lines if line["message"].startswith("ready: ")]
    assert [(line["service"], line["transport"], line["address"]) for line in ready] == [
        ("echo", "tcp", f"0.0.0.0:{service.port}"),
        ("echo", "tcp", f"[::]:{service.port}"),
    ]
    assert any(line.get("signal") == "SIGTERM" for line in lines)
