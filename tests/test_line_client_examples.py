"""The examples of the client end with one line, or none, whatever becomes of the server."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.line_server import Ports, line_server
from tests.running import PATIENCE, environment, free_port
from tests.test_docs import EXAMPLES

PASSWORD = {"NETSUITE_LINE_PASSWORD": "open sesame"}


@pytest.fixture(scope="module")
def ports(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    with line_server(tmp_path_factory.mktemp("line"), certificate) as found:
        yield found


def started(name: str, directory: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, name, *arguments],
        cwd=directory,
        env={**environment(), **PASSWORD},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_nobody_is_there(tmp_path: Path, certificate: Path) -> None:
    shutil.copy(certificate / "cert.pem", tmp_path)
    port = free_port()
    for name, where in (("line_client.py", f"tcp:localhost:{port}"), ("line_watch.py", str(port))):
        with started(str(EXAMPLES / name), tmp_path, where) as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out) == (1, b"")
        assert err.startswith(b"cannot connect: ")
        assert err.count(b"\n") == 1, err


def test_somebody_stops_watching(ports: Ports, tmp_path: Path, certificate: Path) -> None:
    shutil.copy(certificate / "cert.pem", tmp_path)
    text = (EXAMPLES / "line_watch.py").read_text()
    assert '"NAMES"' in text
    (tmp_path / "watch.py").write_text(text.replace('"NAMES"', '"COUNT", 1'))  # what is there
    with started("watch.py", tmp_path, str(ports.tls), "me") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    assert (line, process.returncode, err) == (b"0\n", 0, b"")
