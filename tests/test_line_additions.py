"""What options add to a line application: logins, STARTTLS, channels, transcripts; kv and chat."""

import json
import signal
import socket
import ssl
import stat
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from tests.clients import exchange
from tests.running import PATIENCE, RunningService, running, wait_for

APP = "--app=tests.line_program:app"


def connect(service: RunningService) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), PATIENCE)


def ask(connection: socket.socket, line: bytes) -> bytes:
    """The one line that answers another one."""
    connection.sendall(line + b"\r\n")
    answer = b""
    while not answer.endswith(b"\r\n"):
        more = connection.recv(1000)
        assert more, answer
        answer += more
    return answer.removesuffix(b"\r\n")


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """Options for those who may come."""
    (tmp_path / "users").write_text("bob:secret\n")
    (tmp_path / "tokens").write_text(f"sha256:{sha256(b't0ken').hexdigest()} eve\n")
    return ("--password-file=users", "--token-file=tokens")


def test_starttls_and_logins(tmp_path: Path, certificate: Path, files: tuple[str, ...]) -> None:
    context = ssl.create_default_context(cafile=certificate / "cert.pem")
    with running(
        tmp_path,
        *(APP, "--port=0", "--starttls=required", *files, "--transcript=said"),
        *(f"--tls-cert={certificate}/cert.pem", f"--tls-key={certificate}/key.pem"),
        service="netsuite-line",
    ) as service:
        service.wait_for_log(
            f"talk to it: netsuite line connect localhost:{service.port} --starttls"
        )
        with connect(service) as plain:
            refused = b"ERR not-allowed AUTH: expected STARTTLS first"
            assert ask(plain, b"auth plain bob secret") == refused
            assert ask(plain, b"starttls") == b"OK"
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                refused = b"ERR not-allowed ADD: expected AUTH first"
                assert ask(connection, b"add 1 2") == refused
                assert ask(connection, b"auth plain bob secret") == b"OK"
                assert ask(connection, b"add 1 2") == b"3"
                assert ask(connection, b"who") == b"127.0.0.1 secure"
        assert "Traceback" not in service.log()
    said = tmp_path / "said"
    found = [json.loads(line) for line in said.read_text().splitlines()]
    assert [each["text"] for each in found if each["direction"] == "in"] == [
        *("AUTH", "starttls", "add 1 2", "AUTH", "add 1 2", "who")
    ]
    assert stat.S_IMODE(said.stat().st_mode) == 0o600
    assert "secret" not in said.read_text() + service.log()


def test_files_are_read_again(tmp_path: Path, files: tuple[str, ...]) -> None:
    options = (APP, "--port=0", "--plaintext-passwords", *files)
    with running(tmp_path, *options, service="netsuite-line") as service:
        with connect(service) as connection:
            assert ask(connection, b"auth token t0ken") == b"OK"
            (tmp_path / "users").write_text("bob:new\n")
            service.signal(signal.SIGHUP)
            service.wait_for_log("#info] reloaded")
            assert ask(connection, b"add 1 2") == b"3", "who is in stays in"
        with connect(service) as connection:
            assert ask(connection, b"auth plain bob new") == b"OK"
            (tmp_path / "users").write_text("bob\n")
            service.signal(signal.SIGHUP)
            service.wait_for_log(
                f"not reloaded: {tmp_path}/users, line 1: expected USER:PASSWORD or "
                "USER:PASSWORD:ROLE,ROLE; nothing has changed"
            )


def test_passwords_that_are_digests(tmp_path: Path) -> None:
    # As `htpasswd -nbB ann sesame` writes it.
    digest = "$2y$05$ZEEW94T12Cwpt3IbC/kH8OCG91vjn7kFeSkdMVBaLocrqFGKMo8He"
    (tmp_path / "users").write_text(f"ann:{digest}\n")
    options = (APP, "--port=0", "--password-file=users", "--plaintext-passwords")
    with running(tmp_path, *options, service="netsuite-line") as service:
        with connect(service) as connection:
            assert ask(connection, b"auth plain ann simsim").startswith(b"ERR login-failed")
            assert ask(connection, b"auth plain ann sesame") == b"OK"
        (tmp_path / "users").write_text("ann:$apr1$z$z\n")
        service.signal(signal.SIGHUP)
        service.wait_for_log("line 1: a digest that is not bcrypt's: expected $2y$..., as of")


