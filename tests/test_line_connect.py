"""``netsuite line connect``: in pipes, with files, and on a terminal."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.line_server import TOKEN, Ports, line_server
from tests.running import PATIENCE, ROOT, environment, free_port, program, run
from tests.terminal import Terminal, on_terminal

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def ports(certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    with line_server(tmp_path_factory.mktemp("line"), certificate) as found:
        yield found


def command(server: int | str, *options: str) -> list[str]:
    where = server if isinstance(server, str) else f"127.0.0.1:{server}"
    return [program("netsuite"), "line", "connect", where, *options]


def connect(
    server: int | str, *options: str, given: bytes = b"", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    _, *arguments = command(server, *options)
    return run(ROOT, "netsuite", *arguments, given=given, variables=variables)


def result(done: subprocess.CompletedProcess[str]) -> tuple[int, str, str]:
    return done.returncode, done.stdout, done.stderr


# Pipes and files.


def test_commands_from_a_pipe(ports: Ports) -> None:
    given = b"add 1 2\r\n\n  \ncount 3\nstore k {5}\na\r\nb\n\nadd x 1\nsay nothing"
    status, out, err = result(connect(ports.plain, given=given))
    assert out.splitlines() == [
        *("3", "0", "1", "2", r"k: b'a\r\nb\n'"),
        'ERR bad-argument a "x": expected a whole number',
        'ERR unknown-command "say": HELP lists the commands',
    ]
    assert (status, err) == (1, "")


def test_commands_of_the_command_line(ports: Ports) -> None:
    done = connect(ports.plain, "-c", "add 1 2", "--command=plus 2 2")
    assert result(done) == (0, "3\n4\n", "")


def test_nothing_to_do(ports: Ports) -> None:
    assert result(connect(ports.plain)) == (0, "", "")


def test_text_of_any_kind_passes_through(ports: Ports) -> None:
    given = 'store "\u00e9 \\x1b" {3}\n'.encode() + b"\xff\x00\n\n" + b"escape\n"
    status, out, err = result(connect(ports.plain, given=given))
    assert out == "\u00e9 \x1b: b'\\xff\\x00\\n'\n\x1b[2J\x1b[Hgone\n"
    assert (status, err) == (0, "")


def test_many_commands_are_on_their_way_at_once(ports: Ports, tmp_path: Path) -> None:
    path = tmp_path / "commands"
    path.write_text("".join(f"add {each} 1\n" for each in range(20_000)))
    with path.open("rb") as source:
        done = subprocess.run(
            command(ports.plain), stdin=source, env=environment(), capture_output=True, check=True
        )
    assert done.stdout.decode() == "".join(f"{each + 1}\n" for each in range(20_000))


def test_a_long_reply(ports: Ports) -> None:
    done = connect(ports.plain, "-c", "count 300000", "-c", "add 1 2")
    assert result(done) == (0, "".join(f"{each}\n" for each in range(300_000)) + "3\n", "")


def test_replies_come_while_commands_are_still_written(ports: Ports) -> None:
    with subprocess.Popen(
        command(ports.plain), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(3):
            process.stdin.write(b"add %d 1\n" % number)
            process.stdin.flush()
            assert process.stdout.readline() == b"%d\n" % (number + 1)
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def test_whoever_reads_has_seen_enough(ports: Ports) -> None:
    with subprocess.Popen(
        command(ports.plain, "-c", "count 10000000"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"0\n"
        process.stdout.close()
        assert process.wait(PATIENCE) == 128 + signal.SIGPIPE
        assert process.stderr.read() == b""


def test_follow(ports: Ports) -> None:
    options = ["--follow", "-c", "subscribe news", "-c", "publish news a \x1b b"]
    with subprocess.Popen(
        command(ports.plain, *options),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        found = [process.stdout.readline().decode() for _ in range(4)]
        assert found[0] == "* calc ready\n"
        assert sorted(found[1:]) == ["* MESSAGE news a \x1b b\n", "1\n", "OK\n"]
        assert connect(ports.plain, "-c", "publish news more").stdout == "1\n"
        assert process.stdout.readline() == b"* MESSAGE news more\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 128 + signal.SIGINT


def test_it_can_be_interrupted(ports: Ports) -> None:
    with subprocess.Popen(
        command(ports.plain, "-c", "add 1 2", "-c", "hang"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"3\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 128 + signal.SIGINT
        assert process.stderr.read() == b""


# Trouble.


def test_trouble_is_one_line(ports: Ports, tmp_path: Path) -> None:
    nobody = free_port()
    for done, complaint in (
        (connect(nobody, "-c", "add 1 2"), f"127.0.0.1:{nobody}: cannot connect: Connection was r"),
        (connect("nonsense"), "nonsense: expected HOST:PORT, [ADDRESS]:PORT, unix:PATH or one of"),
        (connect(ports.plain, "-c", "vanish"), f"127.0.0.1:{ports.plain}: the connection was lost"),
        (connect(ports.plain, "-c", "hang", "--timeout=0.2"), "nothing came for 0.2 seconds"),
        (connect(ports.plain, given=b"store k {9}\nabc"), "expected 9 bytes of literal, not 3"),
        (connect(ports.plain, given=b"starttls\n"), "STARTTLS: expected --starttls in place of"),
        (connect(ports.plain, "--token-file=/none"), "--token-file /none: No such file or"),
        (connect(ports.plain, "--history=/none/x"), "--history /none/x: No such file or"),
        (connect(ports.plain, "--user=me"), "expected the password in NETSUITE_LINE_PASSWORD"),
        (connect(ports.tls, "--tls"), "certificate verify failed"),
        (connect(f"unix:{tmp_path}/none"), "cannot connect"),
    ):
        status, out, err = result(done)
        assert (status, out) == (2, ""), complaint
        assert err.startswith("netsuite line connect: ")
        assert complaint in err
        assert err.count("\n") == 1, err


def to_a_server_that_says(said: bytes) -> tuple[int | None, bytes, bytes]:
    """Ask a server that says this, whatever it is asked, and closes: status and output."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        subprocess.Popen(
            command(listener.getsockname()[1], "-c", "add 1 2"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        ) as process,
    ):
        peer, _ = listener.accept()
        with peer:
            peer.sendall(said)
            received = b""
            while b"add 1 2\r\n" not in received:
                received += peer.recv(100)
        out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def test_a_server_that_speaks_something_else() -> None:
    status, out, err = to_a_server_that_says(b"\x1b]0;220 smtp.example.net ESMTP\r\n")
    # What it says first is taken for its list of commands; then it is gone.
    assert (status, out) == (2, b"")
    notes = err.decode().splitlines()
    assert "the server lists no commands" in notes[0]
    assert "the connection was lost" in notes[1]
    assert len(notes) == 2


