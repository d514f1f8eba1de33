"""Flags, variables and files, as real programs take them."""

import os
import signal
import socket
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.clients import exchange
from tests.forking import Forked
from tests.running import PATIENCE, RunningService, environment, ours, run, wait_for

COMMANDS = (["netsuite", "echo"], ["twistd", "-n", "netsuite-echo"])
SUITES = (["netsuite", "run"], ["twistd", "-n", "netsuite"])

SUITE = """\
[daemon]
drain-timeout = "5s"
port-file = "port"

[[service]]
type = "echo"
listen = ["tcp:0:interface=127.0.0.1"]
max-per-client = 1

[[service]]
type = "echo"
name = "clock"
service = "time"
port = 0
interface = "127.0.0.1"
"""


@contextmanager
def running_with(directory: Path, command: list[str], **variables: str) -> Iterator[RunningService]:
    """A service that writes ``port`` and logs to ``log``, until the block ends."""
    log = directory / "log"
    full = ours("twistd", "--nodaemon", "--pidfile=", f"--logfile={log}", *command)
    with Forked(full, cwd=directory, env={**environment(), **variables}) as process:
        try:
            yield RunningService(process, directory / "port", log)
        finally:
            process.kill()


def answers(port: int, sent: bytes) -> bytes:
    with closing(socket.create_connection(("127.0.0.1", port), PATIENCE)) as connection:
        return exchange(connection, sent)


def test_variables_make_a_service(tmp_path: Path) -> None:
    variables = {
        "NETSUITE_LISTEN": "tcp:0:interface=127.0.0.1,unix:echo.sock",
        "NETSUITE_PORT_FILE": "port",
        "NETSUITE_LOG_FORMAT": "json",
    }
    with running_with(tmp_path, ["netsuite-echo"], **variables) as service:
        assert answers(service.port, b"hello") == b"hello"
        assert service.ports[1] == "echo.sock"
        assert '"message": "ready: echo on tcp' in service.log()
        service.signal(signal.SIGTERM)
        assert service.wait() == 0


def test_flags_win_over_variables_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "echo.toml").write_text(
        'rate = 1\nclient-rate = 2\naccept-rate = 3\nservice = "time"\nport = 7\n'
    )
    result = run(
        tmp_path,
        *("netsuite", "echo", "--print-config", "--config=echo.toml", "--accept-rate=5"),
        variables={"NETSUITE_ACCEPT_RATE": "4", "NETSUITE_CLIENT_RATE": "3k"},
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    for line in (
        'listen = ["dualstack:7"]  # echo.toml, line 5',
        'service = "time"  # echo.toml, line 4',
        "rate = 1.0  # echo.toml, line 1",
        "client-rate = 3000.0  # NETSUITE_CLIENT_RATE",
        "accept-rate = 5.0  # --accept-rate",
        "drain-timeout = 10.0  # default",
    ):
        assert line in lines
    assert tomllib.loads(result.stdout)["workers"] == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("port = \n", "echo.toml, line 1: invalid value"),
        ("\n\nmax-per-cleint = 1\n", "echo.toml, line 3: max-per-cleint: no such setting: did you"),
        (
            "\nmax-per-client = 'many'\n",
            "echo.toml, line 2: max-per-client: 'many' is not a number",
        ),
        ("allow = [\n '::1',\n 'x']", "echo.toml, line 3: allow: 'x': expected an address"),
        (
            "listen = 'tcp:http'",
            "echo.toml, line 1: listen: cannot listen on 'tcp:http': 'http' is",
        ),
        ("tls-cert = 'none.pem'", "echo.toml, line 1: tls-cert: "),
        ("access-file = 'nowhere'", "echo.toml, line 1: access-file: access file "),
        ("log-level = 'loud'", "echo.toml, line 1: log-level 'loud': expected one of debug, info"),
        ("[daemon]\n", "echo.toml, line 1: daemon: a file for several services: netsuite run"),
    ],
)
def test_a_mistake_in_a_file_is_one_line_with_its_place(
    tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "echo.toml").write_text(text)
    for command in COMMANDS:
        result = run(tmp_path, *command, "--config=echo.toml", "--check-config")
        assert result.returncode == 2
        assert result.stdout == ""
        assert result.stderr.startswith(f"netsuite-echo: {complaint}")
        assert result.stderr.count("\n") == 1