def test_a_transcript_is_moved_away(tmp_path: Path) -> None:
    options = (APP, "--port=0", "--workers=2", "--transcript=said")
    with running(tmp_path, *options, service="netsuite-line") as service:
        service.wait_for_log("ready: line on")  # rather than one of its workers
        for each in ("said", "older"):
            with connect(service) as connection:
                assert ask(connection, b"add 1 2") == b"3"
            assert "add 1 2" in (tmp_path / "said").read_text()
            if each == "said":
                (tmp_path / "said").rename(tmp_path / "older")
                service.signal(signal.SIGHUP)
                # Each of the two workers opens it again.
                wait_for(lambda: service.log().count("#info] reloaded") == 3, "all to reload")
    assert len((tmp_path / "older").read_text().splitlines()) == 2
    assert len((tmp_path / "said").read_text().splitlines()) == 2


def test_channels(tmp_path: Path) -> None:
    options = (APP, "--port=0", "--channels", "--max-subscriptions=1")
    with (
        running(tmp_path, *options, service="netsuite-line") as service,
        connect(service) as reader,
        connect(service) as writer,
    ):
        assert ask(reader, b"subscribe news") == b"OK"
        assert ask(reader, b"subscribe sports").startswith(b"ERR too-many-subscriptions")
        assert ask(writer, b"publish news hello all") == b"1"
        assert reader.recv(100) == b"* MESSAGE news hello all\r\n"


def test_the_cache(tmp_path: Path) -> None:
    options = ("--app=kv", "--port=0", "--memory=10M", "--value-size=5")
    with running(tmp_path, *options, service="netsuite-line") as service, connect(service) as peer:
        assert exchange(peer, b"set a 0 0 5\r\nhello\r\nset b 0 0 6\r\nhello!\r\nget a b\r\n") == (
            b"STORED\r\nSERVER_ERROR object too large for cache\r\nVALUE a 0 5\r\nhello\r\nEND\r\n"
        )


def test_the_chat(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--app=chat", "--port=0", service="netsuite-line") as service,
        connect(service) as ann,
        connect(service) as bob,
    ):
        heard = ann.makefile("rb")
        ann.sendall(b"nick ann\r\njoin kitchen\r\n")
        while (line := heard.readline()) != b"* MESSAGE kitchen -- ann joins\r\n":
            assert line
        bob.sendall(b"nick bob\r\njoin kitchen\r\nsay kitchen tea?\r\n")
        assert heard.readline() == b"* MESSAGE kitchen -- bob joins\r\n"
        assert heard.readline() == b"* MESSAGE kitchen <bob> tea?\r\n"


def test_ssh_within_tls(tmp_path: Path, certificate: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", "key"], cwd=tmp_path, check=True
    )
    (tmp_path / "authorized").write_text(f'user="ann" {(tmp_path / "key.pub").read_text()}')
    tls = f"tlsCert={certificate}/cert.pem:tlsKey={certificate}/key.pem"
    with running(
        tmp_path,
        *("--app=chat", f"--ssh=tcp:0:interface=127.0.0.1:{tls}", "--ssh-host-key=host"),
        *("--ssh-generate-host-key", "--ssh-authorized-keys=authorized"),
        service="netsuite-line",
    ) as service:
        through = f"ProxyCommand=openssl s_client -quiet -connect 127.0.0.1:{service.port}"
        done = subprocess.run(
            [
                *("ssh", "-F", "none", "-i", "key", "-o", "BatchMode=yes", "-o", through),
                *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=known"),
                *("ann@localhost", "MSG ann hello"),
            ],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        told = b"OK\n* MESSAGE @ann <ann> hello\n"
        assert (done.returncode, done.stdout) == (0, told), done.stderr
        assert "Traceback" not in service.log()
