"""The documentation is true: its examples run, and so do the commands that it shows."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
#: The longest that one step may take on a slow machine, in seconds.
PATIENCE = 30.0
#: More than socket buffers hold: the answer has to flow while the request does.
PAYLOAD = b"Upper and lower, \x00\xff.\n" * 50_000


def free_port() -> int:
    """A port that nothing listens on, on any address of this machine."""
    with closing(socket.socket(socket.AF_INET6)) as probe:
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        probe.bind(("::", 0))
        port: int = probe.getsockname()[1]
    return port


def environment(*path: Path) -> dict[str, str]:
    """This checkout and this interpreter's programs come first."""
    return {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(map(str, (*path, ROOT))),
        "PYTHONUNBUFFERED": "1",
    }


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return False
    return True


@contextmanager
def running(
    command: list[str], directory: Path, ports: list[int], env: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that accepts connections on ``ports``, until the block ends."""
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=directory, env=env, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE
        while not all(map(accepts, ports)):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)


def exchange(port: int, payload: bytes) -> bytes:
    """Send all, half-close, and read the answer to its end."""
    with closing(socket.create_connection(("127.0.0.1", port), PATIENCE)) as connection:
        received = bytearray()
        unsent = memoryview(payload)
        while unsent:
            unsent = unsent[connection.send(unsent[:65_536]) :]
            received += receive_now(connection)
        connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(65_536):
            received += data
    return bytes(received)


def receive_now(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1 << 20, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return b""


@pytest.mark.parametrize(
    ("name", "answer"),
    [("compose", PAYLOAD), ("drain", PAYLOAD), ("upper", PAYLOAD.upper())],
)
def test_example_answers_and_stops(name: str, answer: bytes, tmp_path: Path) -> None:
    port = free_port()
    command = [
        *(sys.executable, "-W", "error", str(EXAMPLES / f"{name}.py")),
        f"tcp:{port}:interface=127.0.0.1",
    ]
    with running(command, tmp_path, [port], environment()) as process:
        assert exchange(port, PAYLOAD) == answer
        process.send_signal(signal.SIGTERM)
        status = process.wait(PATIENCE)
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    if name != "compose":  # which knows no drain
        assert status in {0, -signal.SIGTERM}
        assert f"ready: {'echo' if name == 'drain' else name} on tcp 127.0.0.1:{port}" in log


