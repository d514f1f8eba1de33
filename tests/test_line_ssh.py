"""Line applications over SSH, with OpenSSH's client."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.running import PATIENCE, RunningService, running, wait_for
from tests.terminal import on_terminal

MIB = 1024 * 1024
KINDS = ("ed25519", "ecdsa", "rsa")


def make_key(path: Path, kind: str = "ed25519") -> str:
    """Make a key; its public line."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(command, timeout=PATIENCE, check=True)
    return path.with_name(f"{path.name}.pub").read_text().strip()


@dataclass
class Server:
    """A service that listens for SSH, and how to reach it."""

    service: RunningService
    directory: Path
    #: Given to ``ssh`` each time.
    options: list[str] = field(default_factory=list)

    def ssh(self, *arguments: str, user: str = "alice", key: str = "ed25519") -> list[str]:
        """The command line that connects; ``arguments`` come behind the host."""
        options = {
            "UserKnownHostsFile": self.directory / "known_hosts",
            "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "IdentityFile": self.directory / key,
            "BatchMode": "yes",
            "LogLevel": "ERROR",
        }
        given = [f"-o{name}={value}" for name, value in options.items()]
        port = str(self.service.port)
        return [
            "ssh",
            "-F",
            "none",
            *self.options,
            "-p",
            port,
            *given,
            f"{user}@127.0.0.1",
            *arguments,
        ]

    def run(self, *arguments: str, stdin: bytes = b"", **who: str) -> tuple[int, str, str]:
        """Status, output and errors."""
        done = subprocess.run(
            self.ssh(*arguments, **who),
            input=stdin,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        return done.returncode, done.stdout.decode(), done.stderr.decode()


def start(directory: Path, *options: str) -> Iterator[Server]:
    lines = [f'user="alice" {make_key(directory / kind, kind)}' for kind in KINDS]
    make_key(directory / "other")
    (directory / "authorized").write_text(
        "\n".join([*lines, f'user="bob",roles="admin" {lines[0].split(" ", 1)[1]}'])
    )
    # As `htpasswd -nbB carol right` writes it.
    digest = "$2y$05$rDRrGFFmmgtWXiOG8TKhru5zGrExsGlRLi.vdDW46z1nrpbaxzV3i"
    (directory / "passwords").write_text(f"carol:{digest}:admin\n")
    with running(
        directory,
        "--app=tests.line_fronts:app",
        "--ssh=tcp:0:interface=127.0.0.1",
        f"--ssh-host-key={directory}/host",
        "--ssh-generate-host-key",
        f"--ssh-authorized-keys={directory}/authorized",
        f"--password-file={directory}/passwords",
        *options,
        service="netsuite-line",
    ) as service:
        public = (directory / "host.pub").read_text()
        (directory / "known_hosts").write_text(f"[127.0.0.1]:{service.port} {public}")
        yield Server(service, directory)
        assert "Traceback" not in service.log()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from start(tmp_path_factory.mktemp("ssh"))


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    yield from start(tmp_path)


# Commands.


def test_a_command_and_its_status(server: Server) -> None:
    assert server.run("add", "1", "2") == (0, "3\n", "")


def test_an_error_is_status_1(server: Server) -> None:
    status, out, err = server.run("add 1 x")
    assert (status, err) == (1, "")
    assert out.startswith("ERR bad-argument ")


def test_lines_come_as_they_are(server: Server) -> None:
    status, out, _ = server.run("help add")
    assert (status, out.splitlines()[:2]) == (0, ["ADD a b", "Add two numbers."])
    assert not out.endswith(".\n")
    status, out, _ = server.run("fill 30000")
    assert (status, out) == (0, ("x" * 98 + "\n") * 30_000)


def test_standard_input_is_the_literal(server: Server) -> None:
    data = os.urandom(200_000)
    assert server.run("store k {200000}", stdin=data) == (0, "200000\n", "")
    assert server.run("store k {200001}", stdin=data)[0] == 1


def test_on_a_terminal(server: Server) -> None:
    with on_terminal(server.ssh("-tt", "help add")) as terminal:
        assert terminal.wait_for_end() == 0
    assert terminal.lines[:2] == ["ADD a b", "Add two numbers."]


# Scripts.


def test_a_script_gets_what_tcp_gives(server: Server) -> None:
    script = b"add 1 2\nsay .dot\nhelp add\nadd 1\n"
    status, out, _ = server.run("-T", stdin=script)
    lines = out.split("\r\n")
    assert status == 0
    assert lines[:4] == ["* calc is ready", "3", "..dot", "ADD a b"]
    assert lines[-3] == "."
    assert lines[-2].startswith("ERR bad-argument ")


def test_a_long_script_is_answered_whole(server: Server) -> None:
    status, out, _ = server.run("-T", stdin=b"add 1 2\n" * 50_000)
    assert (status, out) == (0, "* calc is ready\r\n" + "3\r\n" * 50_000)


# People.


def test_a_person_at_a_terminal(server: Server) -> None:
    with on_terminal(server.ssh()) as terminal:
        terminal.wait_for_prompt("calc>")
        assert terminal.lines[-2:] == ["* calc is ready", "calc>"]
        terminal.type("add 1 2\r")
        terminal.wait_for("calc> add 1 2\n3\ncalc>")
        # Completion: a name, a list of choices, a choice.
        terminal.type("pai\tg\t\t")
        terminal.wait_for("grey\n")
        terminal.type("y\t\r")
        terminal.wait_for("calc> paint grey\ngrey\ncalc>")
        # History, and editing in the middle.
        terminal.type("\x1b[A\x1b[A")
        terminal.wait_for("grey\ncalc> add 1 2")
        terminal.type("\x1b[D4\r")
        terminal.wait_for("calc> add 1 42\n43\ncalc>")
        terminal.type("say é漢\x7f字\r")
        terminal.wait_for("calc> say é字\né字\ncalc>")
        terminal.type("secret hush\r")
        terminal.wait_for("calc> secret ****\nOK\ncalc>")
        terminal.type("say done\r")
        terminal.wait_for("\ndone\ncalc>")
        terminal.type("\x04")
        assert terminal.wait_for_end() == 0


def test_interrupting_what_does_not_end(server: Server) -> None:
    with on_terminal(server.ssh()) as terminal:
        terminal.wait_for_prompt("calc>")
        terminal.type("fill 1000000000\r")
        terminal.wait_for("x" * 98)
        terminal.type("\x03")
        terminal.wait_for("ERR interrupted FILL was given up")
        terminal.wait_for_prompt("calc>")
        terminal.type("quit\r")
        assert terminal.wait_for_end() == 0


# Coming in.


@pytest.mark.parametrize("key", KINDS)
def test_keys_of_every_kind(server: Server, key: str) -> None:
    assert server.run("who", key=key) == (0, "alice  True 127.0.0.1\n", "")


def test_roles_of_a_key(server: Server) -> None:
    assert server.run("who", user="bob") == (0, "bob admin True 127.0.0.1\n", "")
    assert server.run("reset", user="bob")[0] == 0
    assert server.run("reset")[0] == 1


@pytest.mark.parametrize(
    ("user", "key"), [("alice", "other"), ("mallory", "ed25519"), ("bob", "rsa")]
)
def test_others_stay_out(server: Server, user: str, key: str) -> None:
    status, out, err = server.run("who", user=user, key=key)
    assert (status, out) == (255, "")
    assert "Permission denied" in err


@pytest.mark.parametrize(("password", "status"), [("right", 0), ("wrong", 255)])
def test_passwords(server: Server, tmp_path: Path, password: str, status: int) -> None:
    ask = tmp_path / "ask"
    ask.write_text(f"#!/bin/sh\necho {password}\n")
    ask.chmod(0o700)
    command = server.ssh("who", user="carol", key="other")
    command[1:1] = ["-oNumberOfPasswordPrompts=1", "-oBatchMode=no"]
    environment = {**os.environ, "SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
    done = subprocess.run(
        command, env=environment, capture_output=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == status
    assert done.stdout == (b"carol admin True 127.0.0.1\n" if status == 0 else b"")


def test_another_host_key_is_noticed(server: Server, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{server.service.port} {make_key(tmp_path / 'x')}\n")
    command = server.ssh("who")
    command[1:1] = [f"-oUserKnownHostsFile={known}"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 255


@pytest.mark.parametrize(
    "options",
    [
        ["-oExitOnForwardFailure=yes", "-R0:127.0.0.1:1", "-N"],
        ["-s", "sftp"],
    ],
    ids=["forwarding", "sftp"],
)
def test_what_there_is_not(server: Server, options: list[str]) -> None:
    command = server.ssh()
    host = command.pop()
    arguments = (
        [*command, *options[:-1], host, options[-1]]
        if "-s" in options
        else [*command, *options, host]
    )
    done = subprocess.run(arguments, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode != 0


def test_algorithms_of_the_past(server: Server) -> None:
    for option in (
        "-oCiphers=aes128-cbc",
        "-oMACs=hmac-sha1",
        "-oKexAlgorithms=+diffie-hellman-group14-sha1",
    ):
        command = server.ssh("add 1 2")
        command[1:1] = [option]
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        assert done.returncode == (0 if "+" in option else 255)


# Peers that would harm.


def test_a_client_that_does_not_read(own_server: Server) -> None:
    def pulled() -> int:
        return int(own_server.run("pulled")[1])

    before = own_server.service.memory()
    with subprocess.Popen(own_server.ssh("fill 50000000"), stdout=subprocess.PIPE) as client:
        try:
            wait_for(pulled, "the first line")
            wait_for(lambda: pulled() == pulled(), "a pause")  # a look takes a while
            assert pulled() * 100 < 64 * MIB
            assert own_server.service.memory() - before < 32 * MIB
        finally:
            client.kill()


def test_bytes_that_are_no_ssh(server: Server) -> None:
    for sent in (b"GET / HTTP/1.0\r\n\r\n" * 400, b"SSH-2.0-x\r\n" + os.urandom(300_000)):
        with socket.create_connection(("127.0.0.1", server.service.port), PATIENCE) as raw:
            try:
                raw.sendall(sent)
                while raw.recv(65536):
                    pass
            except ConnectionError:
                pass
    assert server.run("add 1 2")[0] == 0


# The daemon.


def test_several_sessions_of_one_connection(server: Server, tmp_path: Path) -> None:
    master = server.ssh("-N")
    control = f"-oControlPath={tmp_path}/control"
    master[1:1] = ["-oControlMaster=yes", control]
    with subprocess.Popen(master) as running_master:
        try:
            wait_for((tmp_path / "control").exists, "the master's socket")
            command = server.ssh("add 1 2")
            command[1:1] = [control]
            clients = [
                subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
                for _ in range(5)
            ]
            assert [client.communicate(timeout=PATIENCE)[0] for client in clients] == [b"3\n"] * 5
        finally:
            running_master.kill()  # it may miss a signal while it is busy with the last of them


def test_drain_answers_what_was_begun(own_server: Server, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    command = own_server.ssh(f'hold "{go_on}"')
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as client:
        wait_for(Path(f"{go_on}.held").exists, "the command")
        own_server.service.signal(signal.SIGTERM)
        own_server.service.wait_for_log("draining: 1 open")
        go_on.touch()
        out, _ = client.communicate(timeout=PATIENCE)
        assert (client.returncode, out) == (0, b"held\n")
    assert own_server.service.wait() == 0
