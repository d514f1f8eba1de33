"""``netsuite line stdio`` as a process: pipes, files, and a socket as inetd gives it."""

import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests.clients import exchange, read_all
from tests.running import PATIENCE, environment, program, wait_for

GREETING = b"* calc is ready\r\n"


def command(*options: str) -> list[str]:
    return [program("netsuite"), "line", "stdio", "--app=tests.line_fronts:app", *options]


def run(*options: str, **given: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command(*options),
        env=environment(),
        timeout=PATIENCE,
        check=False,
        **{"stderr": subprocess.PIPE, **given},
    )


def start(**given: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command(), env=environment(), **given)


def test_pipes() -> None:
    done = run(input=b"add 1 2\nadd 3 4\n", stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (0, GREETING + b"3\r\n7\r\n", b"")


def test_files(tmp_path: Path) -> None:
    source, sink = tmp_path / "source", tmp_path / "sink"
    source.write_bytes(b"add 1 2\n" * 100_000)
    with source.open("rb") as stdin, sink.open("wb") as stdout:
        done = run(stdin=stdin, stdout=stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert sink.read_bytes() == GREETING + b"3\r\n" * 100_000


def test_no_input_at_all() -> None:
    done = run(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (0, GREETING)


def test_the_end_comes_after_all_is_answered(tmp_path: Path) -> None:
    go_on = tmp_path / "go"
    with start(stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"hold {go_on}\nadd 1 2\n".encode())
        process.stdin.close()
        wait_for(Path(f"{go_on}.held").exists, "the command")
        assert process.poll() is None
        go_on.touch()
        assert process.stdout.read() == GREETING + b"held\r\n3\r\n"
        assert process.wait(PATIENCE) == 0


def test_nobody_reads_the_output() -> None:
    reading, writing = os.pipe()
    with start(stdin=subprocess.PIPE, stdout=writing) as process:
        os.close(writing)
        assert process.stdin
        process.stdin.write(b"fill 1000000000\n")
        process.stdin.flush()
        assert os.read(reading, len(GREETING)) == GREETING
        os.close(reading)
        assert process.wait(PATIENCE) == 128 + signal.SIGPIPE


def test_a_disk_that_is_full() -> None:
    with Path("/dev/full").open("wb") as full:
        done = run(input=b"add 1 2\n", stdout=full)
    complaint = b"netsuite line stdio: standard output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, complaint)


def test_a_disk_that_is_full_of_complaints_too() -> None:
    with Path("/dev/full").open("wb") as full:
        assert run(input=b"add 1 2\n", stdout=full, stderr=full).returncode == 1


def test_a_signal_lets_it_finish(tmp_path: Path) -> None:
    go_on = tmp_path / "go"
    with start(stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"hold {go_on}\n".encode())
        process.stdin.flush()
        wait_for(Path(f"{go_on}.held").exists, "the command")
        process.send_signal(signal.SIGTERM)
        go_on.touch()
        assert process.stdout.read() == GREETING + b"held\r\n"
        assert process.wait(PATIENCE) == 0


def test_a_socket_of_inetd() -> None:
    """Standard error is the peer's there: no word of ours goes to it."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), PATIENCE) as client,
    ):
        its, _ = listener.accept()
        with its, start(stdin=its, stdout=its, stderr=its) as process:
            its.close()
            said = exchange(client, b"who\nsay \xff\nadd 1 2\n")
            assert process.wait(PATIENCE) == 0
    lines = said.split(b"\r\n")
    assert lines[1] == b"None  False 127.0.0.1"
    assert lines[2].startswith(b"ERR bad-encoding ")
    assert lines[3:] == [b"3", b""]


def test_a_unix_socket() -> None:
    ours, its = socket.socketpair()
    with ours, its, start(stdin=its, stdout=its) as process:
        its.close()
        ours.settimeout(PATIENCE)
        assert exchange(ours, b"who\n") == GREETING + b"None  True \r\n"
        assert process.wait(PATIENCE) == 0


def test_a_peer_that_says_quit_and_stays() -> None:
    ours, its = socket.socketpair()
    with ours, its, start(stdin=its, stdout=its) as process:
        its.close()
        ours.settimeout(PATIENCE)
        ours.sendall(b"quit\n")
        assert read_all(ours) == GREETING + b"OK\r\n"
        assert process.wait(PATIENCE) == 0


def test_who_is_there() -> None:
    done = run("--user=alice", "--role=admin", input=b"who\nreset\n", stdout=subprocess.PIPE)
    assert done.stdout == GREETING + b"alice admin True \r\nOK\r\n"


def test_mistakes() -> None:
    done = subprocess.run(
        [program("netsuite"), "line", "stdio", "--app=nowhere"],
        env=environment(),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"netsuite line stdio: nowhere: expected one of ")
    assert done.stderr.count(b"\n") == 1


def test_descriptors_are_left_as_they_were() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb"), os.fdopen(reading, "rb"):
        run(input=b"add 1 2\n", stdout=writing)
        assert os.get_blocking(writing)
