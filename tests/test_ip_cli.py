"""``netsuite ip`` as a process: pipes, terminals, signals, and grepcidr as a second opinion."""

import json
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.running import PATIENCE, environment, program, run

pytestmark = pytest.mark.once

SIGPIPE_STATUS = 128 + signal.SIGPIPE


def start(
    directory: Path,
    *arguments: str,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """``netsuite ip`` with pipes for the streams that are not given."""
    return subprocess.Popen(
        [program("netsuite"), "ip", *arguments],
        cwd=directory,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
    )


def networks(count: int, seed: int = 1) -> list[str]:
    chosen = random.Random(seed)
    found = []
    for _ in range(count):
        length = chosen.choice((16, 20, 22, 23, 24, 24, 24, 32))
        value = chosen.randrange(1 << 24, 224 << 24) >> (32 - length) << (32 - length)
        found.append(str(IPv4Network((value, length))))
    return found


def addresses(count: int, seed: int = 2) -> list[str]:
    chosen = random.Random(seed)
    return [str(IPv4Network(chosen.randrange(1 << 24, 224 << 24))[0]) for _ in range(count)]


def test_a_pipe_line(tmp_path: Path) -> None:
    process = start(tmp_path, "aggregate", "--json")
    output, errors = process.communicate(b"10.0.0.0/25\n10.0.0.128/25\n", PATIENCE)
    assert (process.returncode, errors) == (0, b"")
    assert json.loads(output) == {"prefixes": ["10.0.0.0/24"], "extra": []}


def test_without_twisted(tmp_path: Path) -> None:
    """The module runs too where only the standard library can be imported."""
    code = (
        "import sys; sys.modules['twisted'] = None; sys.modules['zope'] = None; "
        "from netsuite.ip.cli import main; sys.exit(main(['calc', '192.0.2.1']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "192.0.2.1/32" in result.stdout


def test_status_of_diff_and_grep(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("10.0.0.0/24\n")
    (tmp_path / "new").write_text("10.0.0.0/25\n")
    assert run(tmp_path, "netsuite", "ip", "diff", "old", "new").stdout == "-10.0.0.128/25\n"
    for arguments, status in (
        (("diff", "old", "old"), 0),
        (("diff", "old", "new"), 1),
        (("diff", "old", "none"), 2),
        (("grep", "10.0.0.0/8", "old"), 0),
        (("grep", "10.0.0.1", "old"), 1),
        (("grep", "10.0.0.1/8", "old"), 2),
        (("grep", "10.0.0.1", "."), 2),
    ):
        result = run(tmp_path, "netsuite", "ip", *arguments)
        assert result.returncode == status
        assert result.stderr.count("\n") == (status == 2)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_has_seen_enough(tmp_path: Path, unbuffered: str) -> None:
    (tmp_path / "prefixes").write_text("\n".join(networks(50_000)))
    for command in (["aggregate", "prefixes"], ["grep", "0.0.0.0/0", "prefixes"]):
        process = subprocess.Popen(
            [program("netsuite"), "ip", *command],
            cwd=tmp_path,
            env={**environment(), "PYTHONUNBUFFERED": unbuffered},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(PATIENCE) == SIGPIPE_STATUS


def test_lines_come_through_before_the_end_of_input(tmp_path: Path) -> None:
    """As behind ``tail -f``."""
    process = start(tmp_path, "grep", "10.0.0.0/8")
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        process.stdin.write(b"no\nyes 10.1.2.3\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"yes 10.1.2.3\n"
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_interrupted(tmp_path: Path) -> None:
    process = start(tmp_path, "grep", "10.0.0.0/8")
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        process.stdin.write(b"10.1.2.3\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"10.1.2.3\n", "it has started"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
        assert process.stderr.read() == b""


def test_a_full_disk(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        process = start(tmp_path, "calc", "10.0.0.1", stdout=full.fileno())
        _, errors = process.communicate(None, PATIENCE)
    assert process.returncode == 2
    assert errors == b"netsuite ip calc: output: No space left on device\n"


def test_a_bar_on_a_terminal_for_a_million_lines(tmp_path: Path) -> None:
    text = "\n".join(networks(1000))
    (tmp_path / "prefixes").write_text(f"{text}\n" * 1000)
    terminal, its_end = pty.openpty()
    try:
        process = start(tmp_path, "aggregate", "prefixes", stderr=its_end)
        os.close(its_end)
        output, _ = process.communicate(None, PATIENCE)
        seen = drained(terminal)
    finally:
        os.close(terminal)
    assert process.returncode == 0
    assert output.count(b"\n") > 500
    states = seen.split(b"\r")
    assert states[0] == b""
    assert b"prefixes  [" in states[1]
    assert b"%" in states[1]
    assert states[-2].strip() == b"", "it is erased"
    assert len(states[-2]) >= len(states[1])
    assert states[-1] == b""
    assert b"\n" not in seen

    result = run(tmp_path, "netsuite", "ip", "aggregate", "prefixes")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.encode() == output


def drained(terminal: int) -> bytes:
    """All that was written to a terminal whose other end is closed."""
    seen = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # Linux says EIO at the end
            return seen
        if not piece:
            return seen
        seen += piece


def test_grep_finds_what_grepcidr_finds(tmp_path: Path) -> None:
    grepcidr = shutil.which("grepcidr")
    assert grepcidr, "grepcidr is missing: install the Debian package grepcidr"
    ours = [*networks(2000), "2001:db8::/32", "192.0.2.7-192.0.2.200"]
    (tmp_path / "prefixes").write_text("\n".join(ours) + "\n")
    chosen = random.Random(3)
    inside = [str(IPv4Network(network)[-1]) for network in networks(2000)]
    forms = (
        "{0} - - [x]",
        "a {0}, b",
        "[{0}]:80",
        "{0}.1",
        "{0}abc",
        "={0}\t",
        "{0}:443 {1}",
        "no",
    )
    lines = [
        chosen.choice(forms).format(one, two)
        for one, two in zip(addresses(2000) + inside, inside + addresses(2000), strict=True)
    ]
    lines += [f"192.0.2.{number} x" for number in range(256)]
    lines += ["2001:db8::1", "[2001:db8::2]:80", "2001:db9::1", "2001:db8::1g"]
    (tmp_path / "log").write_text("\n".join(lines) + "\n")
    theirs = subprocess.run(
        [grepcidr, "-f", "prefixes", "log"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert theirs.stdout.count("\n") > 1000
    assert run(tmp_path, "netsuite", "ip", "grep", "prefixes", "log").stdout == theirs.stdout


def test_the_end_of_a_pipe_that_nobody_reads_any_more(tmp_path: Path) -> None:
    """``netsuite ip grep ... | head -n 1`` in a shell: quiet, and the shell goes on."""
    (tmp_path / "log").write_text("10.0.0.1\n" * 200_000)
    command = f"'{program('netsuite')}' ip grep 10.0.0.0/8 log | head -n 1"
    result = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "10.0.0.1\n", "")
