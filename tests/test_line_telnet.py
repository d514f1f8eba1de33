"""Line applications over telnet: with people's clients, with scripts, and with raw bytes."""

import asyncio
import signal
import socket
import ssl
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import telnetlib3

from tests.clients import exchange
from tests.running import PATIENCE, RunningService, running, wait_for
from tests.terminal import on_terminal

MIB = 1024 * 1024
IAC, DO, DONT, WILL, WONT = b"\xff", b"\xfd", b"\xfe", b"\xfb", b"\xfc"
ECHO, SUPPRESS_GO_AHEAD, WINDOW_SIZE = b"\x01", b"\x03", b"\x1f"
OFFERS = IAC + DO + WINDOW_SIZE + IAC + WILL + ECHO + IAC + WILL + SUPPRESS_GO_AHEAD
GREETING = b"* calc is ready\r\n"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    """Telnet first, then plain lines."""
    with running(
        tmp_path,
        "--app=tests.line_fronts:app",
        "--listen=tcp:0:interface=127.0.0.1",
        "--telnet=tcp:0:interface=127.0.0.1",
        service="netsuite-line",
    ) as service:
        yield service
        assert "Traceback" not in service.log()


def telnet_port(service: RunningService) -> int:
    return int(service.ports[1])


def connect(service: RunningService) -> socket.socket:
    return socket.create_connection(("127.0.0.1", telnet_port(service)), PATIENCE)


def read_until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        more = connection.recv(65536)
        assert more, f"it ended after {data!r}"
        data += more
    return data


# People.


def test_a_person_with_telnet(service: RunningService) -> None:
    with on_terminal(["telnet", "127.0.0.1", str(telnet_port(service))]) as terminal:
        terminal.wait_for("* calc is ready\ncalc>")
        terminal.type("add 1 2\r")
        terminal.wait_for("calc> add 1 2\n3\ncalc>")
        terminal.type("pai\tr\t\r")
        terminal.wait_for("calc> paint red\nred\ncalc>")
        terminal.type("\x1b[A\x1b[A\x1b[D4\r")
        terminal.wait_for("calc> add 1 42\n43\ncalc>")
        terminal.type("say é漢\r")
        terminal.wait_for("calc> say é漢\né漢\ncalc>")
        terminal.type("secret hush\r")
        terminal.wait_for("calc> secret ****\nOK\ncalc>")
        # What the client has to say besides.
        for said, shown in (("ayt", "* calc is here"), ("synch", ""), ("ip", "^C")):
            terminal.type("\x1d")
            terminal.wait_for_prompt("telnet>")
            terminal.type(f"send {said}\r")
            terminal.wait_for(f"telnet> send {said}", shown)
            terminal.type("\r")
            terminal.wait_for_prompt("calc>")
        terminal.type("add 3 4\r")
        terminal.wait_for("calc> add 3 4\n7\ncalc>")
        terminal.type("fill 1000000000\r")
        terminal.wait_for("x" * 98)
        terminal.type("\x03")
        terminal.wait_for("ERR interrupted FILL was given up\ncalc>")
        terminal.type("quit\r")
        terminal.wait_for("OK", "Connection closed by foreign host.")
        terminal.wait_for_end()


def test_a_program_with_telnetlib3(service: RunningService) -> None:
    async def talk() -> str:
        reader, writer = await telnetlib3.open_connection(
            "127.0.0.1", telnet_port(service), encoding="utf8", cols=60, rows=20
        )
        said = await reader.readuntil(b"calc> ")
        writer.write("pai\tgree\t\r")
        said += await reader.readuntil(b"green\r\n")
        writer.close()
        return bytes(said).decode()

    said = asyncio.run(asyncio.wait_for(talk(), PATIENCE))
    assert "* calc is ready" in said
    assert said.endswith("green\r\n")


# Scripts.


def test_replies_are_those_of_tcp(service: RunningService) -> None:
    script = b"add 1 2\r\nsay .dot\nhelp add\nadd 1\nstore k {3}\r\nabc\r\nfill 20000\n"
    with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as plain:
        expected = exchange(plain, script)
    with connect(service) as raw:
        assert exchange(raw, script) == OFFERS + expected


