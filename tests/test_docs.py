"""The documentation is true: its examples run, and so do the commands that it shows."""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.clients import exchange, read_all
from tests.running import PATIENCE, ROOT, environment, free_port, on_reactor, wait_for

DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
#: More than socket buffers hold: the answer has to flow while the request does.
TEXT = b"Upper and lower, \x00\xff.\n" * 500_000

#: Commands that a page shows and that no test can run as they stand.
NOT_RUN = {
    "python3 -m venv .venv && .venv/bin/pip install '.[fast]'",  # takes the network
    ". .venv/bin/activate",
    r"printf 'hello\n' | nc -N localhost 9000",  # there are several programs named nc
}


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def accepts(port: int) -> bool:
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return False
    return True


def variables(*path: Path) -> dict[str, str]:
    """The environment in which ``python`` and ``netsuite`` are the ones under test."""
    ours = environment()
    programs = str(Path(sys.executable).parent)
    return {
        **ours,
        "PATH": os.pathsep.join([programs, os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([*map(str, path), ours["PYTHONPATH"]]),
    }


@contextmanager
def serving(
    directory: Path, command: list[str], port: int, *path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """A program that accepts connections on ``port`` and its log, until the block ends."""
    log = directory / f"log-{port}"
    env = variables(*path)
    executable = shutil.which(command[0], path=env["PATH"])
    assert executable, f"{command[0]} is missing"
    _, *arguments = on_reactor(command)
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [executable, *arguments],
            cwd=directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as process,
    ):

        def ready() -> bool:
            assert process.poll() is None, log.read_text()
            says_so = command[0] == "netsuite"
            return accepts(port) and (not says_so or "ready: " in log.read_text())

        try:
            wait_for(ready, f"port {port}")
            yield process, log
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.parametrize(
    ("name", "answer"),
    [("compose", TEXT), ("drain", TEXT), ("upper", TEXT.upper())],
)
def test_example_answers_and_stops(name: str, answer: bytes, tmp_path: Path) -> None:
    port = free_port()
    command = ["python", str(EXAMPLES / f"{name}.py"), f"tcp:{port}:interface=127.0.0.1"]
    with serving(tmp_path, command, port) as (process, log):
        with closing(connect(port)) as connection:
            assert exchange(connection, TEXT) == answer
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize(
    ("name", "service", "answer", "half_close"),
    [("drain", "echo", b"begun", True), ("upper", "upper", b"BEGUN", False)],
)
def test_example_drains(
    name: str, service: str, answer: bytes, half_close: bool, tmp_path: Path
) -> None:
    port = free_port()
    command = ["python", str(EXAMPLES / f"{name}.py"), f"tcp:{port}:interface=127.0.0.1"]
    with (
        serving(tmp_path, command, port) as (process, log),
        closing(connect(port)) as connection,
    ):
        wait_for(lambda: f"ready: {service} on tcp" in log.read_text(), "the ready line")
        connection.sendall(b"be")
        assert connection.recv(2, socket.MSG_WAITALL) == answer[:2]
        process.send_signal(signal.SIGTERM)
        wait_for(lambda: not accepts(port), "the port to close")
        connection.sendall(b"gun")
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        # Without it the example's own drain() closes, once we are silent.
        assert read_all(connection) == answer[2:]
        process.wait(PATIENCE)
        assert "aborted" not in log.read_text()
        assert "Traceback" not in log.read_text()


def test_service_of_ones_own(tmp_path: Path) -> None:
    plugins = tmp_path / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    shutil.copy(EXAMPLES / "upper_plugin.py", plugins)
    for name in ("upper.py", "upper_service.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    port = free_port()
    command = ["netsuite", "upper", f"--port={port}", "--interface=127.0.0.1"]
    with serving(tmp_path, command, port, tmp_path) as (process, log):
        with closing(connect(port)) as connection:
            assert exchange(connection, b"text") == b"TEXT"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0, log.read_text()


def commands(page: Path) -> Iterator[tuple[str, str]]:
    """The commands in a page's console blocks, each with the output that it shows."""
    for block in re.findall(r"\.\. code-block:: console\n\n((?:   .*\n|\n)+)", page.read_text()):
        lines = block.replace("\\\n", "").splitlines()
        for shown in re.split(r"^   \$ ", "\n".join(lines), flags=re.MULTILINE)[1:]:
            command, *output = shown.splitlines()
            yield (
                re.sub(r" {2,}", " ", command),
                "".join(f"{line.strip()}\n" for line in output if line.strip()),
            )


def is_server(command: str) -> bool:
    examples = ("compose", "drain", "upper")
    return command.startswith("netsuite echo ") or command in {
        f"python docs/examples/{name}.py" for name in examples
    }


@pytest.mark.parametrize("page", ["tutorial", "echo"])
def test_commands(page: str, tmp_path: Path) -> None:
    """Walk through a page from top to bottom, on ports that are free here."""
    (tmp_path / "docs").symlink_to(DOCS)
    ports = {shown: free_port() for shown in ("9000", "9013", "9443")}
    shown_port = re.compile(r"\b(9000|9013|9443)\b")
    steps = [step for step in commands(DOCS / f"{page}.rst") if step[0] not in NOT_RUN]
    assert any(is_server(command) for command, _ in steps)

    while steps:
        command, shown = steps.pop(0)
        here = shown_port.sub(lambda match: str(ports[match[1]]), command)
        if not is_server(command):
            assert run(here, tmp_path) or not shown
            continue
        first = shown_port.search(command)
        port = ports[first[1]] if first else ports["9000"]
        words = shlex.split(here) if first else [*shlex.split(here), f"tcp:{port}"]
        with serving(tmp_path, words, port) as (process, log):
            while steps and not is_server(steps[0][0]):
                command, shown = steps.pop(0)
                here = shown_port.sub(lambda match: str(ports[match[1]]), command)
                if not command.startswith("openssl"):
                    assert accepts(port)
                said = run(here, tmp_path)
                assert said == shown or (said and not shown), command
            process.send_signal(signal.SIGTERM)
            status = process.wait(PATIENCE)
            assert status == 0 or words[0] != "netsuite", log.read_text()


def run(command: str, directory: Path) -> str:
    """What a command of a page says."""
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=directory,
        env=variables(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, (command, done.stderr.decode())
    return (done.stdout or done.stderr).decode("utf-8", "replace")


def test_no_command_is_excused_for_nothing() -> None:
    shown = {command for page in DOCS.glob("*.rst") for command, _ in commands(page)}
    assert shown >= NOT_RUN