def test_a_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        for options in (["--tls", "--insecure"], ["--starttls", "--insecure"]):
            status, out, err = result(connect(port, *options, "--timeout=0.3"))
            assert (status, out) == (2, "")
            assert "within 0.3 seconds" in err
            assert err.count("\n") == 1


# TLS and logins.


def test_tls(ports: Ports, certificate: Path) -> None:
    who = ["-c", "whoami", "--user=me"]
    trusting = [f"--ca={certificate / 'cert.pem'}", "--tls"]
    for server, options in (
        (f"localhost:{ports.tls}", trusting),
        (f"127.0.0.1:{ports.tls}", trusting),
        (f"tcp:127.0.0.1:{ports.tls}", [*trusting, "--server-name=localhost"]),
        (f"127.0.0.1:{ports.tls}", ["--tls", "--insecure"]),
    ):
        done = connect(server, *options, *who, NETSUITE_LINE_PASSWORD="open sesame")
        assert result(done) == (0, "me\n", "")
    wrong = connect(ports.tls, *trusting, "--server-name=example.org", "-c", "quit")
    assert wrong.returncode == 2


def test_starttls(ports: Ports, certificate: Path) -> None:
    for options in ([f"--ca={certificate / 'cert.pem'}"], ["--insecure"]):
        done = connect(f"localhost:{ports.plain}", "--starttls", *options, "-c", "add 1 2")
        assert result(done) == (0, "3\n", "")
    refused = connect(ports.login, "--starttls", "--insecure", "-c", "add 1 2")
    assert refused.returncode == 2
    assert "STARTTLS" in refused.stderr