@pytest.mark.parametrize("command", ["nc", "ncat"])
def test_netcat(service: RunningService, command: str) -> None:
    done = subprocess.run(
        [command, "127.0.0.1", str(telnet_port(service))],
        input=b"add 1 2\nquit\n",
        stdout=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout == OFFERS + GREETING + b"3\r\nOK\r\n"


def test_a_peer_that_refuses_all(service: RunningService) -> None:
    with connect(service) as raw:
        read_until(raw, GREETING)
        refusals = IAC + WONT + WINDOW_SIZE + IAC + DONT + ECHO + IAC + DONT + SUPPRESS_GO_AHEAD
        raw.sendall(refusals + b"add 1 2\r\0\r\n")
        assert b"\r\n" in read_until(raw, b"\r\n")
        raw.sendall(b"add 1 2\r\n")
        assert read_until(raw, b"\n") == b"3\r\n"


def test_bytes_one_by_one(service: RunningService) -> None:
    with connect(service) as raw:
        read_until(raw, GREETING)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in IAC + DO + ECHO + IAC + DO + SUPPRESS_GO_AHEAD + b"add 1 2\r\0":
            raw.sendall(bytes([byte]))
        assert b"3\r\n" in read_until(raw, b"3\r\n\r\0calc> ")


# Peers that would harm.


def test_a_client_that_does_not_read(service: RunningService) -> None:
    def pulled() -> int:
        with socket.create_connection(("127.0.0.1", service.port), PATIENCE) as plain:
            return int(exchange(plain, b"pulled\n").split()[-1])

    before = service.memory()
    agreed = IAC + DO + ECHO + IAC + DO + SUPPRESS_GO_AHEAD
    with connect(service) as script, connect(service) as person:
        script.sendall(b"fill 50000000\r\n")
        person.sendall(agreed + b"fill 50000000\r\0" + b"\t" * 100_000)
        wait_for(pulled, "the first line")

        def stands_still() -> bool:
            seen = {pulled() for _ in range(50)}
            return len(seen) == 1

        wait_for(stands_still, "a pause")
        assert pulled() * 100 < 64 * MIB
        assert service.memory() - before < 32 * MIB


@pytest.mark.parametrize(
    "flood",
    [
        IAC + WILL + b"\x63",
        IAC + b"\xf6",
        IAC + b"\xfa\x1f" + b"x" * 1000,
        IAC + DO + ECHO + IAC + DONT + ECHO,
    ],
    ids=["will", "ayt", "subnegotiation", "echo"],
)
def test_a_flood(service: RunningService, flood: bytes) -> None:
    before = service.memory()
    with connect(service) as raw:
        raw.setblocking(False)
        sent = 0
        try:
            while sent < 20 * MIB:
                sent += raw.send(flood * 1000)
        except BlockingIOError:
            pass
        with connect(service) as other:
            other.sendall(b"add 1 2\r\n")
            assert read_until(other, b"3\r\n")
        assert service.memory() - before < 32 * MIB


# TLS below.


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls(tmp_path: Path, certificate: Path, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=str(certificate / "cert.pem"))
    context.minimum_version = context.maximum_version = version
    with running(
        tmp_path,
        "--app=tests.line_fronts:app",
        "--telnet=tcp:0:interface=127.0.0.1",
        f"--tls-cert={certificate / 'cert.pem'}",
        f"--tls-key={certificate / 'key.pem'}",
        service="netsuite-line",
    ) as service:
        with (
            socket.create_connection(("127.0.0.1", service.port), PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as peer,
        ):
            peer.sendall(b"add 1 2\r\n")
            assert read_until(peer, b"3\r\n") == OFFERS + GREETING + b"3\r\n"
            peer.sendall(b"fill 20000\r\nquit\r\n")
            assert read_until(peer, b"OK\r\n").count(b"x") >= 20000
            assert peer.recv(100) == b""
        assert "Traceback" not in service.log()


def test_a_reset_amid_a_command(service: RunningService, tmp_path: Path) -> None:
    with connect(service) as raw:
        raw.sendall(f'hold "{tmp_path}/never"\r\n'.encode())
        wait_for((tmp_path / "never.held").exists, "the command")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with connect(service) as other:
        assert exchange(other, b"add 1 2\n").endswith(b"3\r\n")


# The daemon.


def test_drain_answers_what_was_begun(service: RunningService, tmp_path: Path) -> None:
    go_on = tmp_path / "go"
    with connect(service) as busy, connect(service) as idle:
        read_until(idle, GREETING)
        busy.sendall(f"hold {go_on}\r\n".encode())
        wait_for(Path(f"{go_on}.held").exists, "the command")
        service.signal(signal.SIGTERM)
        assert idle.recv(100) == b""
        go_on.touch()
        assert read_until(busy, b"held\r\n")
        assert busy.recv(100) == b""
    assert service.wait() == 0
