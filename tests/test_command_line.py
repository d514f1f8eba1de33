"""What an operator types, and what comes of it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import environment, ours, run, running, wait_for


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that is in use."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_help_of_the_console_script(tmp_path: Path) -> None:
    result = run(tmp_path, "netsuite", "--help")
    assert result.returncode == 0
    assert "  echo  " in result.stdout
    assert run(tmp_path, "netsuite", "echo", "--help").stdout.startswith(
        "Usage: netsuite echo [options]"
    )


@pytest.mark.once
@pytest.mark.parametrize(
    ("command", "program_name"),
    [
        ("--help", "netsuite"),
        ("--version", "netsuite"),
        ("ip --help", "netsuite ip"),
        ("line connect --help", "netsuite line connect"),
        ("line stdio --help", "netsuite line stdio"),
        ("line --help", "netsuite-line"),
        ("echo --version", "netsuite-echo"),
        ("echo --print-config", "netsuite-echo"),
    ],
)
def test_what_cannot_be_shown_is_one_line_and_status_2(command: str, program_name: str) -> None:
    """The output is what Python makes of it by itself: buffered."""
    for redirection, why in (
        (">/dev/full", "No space left on device"),
        (">&-", "it is closed"),
    ):
        variables = {**environment(), "PYTHONUNBUFFERED": ""}
        script = f'"$@" {redirection}'
        done = subprocess.run(
            ["sh", "-c", script, "sh", *ours("netsuite", *command.split())],
            env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (2, f"{program_name}: output: {why}\n")


@pytest.mark.once
def test_a_tool_of_lines_has_no_use_for_the_daemon_layer(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv[1:] = ['line', 'connect', '--help']\n"
        "from netsuite.__main__ import main\n"
        "try: main()\n"
        "finally: print([each for each in sys.modules if each.startswith('netsuite.service')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("usage: netsuite line connect")
    assert done.stdout.endswith("\n[]\n")


def test_twistd_lists_the_service(tmp_path: Path) -> None:
    assert "netsuite-echo" in run(tmp_path, "twistd", "--help").stdout


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--port", "http"], "--port: 'http' is not a port: expected a number from 0 to 65535"),
        (["--port", "65536"], "'65536' is not a port"),
        (["--listen", "tcp:http"], "cannot listen on 'tcp:http': 'http' is not a port"),
        (["--listen", "gopher:70"], "'gopher:70': no such kind: expected dualstack, tcp"),
        (["--listen", "ssl:1:privateKey=/none"], "/none: No such file or directory"),
        (["--listen", "tls:/none:1"], "/none: expected a directory with certificates"),
        (["--interface", "lo"], "'lo' is not an IP address"),
        (["--drain-timeout", "long"], "--drain-timeout: 'long' is not a number"),
        (["--log-level", "loud"], "log level 'loud': expected one of debug, info"),
        (["--log-format", "xml"], "log format 'xml': expected text or json"),
        (["--service", "finger"], "service 'finger': expected one of echo, discard"),
        (["--quotes", "/none"], "--quotes /none: No such file or directory"),
        (["--nonsense"], "option --nonsense not recognized"),
        (["nonsense"], "unexpected argument 'nonsense'"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path, options: list[str], complaint: str
) -> None:
    for command in (["netsuite", "echo"], ["twistd", "-n", "netsuite-echo"]):
        result = run(tmp_path, *command, *options)
        assert result.returncode == 2
        assert result.stdout == ""
        assert result.stderr.startswith("netsuite-echo: ")
        assert complaint in result.stderr
        assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_port_in_use_is_one_line_and_status_1(tmp_path: Path, taken: int) -> None:
    where = f"tcp:{taken}:interface=127.0.0.1"
    line = f"netsuite-echo: echo: cannot listen on {where}: address already in use\n"
    port_file = tmp_path / "port"
    options = ["--listen=tcp:0", f"--listen={where}", f"--port-file={port_file}"]
    for command in (["netsuite", "echo"], ["twistd", "-n", "netsuite-echo"]):
        result = run(tmp_path, *command, *options)
        assert (result.returncode, result.stderr) == (1, line)
        assert "Traceback" not in result.stdout
        assert not port_file.exists()
    assert list(tmp_path.glob("*.pid")) == []


def test_a_port_in_use_by_the_other_family_is_refused_too(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind(("::", 0))
        server.listen()
        result = run(tmp_path, "netsuite", "echo", f"--port={server.getsockname()[1]}")
    assert result.returncode == 1
    assert "address already in use" in result.stderr


def test_a_daemon_says_so_too(tmp_path: Path, taken: int) -> None:
    result = run(tmp_path, "twistd", "netsuite-echo", f"--listen=tcp:{taken}:interface=127.0.0.1")
    assert result.returncode == 1
    assert "cannot listen on" in result.stderr
    assert "Traceback" not in result.stderr
    pid_file = tmp_path / "twistd.pid"
    wait_for(
        lambda: not pid_file.exists(), "the daemon to end, which the program need not wait for"
    )
    log = (tmp_path / "twistd.log").read_text()
    assert "address already in use" in log
    assert "Traceback" not in log


def test_a_daemon_runs_and_stops(tmp_path: Path) -> None:
    result = run(
        tmp_path, "twistd", "netsuite-echo", "--port=0", "--port-file=port", "--log-format=json"
    )
    assert result.returncode == 0, result.stderr
    port_file, pid_file = tmp_path / "port", tmp_path / "twistd.pid"
    wait_for(port_file.exists, "the port file")
    pid = int(pid_file.read_text())
    try:
        port = int(port_file.read_text())
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(b"hello")
            assert connection.recv(10) == b"hello"
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not pid_file.exists(), "the daemon to end")
    for line in (tmp_path / "twistd.log").read_text().splitlines():
        json.loads(line)


def test_a_port_file_that_cannot_be_written(tmp_path: Path) -> None:
    result = run(tmp_path, "netsuite", "echo", "--port=0", "--port-file=/none/port")
    assert result.returncode == 1
    assert result.stderr == (
        "netsuite-echo: cannot write port file /none/port: No such file or directory\n"
    )


def test_a_log_file_that_cannot_be_written(tmp_path: Path) -> None:
    result = run(tmp_path, "twistd", "-n", "--logfile=/none/log", "netsuite-echo", "--port=0")
    assert result.returncode == 2
    assert result.stderr == "netsuite-echo: cannot log to /none/log: No such file or directory\n"


def test_interfaces(tmp_path: Path) -> None:
    with running(tmp_path, "--port=0", "--interface=127.0.0.1", "--interface=::1") as service:
        assert len(service.ports) == 2
        service.wait_for_log(f"[::1]:{service.ports[1]}")
        ready = [line for line in service.log().splitlines() if "ready: " in line]
    assert [line.partition("ready: ")[2] for line in ready] == [
        f"echo on tcp 127.0.0.1:{service.ports[0]}",
        f"echo on tcp [::1]:{service.ports[1]}",
    ]


def test_two_services_in_one_directory(tmp_path: Path) -> None:
    """The console script leaves no process id file for the second one to trip over."""
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
    with (
        running(tmp_path / "1", "--port=0") as first,
        running(tmp_path / "2", "--port=0") as second,
    ):
        assert first.port != second.port


def test_the_log_level(tmp_path: Path) -> None:
    result = run(
        tmp_path, "netsuite", "echo", "--log-level=critical", "--listen=tcp:0:interface=192.0.2.99"
    )
    assert result.returncode == 1
    assert result.stdout == ""
    assert "cannot assign requested address" in result.stderr


def test_systemd_socket_activation(tmp_path: Path) -> None:
    """As systemd does it: descriptor 3, and LISTEN_PID and LISTEN_FDS in the environment."""
    activate = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="echo")
os.execv(sys.argv[2], sys.argv[2:])
"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", activate, str(server.fileno())),
                *ours("netsuite", "echo", "--listen=systemd:domain=INET:index=0"),
            ],
            cwd=tmp_path,
            env=environment(),
            pass_fds=[server.fileno()],
            stdout=subprocess.DEVNULL,
        )
        try:
            with socket.create_connection(server.getsockname(), 60) as connection:
                connection.sendall(b"hello")
                assert connection.recv(10) == b"hello"
                connection.shutdown(socket.SHUT_WR)
            process.terminate()
            assert process.wait(60) == 0
        finally:
            process.kill()