def test_a_mistake_in_a_variable_names_it(tmp_path: Path) -> None:
    result = run(tmp_path, "netsuite", "echo", variables={"NETSUITE_RATE": "fast"})
    assert result.returncode == 2
    assert result.stderr == (
        "netsuite-echo: NETSUITE_RATE: 'fast' is not a number: expected bytes a second, "
        "such as 64000, or with a unit: 500k, 2M, 1G (k is 1000)\n"
    )


def test_no_file(tmp_path: Path) -> None:
    result = run(tmp_path, "netsuite", "echo", "--config=none.toml")
    assert result.returncode == 2
    assert result.stderr == "netsuite-echo: cannot read none.toml: No such file or directory\n"


def test_checking_a_good_file_opens_nothing(tmp_path: Path, certificate: Path) -> None:
    (tmp_path / "acl").write_text("allow 127.0.0.0/8\n")
    (tmp_path / "echo.toml").write_text(
        f"""
port = 1
access-file = "acl"
access-log = "access.log"
port-file = "port"
tls-cert = "{certificate}/cert.pem"
tls-key = "{certificate}/key.pem"
admin = 9100
""".replace("9100", "'9100'")
    )
    before = sorted(tmp_path.iterdir())
    for command in COMMANDS:
        result = run(tmp_path, *command, "--config=echo.toml", "--check-config")
        assert result.stderr == ""
        assert result.returncode == 0
        assert result.stdout == (
            "configuration ok: echo on dualstack:1; admin on tcp:9100:interface=127.0.0.1\n"
        )
    assert sorted(tmp_path.iterdir()) == before


def test_checking_while_a_daemon_runs_does_not_mind_it(tmp_path: Path) -> None:
    (tmp_path / "twistd.pid").write_text(str(os.getpid()))
    result = run(tmp_path, "twistd", "netsuite-echo", "--port=9", "--check-config")
    assert result.returncode == 0
    assert result.stdout == "configuration ok: echo on dualstack:9\n"


def test_checking_finds_what_files_say_wrong(tmp_path: Path) -> None:
    acl = tmp_path / "acl"
    acl.write_text("allow 10.0.0.0/8\ndeny 10.0.0.0/33\n")
    result = run(tmp_path, "netsuite", "echo", "--access-file=acl", "--check-config")
    assert result.returncode == 2
    assert f"access file {acl}: 'deny 10.0.0.0/33': expected" in result.stderr
    assert "line 2" in result.stderr
    assert result.stderr.count("\n") == 1