def test_logins(ports: Ports, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(TOKEN + "\n")
    done = connect(ports.login, f"--token-file={token}", given=b"whoami\n")
    assert result(done) == (0, "robot\n", "")
    token.write_text("wrong")
    status, out, err = result(connect(ports.login, f"--token-file={token}", given=b"whoami\n"))
    assert (status, out) == (2, "")
    assert "login-failed" in err
    done = connect(ports.login, "--user=me", given=b"whoami\n", NETSUITE_LINE_PASSWORD="wrong")
    assert done.returncode == 2
    # Those who have not logged in have fewer commands; by hand it goes too.
    given = b'whoami\nauth plain me "open sesame"\nwhoami\n'
    status, out, _ = result(connect(ports.login, given=given))
    assert status == 1
    assert out.splitlines()[1:] == ["OK", "me"]


# Terminals.


def on_reactor(name: str, port: int) -> list[str]:
    netsuite, *rest = command(port)
    return [netsuite, f"--reactor={name}", *rest]


def test_a_reactor_with_a_loop_is_good_enough(ports: Ports) -> None:
    with on_terminal(on_reactor("netsuite-uv", ports.plain), environment()) as terminal:
        terminal.wait_for("* calc ready\ncalc>")
        terminal.type("mode f\t")
        terminal.wait_for_prompt("calc> mode fast")
        terminal.type("\r")
        terminal.wait_for("\nit is fast\n")
        terminal.wait_for_prompt("calc> ")
        terminal.type("\x04")
        assert terminal.wait_for_end() == 0


def test_a_reactor_without_one_has_a_bare_prompt(ports: Ports) -> None:
    with on_terminal(on_reactor("epoll", ports.plain), environment()) as terminal:
        terminal.wait_for("* calc ready")
        terminal.wait_for_prompt("calc> ")
        terminal.type("add 1 2\r")
        terminal.wait_for("calc> add 1 2\n3\n")
        terminal.type("quit\r")
        assert terminal.wait_for_end() == 0
    assert b"\x1b" not in terminal.raw


@pytest.fixture
def terminal(ports: Ports) -> Iterator[Terminal]:
    with on_terminal(command(ports.plain), environment()) as found:
        found.wait_for("* calc ready\ncalc>")
        yield found


def test_a_conversation(terminal: Terminal) -> None:
    terminal.wait_for("* calc ready\ncalc>")
    terminal.type("add 1 2\r")
    terminal.wait_for("calc> add 1 2\n3\ncalc>")
    terminal.type("count 3\r")
    terminal.wait_for("0\n1\n2\ncalc>")
    terminal.type("add x 2\r")
    terminal.wait_for('ERR bad-argument a "x"')
    terminal.wait_for_prompt("calc> ")
    terminal.type("\x04")
    assert terminal.wait_for_end() == 0


def test_quit_leaves(terminal: Terminal) -> None:
    terminal.type("quit\r")
    assert terminal.wait_for_end() == 0
    assert "OK" in terminal.text


def test_completion(terminal: Terminal) -> None:
    terminal.type("ad\t")
    terminal.wait_for_prompt("calc> add")
    terminal.type("\x15mode f\t")
    terminal.wait_for_prompt("calc> mode fast")
    terminal.type("\r")
    terminal.wait_for("\nit is fast\n")
    terminal.wait_for_prompt("calc> ")
    terminal.type("c\t")
    terminal.wait_for("channels", "commands", "count", "List the commands for programs")


def test_history(terminal: Terminal) -> None:
    for number in range(2):
        terminal.type(f"add {number} 40\r")
        terminal.wait_for(f"\n{number + 40}\n")
        terminal.wait_for_prompt("calc> ")
    terminal.type("\x1b[A")
    terminal.wait_for_prompt("calc> add 1 40")
    terminal.type("\x1b[A")
    terminal.wait_for_prompt("calc> add 0 40")


def test_a_history_without_secrets(ports: Ports, tmp_path: Path) -> None:
    path = tmp_path / "history"
    for number in range(2):
        with on_terminal(command(ports.login, f"--history={path}"), environment()) as terminal:
            terminal.wait_for("* calc ready\ncalc>")  # whichever was the first
            if not number:
                terminal.type('auth plain me "open sesame"\r')
                terminal.wait_for("auth ***** ** ***** *******\nOK\n")
                assert "sesame" not in terminal.text
                terminal.wait_for_prompt("calc> ")
                terminal.type("add 1 2\r")
                terminal.wait_for("\n3\n")
                terminal.wait_for_prompt("calc> ")
            else:
                terminal.insist("\x1b[A", "calc> add 1 2")  # the file is read meanwhile
                terminal.type("\x1b[A\x15")
                terminal.wait_for_prompt("calc> ")
            terminal.type("\x04")
            assert terminal.wait_for_end() == 0
    assert "add 1 2" in path.read_text()
    assert "sesame" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_control_c_gives_up_the_line(terminal: Terminal) -> None:
    terminal.type("add 1")
    terminal.wait_for_prompt("calc> add 1")
    terminal.type("\x03")
    terminal.wait_for("calc> add 1\ncalc>")
    terminal.type("add 2 2\r")
    terminal.wait_for("\n4\n")


def test_control_c_gives_up_a_command(terminal: Terminal) -> None:
    terminal.type("hang\r")
    terminal.wait_for("* it hangs")
    terminal.type("\x03")
    terminal.wait_for("the connection was dropped; trying again", "connected to 127.0.0.1:")
    terminal.wait_for_prompt("calc> ")
    terminal.type("add 2 2\r")
    terminal.wait_for("\n4\n")


def test_what_the_server_says_by_itself_comes_above_the_prompt(
    terminal: Terminal, ports: Ports
) -> None:
    terminal.type("subscribe news\r")
    terminal.wait_for("\nOK\n")
    terminal.wait_for_prompt("calc> ")
    terminal.type("add 1")
    terminal.wait_for_prompt("calc> add 1")
    assert connect(ports.plain, "-c", "publish news see \x1b[2J").stdout == "1\n"
    terminal.wait_for("* MESSAGE news see \\x1b[2J\n")
    terminal.wait_for_prompt("calc> add 1")
    terminal.type("0 1\r")
    terminal.wait_for("calc> add 10 1\n11\n")


def test_nothing_that_the_server_sends_is_obeyed(terminal: Terminal) -> None:
    terminal.type("escape\r")
    terminal.wait_for("\\x1b[2J\\x1b[Hgone\n")
    terminal.type('tell "\\x1b]0;x"\r')
    terminal.wait_for("* \\x1b]0;x\n")
    assert b"\x1b]0;" not in terminal.raw


def test_nothing_keeps_the_terminal_from_a_command(terminal: Terminal) -> None:
    """A prompt that has asked where the cursor is would wait for the answer, and eat Control-C."""
    terminal.type("add 2 2\r")
    terminal.wait_for("\n4\n")
    terminal.wait_for_prompt("calc> ")
    assert b"\x1b[6n" not in terminal.raw


def test_a_literal_is_asked_for(terminal: Terminal) -> None:
    terminal.type("store k {5}\r")
    terminal.wait_for_prompt("{5}> ")
    terminal.type("ab\r")
    terminal.wait_for_prompt("{2}> ")
    terminal.type("cd\r")
    terminal.wait_for("k: b'ab\\ncd'\n")
    terminal.type("store k {9}\r")
    terminal.wait_for_prompt("{9}> ")
    terminal.type("\x03")
    terminal.wait_for_prompt("calc> ")


def test_a_connection_that_goes_away_is_made_again(terminal: Terminal) -> None:
    terminal.type("vanish\r")
    terminal.wait_for("VANISH: no reply", "trying again", "connected to 127.0.0.1:")
    terminal.wait_for_prompt("calc> ")
    terminal.type("starttls\r")
    terminal.wait_for("STARTTLS: start again with --starttls")
    terminal.type("add 1 2\r")
    terminal.wait_for("\n3\n")


def test_a_password_is_asked_for(ports: Ports) -> None:
    with on_terminal(command(ports.login, "--user=me"), environment()) as terminal:
        terminal.wait_for("Password for me:")
        terminal.type("open sesame\r")
        terminal.wait_for_prompt("calc> ")
        terminal.type("whoami\r")
        terminal.wait_for("calc> whoami\nme\n")
        assert "sesame" not in terminal.text


def test_nobody_is_there() -> None:
    port = free_port()
    with on_terminal(command(port), environment()) as terminal:
        assert terminal.wait_for_end() == 2
        assert "cannot connect: Connection was refused" in terminal.text
        assert "trying again" not in terminal.text


def test_without_prompt_toolkit(ports: Ports, tmp_path: Path) -> None:
    """The bare terminal: no editing, but all the rest."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['prompt_toolkit'] = None\n", encoding="utf-8"
    )
    variables = environment()
    variables["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{variables['PYTHONPATH']}"
    with on_terminal(command(ports.plain), variables) as terminal:
        terminal.wait_for("no line editing: pip install netsuite[shell]", "* calc ready")
        terminal.wait_for_prompt("calc> ")
        terminal.type("add 1 2\r")
        terminal.wait_for("calc> add 1 2\n3\n")
        terminal.wait_for_prompt("calc> ")
        terminal.type("add 4")
        terminal.type("\x03")
        terminal.wait_for("^C\ncalc>")
        terminal.type("subscribe news\r")
        terminal.wait_for("\nOK\n")
        terminal.wait_for_prompt("calc> ")
        assert connect(ports.plain, "-c", "publish news hi").stdout == "1\n"
        terminal.wait_for("* MESSAGE news hi\n")
        terminal.wait_for_prompt("calc> ")
        terminal.type("escape\r")
        terminal.wait_for("\\x1b[2J\\x1b[Hgone\n")
        terminal.type("hang\r")
        terminal.wait_for("* it hangs")
        terminal.type("\x03")
        terminal.wait_for("trying again", "connected to")
        terminal.wait_for_prompt("calc> ")
        terminal.type("\x04")
        assert terminal.wait_for_end() == 0
