"""memcached itself, and our kv application in its place: both on a UNIX socket."""

import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.running import PATIENCE, running, wait_for

MIB = 1024 * 1024


class Server:
    """One that listens on a UNIX socket."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        wait_for(self._listens, f"{path} to answer")

    def _listens(self) -> bool:
        with suppress(OSError), self.connect():
            return True
        return False

    def connect(self) -> socket.socket:
        """A connection to it."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(PATIENCE)
        connection.connect(self.path)
        return connection

    def ask(self, *parts: bytes) -> bytes:
        """All that it says to these bytes, on a connection of their own."""
        with self.connect() as connection:
            with suppress(BrokenPipeError, ConnectionResetError, OSError):
                for part in parts:
                    connection.sendall(part)
                connection.shutdown(socket.SHUT_WR)
            said = b""
            with suppress(ConnectionResetError):
                while data := connection.recv(MIB):
                    said += data
            return said


@contextmanager
def memcached(directory: Path) -> Iterator[Server]:
    """memcached, until the block ends; what has expired goes when somebody asks."""
    path = directory / "memcached.sock"
    user = ["-u", "root"] if os.geteuid() == 0 else []
    # Its threads that look for dead items would make its statistics depend on time.
    still = ["-t", "1", "-o", "no_lru_crawler,no_lru_maintainer"]
    command = ["memcached", *user, "-s", str(path), *still]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield Server(path)
        finally:
            process.terminate()


@contextmanager
def ours(directory: Path, *options: str) -> Iterator[Server]:
    """``netsuite line --app kv``, until the block ends."""
    path = directory / "kv.sock"
    listen = ("--app=kv", f"--listen=unix:{path}", *options)
    with running(directory, *listen, service="netsuite-line"):
        yield Server(path)
