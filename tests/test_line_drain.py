"""A line service that stops: whatever has been asked is answered."""

import re
import select
import signal
import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.clients import read_all
from tests.running import PATIENCE, RunningService, running, wait_for
from tests.test_drain import connect_unix

CLIENTS = 100
#: What each client has asked when it stops: one command that takes its time among others.
BEHIND = 50
ANSWERED = b"held\r\n" + b"".join(b"%d\r\n" % (number + 1) for number in range(BEHIND))


def ask(connection: socket.socket, path: Path) -> None:
    """Ask, and wait until it has all been read."""
    lines = [b"add 0 0", b"hold %s" % bytes(path), *(b"add %d 1" % n for n in range(BEHIND))]
    connection.sendall(b"\r\n".join([*lines, b""]))
    assert connection.recv(3, socket.MSG_WAITALL if type(connection) is socket.socket else 0)


@pytest.mark.parametrize("kind", ["tcp", "tls", "unix"])
def test_commands_in_flight_are_answered(tmp_path: Path, certificate: Path, kind: str) -> None:
    tls = (f"--tls-cert={certificate}/cert.pem", f"--tls-key={certificate}/key.pem")
    listen = f"--listen=unix:{tmp_path}/sock" if kind == "unix" else "--port=0"
    go_on = tmp_path / "go-on"
    with running(
        tmp_path,
        *("--app=tests.line_program:app", listen, *(tls if kind == "tls" else ())),
        service="netsuite-line",
    ) as service:
        connections = [connect(service, kind) for _ in range(CLIENTS)]
        for connection in connections:
            ask(connection, go_on)
        service.signal(signal.SIGTERM)
        service.wait_for_log(f"draining: {CLIENTS} open, up to 10 s")
        assert service.process.poll() is None, "it must not end before they are answered"
        go_on.touch()
        for connection in connections:
            assert read_all(connection) == ANSWERED
            connection.close()
        assert service.wait() == 0
        assert "aborted" not in service.log()
        assert "Traceback" not in service.log()


def connect(service: RunningService, kind: str) -> socket.socket:
    if kind == "unix":
        return connect_unix(service.ports[0])
    connection = socket.create_connection(("127.0.0.1", service.port), PATIENCE)
    if kind == "tls":
        return ssl._create_unverified_context().wrap_socket(connection)
    return connection


class Talker(threading.Thread):
    """Sends commands as fast as it can, and reads what is answered, until the service ends it.

    :ivar answered: how many were, in order.
    :ivar end: how the connection ended: an end, or an error.
    """

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(daemon=True)
        self._connection = connection
        self._unsent = self._left = b""
        self._sent = 0
        self.answered = 0
        self.end: object = None

    def run(self) -> None:
        self._connection.setblocking(False)
        try:
            while self.end is None:
                select.select([self._connection], [self._connection], [], PATIENCE)
                with suppress(*_NOT_NOW):
                    self._read()
                with suppress(*_NOT_NOW):
                    self._send()
        except OSError as error:
            self.end = error
        self._connection.close()

    def _read(self) -> None:
        data = self._connection.recv(65536)
        *whole, self._left = (self._left + data).split(b"\r\n")
        for reply in whole:
            assert reply == b"%d" % (self.answered + 1)
            self.answered += 1
        if not data:
            self.end = self._left or "an end"

    def _send(self) -> None:
        if not self._unsent:
            lines = [b"add %d 1\r\n" % (self._sent + number) for number in range(100)]
            self._unsent = b"".join(lines)
            self._sent += 100
        self._unsent = self._unsent[self._connection.send(self._unsent) :]


_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_talkers_get_an_end_and_no_reset(tmp_path: Path, certificate: Path, kind: str) -> None:
    """What comes behind the last command that is answered does no harm to its answer."""
    tls = (f"--tls-cert={certificate}/cert.pem", f"--tls-key={certificate}/key.pem")
    with running(
        tmp_path,
        *("--app=tests.line_program:app", "--port=0", *(tls if kind == "tls" else ())),
        service="netsuite-line",
    ) as service:
        talkers = [Talker(connect(service, kind)) for _ in range(4)]
        for talker in talkers:
            talker.start()
        wait_for(lambda: all(talker.answered > 1000 for talker in talkers), "them all to talk")
        service.signal(signal.SIGTERM)
        for talker in talkers:
            talker.join(PATIENCE)
            assert talker.end == "an end", talker.end
        assert service.wait() == 0
        assert "aborted" not in service.log()
        assert "Traceback" not in service.log()


def test_workers_answer_too(tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    with running(
        tmp_path,
        *("--app=tests.line_program:app", "--port=0", "--workers=2"),
        service="netsuite-line",
    ) as service:
        service.wait_for_log("ready: line on")  # rather than one of its workers
        connections = [connect(service, "tcp") for _ in range(20)]
        for connection in connections:
            ask(connection, go_on)
        service.signal(signal.SIGTERM)
        wait_for(
            lambda: sum(map(int, re.findall(r"draining: (\d+) open", service.log()))) == 20,
            "all workers to drain",
        )
        go_on.touch()
        for connection in connections:
            assert read_all(connection) == ANSWERED
            connection.close()
        assert service.wait() == 0


def test_what_takes_too_long_is_cut(tmp_path: Path) -> None:
    with running(
        tmp_path,
        *("--app=tests.line_program:app", "--port=0", "--drain-timeout=0.2"),
        service="netsuite-line",
    ) as service:
        with connect(service, "tcp") as connection:
            ask(connection, tmp_path / "never")
            service.signal(signal.SIGTERM)
            assert service.wait() == -signal.SIGTERM
        assert "aborted: 1 still busy after 0.2 s" in service.log()
        assert "Traceback" not in service.log()