def test_two_services_in_one_process(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text(SUITE)
    with running_with(tmp_path, ["netsuite", "--config=suite.toml"]) as suite:
        echo, clock = map(int, suite.ports)
        assert answers(echo, b"hello") == b"hello"
        assert len(answers(clock, b"")) == 4
        suite.wait_for_log(f"ready: time on tcp 127.0.0.1:{clock}")
        with closing(socket.create_connection(("127.0.0.1", echo), PATIENCE)) as open_one:
            open_one.sendall(b"begun")
            assert open_one.recv(5, socket.MSG_WAITALL) == b"begun"
            suite.signal(signal.SIGTERM)
            suite.wait_for_log("draining: 1 open, up to 5 s")
            open_one.shutdown(socket.SHUT_WR)
            assert open_one.recv(1) == b""
        assert suite.wait() == 0
        assert "Traceback" not in suite.log()
    assert not (tmp_path / "port").exists()


def test_a_suite_starts_all_or_nothing(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"tcp:{taken.getsockname()[1]}:interface=127.0.0.1"
        (tmp_path / "suite.toml").write_text(
            f"{SUITE}\n[[service]]\ntype = 'echo'\nname = 'third'\nlisten = '{where}'\n"
        )
        for command in SUITES:
            result = run(tmp_path, *command, "--config=suite.toml")
            assert result.returncode == 1
            assert result.stderr == (
                f"netsuite-suite: echo: cannot listen on {where}: address already in use\n"
            )
            assert "Traceback" not in result.stdout
            assert not (tmp_path / "port").exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "suite.toml, line 1: expected a [[service]]"),
        (f"{SUITE}udp-rate = 0\n", "suite.toml, line 16: udp-rate 0: expected more than 0"),
        (f"{SUITE}udp_rate = 1\n", "suite.toml, line 16: udp_rate: no such setting: did you mean"),
        ("[[service]]\ntype = 'ecko'\n", "suite.toml, line 2: type: 'ecko' is no service: did you"),
        (f"{SUITE}tls-cert = 'nowhere'\n", "suite.toml, line 16: tls-cert: "),
        (f"{SUITE}listen = 'unix:'\n", "suite.toml, line 16: listen: cannot listen on 'unix:': "),
    ],
)
def test_a_mistake_in_a_suite_has_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "suite.toml").write_text(text)
    for command in SUITES:
        for action in ([], ["--check-config"]):
            result = run(tmp_path, *command, "--config=suite.toml", *action)
            assert result.returncode == 2
            assert result.stderr.startswith(f"netsuite-suite: {complaint}")
            assert result.stderr.count("\n") == 1
            assert result.stdout == ""
    assert [each.name for each in tmp_path.iterdir()] == ["suite.toml"]


def test_a_suite_is_checked_and_printed(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_text(SUITE)
    for command in SUITES:
        result = run(tmp_path, *command, "--config=suite.toml", "--check-config")
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout == (
            "configuration ok: echo: echo on tcp:0:interface=127.0.0.1; "
            "clock: time on tcp:0:interface=127.0.0.1\n"
        )
        result = run(tmp_path, *command, "--config=suite.toml", "--print-config")
        assert [each["name"] for each in tomllib.loads(result.stdout)["service"]] == [
            "echo",
            "clock",
        ]


def test_a_suite_needs_a_file(tmp_path: Path) -> None:
    result = run(tmp_path, "netsuite", "run")
    assert (result.returncode, result.stderr) == (2, "netsuite-suite: expected --config FILE\n")


def test_a_suite_reads_its_file_again(tmp_path: Path) -> None:
    """What SIGHUP brings about is the daemon layer's business; here it is that it does."""
    file = tmp_path / "suite.toml"
    file.write_text(SUITE)
    with running_with(tmp_path, ["netsuite", "--config=suite.toml"]) as suite:
        echo = int(suite.ports[0])
        with closing(socket.create_connection(("127.0.0.1", echo), PATIENCE)) as first:
            first.sendall(b"hello")
            assert first.recv(5, socket.MSG_WAITALL) == b"hello"
            assert answers_nothing(echo), "there is one already"
            file.write_text(SUITE.replace("max-per-client = 1", "max-per-client = 'two'"))
            suite.signal(signal.SIGHUP)
            suite.wait_for_log("suite.toml, line 8: max-per-client: 'two' is not a number")
            assert answers_nothing(echo), "nothing has changed"
            file.write_text(SUITE.replace("max-per-client = 1", "max-per-client = 2"))
            suite.signal(signal.SIGHUP)
            wait_for(lambda: not answers_nothing(echo), "a second connection to be let in")
            first.sendall(b"again")
            assert first.recv(5, socket.MSG_WAITALL) == b"again"
            first.shutdown(socket.SHUT_WR)
        suite.signal(signal.SIGTERM)
        assert suite.wait() == 0
        assert "Traceback" not in suite.log()


def answers_nothing(port: int) -> bool:
    """Whether a connection is closed without an answer."""
    with closing(socket.create_connection(("127.0.0.1", port), PATIENCE)) as connection:
        try:
            connection.sendall(b"hello")
            return connection.recv(5) == b""
        except ConnectionError:
            return True
