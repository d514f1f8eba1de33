"""A service with limits, what it says of itself, and clients from several addresses."""

import json
import re
import socket
import struct
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.running import PATIENCE, RunningService, running, wait_for

_FIELD = re.compile(r' (\w+)=("(?:[^"\\]|\\.)*"|[^ "]+)')
_LINE = re.compile(rf"[-0-9T:.+]+(?:{_FIELD.pattern}){{7}}")


class LimitedService:
    """A running ``netsuite-echo`` that writes an access log and has an admin site."""

    def __init__(self, process: RunningService, access_log: Path) -> None:
        self.process = process
        self._access_log = access_log
        process.wait_for_log("admin: http://")
        match = re.search(r"admin: (http://\S+)", process.log())
        assert match is not None
        self._url = match[1].rstrip("/")

    @property
    def listener(self) -> dict[str, Any]:
        """What its first listener has done so far."""
        with urllib.request.urlopen(f"{self._url}/api/stats", timeout=PATIENCE) as answer:
            listeners = json.load(answer)["listeners"]
        found: dict[str, Any] = listeners[0]
        return found

    def metrics(self) -> str:
        """What Prometheus would read."""
        with urllib.request.urlopen(f"{self._url}/metrics", timeout=PATIENCE) as answer:
            text: str = answer.read().decode()
        return text

    def wait_until(self, **expected: Any) -> None:
        """Wait until its first listener's counts are these."""
        wait_for(
            lambda: expected.items() <= self.listener.items(), f"{expected}, not {self.listener}"
        )

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        """A connection from an address of this machine: all of 127.0.0.0/8 are."""
        return socket.create_connection(
            ("127.0.0.1", self.process.port), PATIENCE, source_address=(source, 0)
        )

    def access(self) -> list[dict[str, str]]:
        """The lines of its access log."""
        lines = self._access_log.read_text().splitlines()
        assert all(_LINE.fullmatch(line) for line in lines), lines
        return [dict(_FIELD.findall(line)) for line in lines]


@contextmanager
def limited(directory: Path, *options: str, port: str = "--port=0") -> Iterator[LimitedService]:
    """The service, until the block ends; nothing unforeseen may have happened to it."""
    access_log = directory / "access"
    flags = (port, "--admin=0", f"--access-log={access_log}", *options)
    with running(directory, *flags) as process:
        yield LimitedService(process, access_log)
        assert "Traceback" not in process.log()
        assert process.process.poll() in {None, 0}


def is_refused(connection: socket.socket) -> bool:
    """Whether the service has closed a connection without a word."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def echoes(connection: socket.socket, data: bytes = b"hello") -> bool:
    """Whether what is sent comes back."""
    connection.sendall(data)
    return read_exactly(connection, len(data)) == data


def read_exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes, or what there is until the peer closes."""
    parts: list[bytes] = []
    while size and (data := connection.recv(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)


def reset(connection: socket.socket) -> None:
    """Close with a reset rather than an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
