"""``netsuite line connect`` says what went wrong, in one line, and what may help."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.line_server import Ports, line_server
from tests.running import PATIENCE, environment
from tests.test_line_connect import command, connect, result, to_a_server_that_says

pytestmark = pytest.mark.once

PROGRAM = "netsuite line connect: "


@pytest.fixture(scope="module")
def ports(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    with line_server(tmp_path_factory.mktemp("line"), certificate) as found:
        yield found


def shell(script: str, server: int, *options: str) -> tuple[int, str]:
    """Run it with redirections of the shell's; the status, and what it complains of."""
    done = subprocess.run(
        ["sh", "-c", script, "sh", *command(server, *options)],
        env=environment(),
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stderr.decode()


# The output.

FULL = (2, f"{PROGRAM}output: No space left on device\n")


def test_a_full_disk(ports: Ports) -> None:
    for script, options in (
        ('echo add 1 2 | "$@" >/dev/full', []),
        ('echo help | "$@" >/dev/full', []),
        ('"$@" >/dev/full', ["-c", "add 1 2"]),
        ('"$@" >/dev/full', ["-c", "count 100000"]),
        ('"$@" >/dev/full', ["--follow", "-c", "add 1 2"]),
    ):
        assert shell(script, ports.plain, *options) == FULL, (script, options)


def test_streams_that_are_closed(ports: Ports) -> None:
    assert shell('"$@" >&-', ports.plain, "-c", "add 1 2") == (
        2,
        f"{PROGRAM}output: it is closed\n",
    )
    assert shell('"$@" <&-', ports.plain) == (2, f"{PROGRAM}standard input: it is closed\n")
    assert shell('"$@" <&- >/dev/null', ports.plain, "-c", "add 1 2") == (0, "")
    assert shell('"$@" >/dev/full 2>&-', ports.plain, "-c", "add 1 2") == (2, "")


# TLS.


def test_tls_trouble(ports: Ports, certificate: Path) -> None:
    trusting = f"--ca={certificate / 'cert.pem'}"
    name = ["--tls", trusting, "--server-name=example.org"]
    address = ["--tls", trusting, "--server-name=127.0.0.9"]
    for port, options, complaint, hint in (
        (ports.tls, [], "before it said anything", "if it speaks TLS, try --tls"),
        (ports.plain, ["--tls"], "does not speak TLS here", "without --tls, or with --starttls"),
        (ports.tls, ["--tls"], "certificate verify failed", "--ca FILE names whom to trust"),
        (ports.plain, ["--starttls"], "certificate verify failed", "or --insecure"),
        (ports.tls, name, "the certificate is not for example.org", "--server-name NAME"),
        (ports.tls, address, "the certificate is not for 127.0.0.9", "--server-name NAME"),
        (ports.tls, ["--starttls", trusting], "before it said anything", "beginning, try --tls"),
    ):
        status, out, err = result(connect(port, *options, "-c", "add 1 2"))
        assert (status, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith(f"{PROGRAM}127.0.0.1:{port}: ")
        assert complaint in err
        assert hint in err


# The server.


def test_a_server_that_goes_away() -> None:
    status, _, err = to_a_server_that_says(b"ERR unknown-command\r\n")
    assert status == 2
    last = err.decode().splitlines()[-1]
    assert last.endswith(
        "the connection was lost: the server has closed it before it replied to add"
    )


# What is given.


def test_commands_that_no_line_can_carry() -> None:
    # Nobody is asked: there is no such server.
    for options, complaint in (
        (["-c", "a\nb"], "--command, number 1: a line break within a line"),
        (["-c", "a", "-c", "b\r"], "--command, number 2: a line break within a line"),
    ):
        status, out, err = result(connect(1, *options))
        assert (status, out) == (2, "")
        assert err.startswith(PROGRAM + complaint)
        assert err.count("\n") == 1


def test_lines_of_the_input_that_cannot_be_sent(ports: Ports) -> None:
    for given, where, complaint in (
        (b"add 1 2\n\nadd 1\r2\n", 3, "a line break within a line"),
        (b"add 1 2\nstore k {3}\na\nb\nadd 1\r2\n", 5, "a line break within a line"),
        (b"add 1 2\n" + b"x" * (1024 * 1024 + 1) + b"\n", 2, "a line of "),
        (b"add 1 2\nstore k {9}\nabc", 2, "expected 9 bytes of literal, not 3"),
    ):
        status, out, err = result(connect(ports.plain, given=given))
        assert (status, out[:2]) == (2, "3\n")
        assert err.startswith(f"{PROGRAM}standard input, line {where}: {complaint}")
        assert err.count("\n") == 1


def test_one_second(ports: Ports) -> None:
    status, _, err = result(connect(ports.plain, "-c", "hang", "--timeout=1"))
    assert (status, err) == (2, f"{PROGRAM}nothing came for 1 second\n")
