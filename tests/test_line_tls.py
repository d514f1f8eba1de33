"""STARTTLS and logins over real sockets, with TLS clients that are not ours, on both reactors."""

import json
import os
import random
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse

from netsuite.ip import IPSet
from netsuite.line import Limits
from netsuite.line.auth import Authentication, Delay, Tokens
from netsuite.line.starttls import StartTLS
from netsuite.line.transcript import Transcript
from netsuite.net.certificates import ServerCertificates, TLSConfig
from netsuite.net.proxy import ProxyFactory
from tests.line_tls import (
    AUTHORITY,
    OPTIONS,
    Client,
    InMemory,
    Serving,
    ask,
    line_of,
    rest_of,
    secured,
)
from tests.reactors import Building, Plain, World, on_both
from tests.running import PATIENCE, free_port, wait_for
from tests.test_docs import DOCS, commands, run, serving


@on_both
async def test_commands_under_tls(world: World) -> None:
    serving = await Serving(world, greeting="hello").listen()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):

        def talk(connection: socket.socket, version: ssl.TLSVersion = version) -> list[bytes]:
            lines = [line_of(connection), ask(connection, b"MARK 1")]
            tls = secured(connection, version)
            lines += [ask(tls, b"MARK 2"), ask(tls, b"STARTTLS"), ask(tls, b"QUIT")]
            assert rest_of(tls) == b""
            return lines

        refused = b"ERR not-allowed STARTTLS: the connection is secure already\r\n"
        said = await serving.client(talk)
        assert said == [b"* hello\r\n", b"1\r\n", b"2\r\n", refused, b"OK\r\n"]
    await serving.over()
    assert serving.marks == [1, 2, 1, 2]
    assert all(session.secure for session in serving.sessions)


@on_both
async def test_much_under_tls(world: World) -> None:
    """Replies that are more than any buffer, and a peer that reads them late."""
    serving = await Serving(world).listen()
    go_on = threading.Event()

    def talk(connection: socket.socket) -> bytes:
        tls = secured(connection)
        tls.sendall(b"COUNT 2000000\r\nMARK 1\r\nQUIT\r\n")
        assert go_on.wait(PATIENCE)
        return rest_of(tls)

    client = Client(serving.port, talk)
    client.start()
    await world.until(lambda: serving.pulled)
    before = -1
    while before != serving.pulled:  # it does not go on for ever while nobody reads
        before = serving.pulled
        await world.pause(0.2)
    assert 0 < serving.pulled < 2_000_000
    assert serving.marks == []
    go_on.set()
    await world.until(lambda: not client.is_alive(), "the client")
    assert client.error is None
    expected = b"".join(b"%d\r\n" % number for number in range(2_000_000))
    assert client.result == expected + b".\r\n1\r\nOK\r\n"
    await serving.over()


@on_both
async def test_right_behind_the_handshake(world: World) -> None:
    """Commands in the same segment as the end of it."""
    serving = await Serving(world).listen()
    peer = await serving.asked_for_tls()
    client = InMemory(peer)
    await client.shake(b"MARK 1\r\nMARK 2\r\nQUIT\r\n")
    assert await client.read(100) == b"1\r\n2\r\nOK\r\n"
    peer.close()
    await serving.over()


@on_both
async def test_half_close(world: World) -> None:
    """What was asked before the peer's close_notify is answered, then ours comes."""
    serving = await Serving(world).listen()
    peer = await serving.asked_for_tls()
    client = InMemory(peer)
    await client.shake(b"WAIT\r\nMARK 1\r\n")
    await world.until(lambda: serving.waiting)
    await client.close()
    await world.turns()
    assert not serving.sessions[0].ended
    serving.let_go()
    assert await client.read(100) == b"done\r\n1\r\n"
    assert await peer.end() is None
    peer.close()
    await serving.over()


@on_both
async def test_cut_off(world: World) -> None:
    """An end of the stream that TLS does not know of is no end of the commands."""
    serving = await Serving(world).listen()
    peer = await serving.asked_for_tls()
    client = InMemory(peer)
    await client.shake(b"WAIT\r\nMARK 1\r\n")
    await world.until(lambda: serving.waiting)
    peer.socket.shutdown(socket.SHUT_WR)
    await serving.over()
    serving.let_go()
    assert serving.marks == []


@on_both
async def test_a_full_buffer_before_tls(world: World) -> None:
    """Whatever waits to be read when TLS is asked for comes first, and TLS begins after it."""
    for size in range(65_530, 65_540):
        serving = await Serving(world).listen()
        peer = await serving.plain()
        await peer.send(b"BIG %d\r\nSTARTTLS\r\n" % size)
        await world.turns()
        assert await peer.read(size + 4) == bytes(size) + b"OK\r\n"
        client = InMemory(peer)
        await client.shake(b"MARK 1\r\nQUIT\r\n")
        assert await client.read(100) == b"1\r\nOK\r\n"
        peer.close()
        await serving.over()


@on_both
async def test_a_lot_before_tls(world: World) -> None:
    """More than a socket takes."""
    serving = await Serving(world, limits=Limits(buffer=100_000_000)).listen()
    peer = await serving.plain()
    await peer.send(b"BIG 8000000\r\nSTARTTLS\r\n")
    await world.turns(200)
    assert await peer.read(8_000_004) == bytes(8_000_000) + b"OK\r\n"
    client = InMemory(peer)
    await client.shake(b"COUNT 100000\r\nQUIT\r\n")
    answer = await client.read(10_000_000)
    assert answer.endswith(b"99999\r\n.\r\nOK\r\n")
    peer.close()
    await serving.over()


@on_both
async def test_a_push_before_the_handshake(world: World) -> None:
    serving = await Serving(world).listen()
    peer = await serving.asked_for_tls()
    assert serving.sessions[0].send("news")
    await world.turns()
    assert not peer.has(), "nothing of it in plain text"
    client = InMemory(peer)
    await client.shake(b"MARK 1\r\n")
    assert await client.read(11) == b"* news\r\n1\r\n"
    peer.close()
    await serving.over()


@on_both
async def test_lost_in_the_handshake(world: World) -> None:
    serving = await Serving(world).listen()
    for last in (lambda peer: peer.close(), lambda peer: peer.reset()):
        peer = await serving.asked_for_tls()
        await peer.send(InMemory(peer).hello()[:100])
        await world.turns()
        last(peer)
        await serving.over()


@on_both
async def test_drained_under_tls(world: World) -> None:
    """What was begun is answered."""
    serving = await Serving(world).listen()
    peer = await serving.asked_for_tls()
    client = InMemory(peer)
    await client.shake(b"WAIT\r\n")
    await world.until(lambda: serving.waiting)
    connection: Any = serving.sessions[0]._line
    connection.end_of_input()
    serving.let_go()
    assert await client.read(100) == b"done\r\n"
    peer.close()
    await serving.over()


# What somebody on the way puts in.


@on_both
async def test_injected_behind_it(world: World) -> None:
    """In one segment: it is refused, and TLS never begins."""
    serving = await Serving(world).listen()
    for spelling in (b"STARTTLS", b"starttls", b"st", b" StartT "):
        peer = await serving.plain()
        await peer.send(spelling + b"\r\nMARK 1\r\n")
        assert await peer.end() is None
        expected = b"ERR not-allowed TLS: expected nothing behind the command before its reply\r\n"
        assert peer.received == expected, spelling
        peer.close()
    await serving.over()
    assert serving.marks == []


@pytest.mark.parametrize("hello", [False, True])
@pytest.mark.parametrize("running", [b"WAIT\r\n", b"PWAIT\r\nPWAIT\r\n"])
@on_both
async def test_injected_while_a_command_runs(world: World, running: bytes, hello: bool) -> None:
    """In segments of its own; whether or not the kernel still has it when TLS begins."""
    serving = await Serving(world).listen()
    peer = await serving.plain()
    await peer.send(running)
    await world.until(lambda: serving.waiting)
    await peer.send(b"startt\r\n")
    await world.turns()
    await peer.send(b"MARK 1\r\n")
    if hello:
        await peer.send(InMemory(peer).hello())
    await world.turns()
    serving.let_go()
    await peer.end()
    peer.close()
    await serving.over()
    assert serving.marks == []


@on_both
async def test_injected_before_the_handshake(world: World) -> None:
    """Behind OK, and in front of what the client says, or in the middle of that."""
    for at in (0, 1, 5, 100):
        serving = await Serving(world).listen()
        peer = await serving.asked_for_tls()
        hello = InMemory(peer).hello()
        await peer.send(hello[:at] + b"MARK 1\r\n" + hello[at:])
        await world.turns()
        if at == 100:  # it may wait for the rest of a hello that has grown
            peer.socket.shutdown(socket.SHUT_WR)
        await peer.end()
        peer.close()
        await serving.over()
        assert serving.marks == []


@on_both
async def test_injected_anyhow(world: World) -> None:
    """Cut anywhere, with anything going on."""
    chance = random.Random(7)
    serving = await Serving(world).listen()
    for _ in range(60):
        peer = await serving.plain()
        before = b"".join(
            chance.choice([b"MARK 0\r\n", b"PWAIT\r\n", b"WAIT\n", b"\n", b"?\r\n"])
            for _ in range(chance.randrange(4))
        )
        hello = InMemory(peer).hello() if chance.random() < 0.5 else b""
        spelling = chance.choice([b"STARTTLS\r\n", b"STARTTLS\n", b"sta\n", b"STARTTLS \r\n"])
        behind = chance.choice([b"MARK 1\r\n", b"\r\nMARK 1\n", b"MARK 1\nMARK 1\n"])
        data = before + spelling + behind + hello
        most = len(data) if chance.random() < 0.3 else 12
        while data:
            size = chance.randint(1, most)
            with suppress(ConnectionError):
                await peer.send(data[:size])
            data = data[size:]
            if chance.random() < 0.3:
                await world.turns(3)
            if chance.random() < 0.3:
                serving.let_go()
        while not peer.ended:
            serving.let_go()
            if not peer.take():
                await world.pause()
        peer.close()
    await serving.over()
    assert set(serving.marks) <= {0}


# Who it is.


@on_both
async def test_login_after_tls(world: World, tmp_path: Path) -> None:
    """The whole of it: TLS first, then a password, then what that allows; and all on record."""
    transcript = Transcript(tmp_path / "transcript")
    serving = Serving(world, StartTLS(OPTIONS, required=True))
    serving.app.add(transcript)
    checker = InMemoryUsernamePasswordDatabaseDontUse(bob=b"hunter2")
    tokens = Tokens()
    tokens.add("t0psecret", "ci", ["other"])
    roles = {"bob": ["admin"]}
    serving.app.add(Authentication([checker], tokens=tokens, roles=roles, delay=Delay(first=0.01)))
    await serving.listen()

    def talk(connection: socket.socket) -> list[bytes]:
        lines = [ask(connection, b"AUTH PLAIN bob hunter2"), ask(connection, b"MARK 1")]
        tls = secured(connection)
        said = (
            b"MARK 1",
            b"AUTH PLAIN bob hunter1",
            b"AUTH PLAIN bob hunter2",
            b"MARK 2",
            b"HALT",
            b"LOGOUT",
            b"AUTH TOKEN t0psecret",
            b"HALT",
            b"QUIT",
        )
        return [*lines, *(ask(tls, line) for line in said)]

    said = await serving.client(talk)
    await serving.over()
    transcript.close()
    assert [line.rstrip() for line in said] == [
        b"ERR not-allowed AUTH: expected STARTTLS first",
        b"ERR not-allowed MARK: expected STARTTLS first",
        b"ERR not-allowed MARK: expected AUTH first",
        b"ERR login-failed AUTH: no such user, password or token",
        b"OK",
        b"2",
        b"halted",
        b"OK",
        b"OK",
        b"ERR not-allowed HALT is not for you",
        b"OK",
    ]
    recorded = (tmp_path / "transcript").read_text()
    assert "hunter" not in recorded
    assert "t0psecret" not in recorded
    records = [json.loads(line) for line in recorded.splitlines()]
    told = [each["text"].encode() for each in records if each["direction"] == "out"]
    assert told == [line.rstrip() for line in said[:2]] + [b"OK"] + [x.rstrip() for x in said[2:]]
    assert [each["user"] for each in records if each["text"] == "HALT"] == ["bob", "ci"]


@on_both
async def test_tls_ends_the_login(world: World) -> None:
    serving = Serving(world)
    tokens = Tokens()
    tokens.add("t0p", "ci", ["admin"])
    serving.app.add(Authentication(tokens=tokens))
    await serving.listen()

    def talk(connection: socket.socket) -> list[bytes]:
        lines = [ask(connection, b"AUTH TOKEN t0p"), ask(connection, b"HALT")]
        tls = secured(connection)
        return [*lines, ask(tls, b"HALT"), ask(tls, b"WHOAMI"), ask(tls, b"AUTH TOKEN t0p")]

    said = await serving.client(talk)
    expected = [b"OK", b"halted", b"ERR not-allowed", b"ERR not-allowed", b"OK"]
    assert [line[: len(start)] for line, start in zip(said, expected, strict=True)] == expected
    await serving.over()


@on_both
async def test_guesses_on_real_time(world: World) -> None:
    """Sent at once, checked one after the other, and cut off by the client in the end."""
    serving = Serving(world)
    tokens = Tokens()
    tokens.add("t0p", "ci")
    delay = Delay(first=0.05, most=0.1)
    serving.app.add(Authentication(tokens=tokens, delay=delay, attempts=4))
    await serving.listen()
    peer = await serving.plain()
    began = world.reactor.seconds()
    await peer.send(b"AUTH TOKEN no\r\n" * 100)
    await peer.end()
    assert peer.received.count(b"login-failed") == 4
    assert world.reactor.seconds() - began > 0.4
    peer.close()
    peer = await serving.plain()
    await peer.send(b"AUTH TOKEN no\r\n")
    await world.turns()
    peer.close()
    await serving.over()


# Certificates, and what is below.


@on_both
async def test_certificates_that_are_replaced(world: World, tmp_path: Path) -> None:
    path = tmp_path / "cert.pem"
    first, second = AUTHORITY.issue(["localhost"]), AUTHORITY.issue(["localhost"])
    path.write_bytes(first.pem)
    path.chmod(0o600)
    certificates = ServerCertificates(TLSConfig(cert=path))
    serving = await Serving(world, StartTLS(certificates)).listen()

    def talk(connection: socket.socket) -> int:
        tls = secured(connection)
        assert ask(tls, b"MARK 1") == b"1\r\n"
        shown = tls.getpeercert()
        assert shown is not None
        return int(str(shown["serialNumber"]), 16)

    assert await serving.client(talk) == first.certificate.serial_number
    path.write_bytes(second.pem)
    certificates.reload()
    assert await serving.client(talk) == second.certificate.serial_number
    await serving.over()


@on_both
async def test_unix_sockets_need_none(world: World, tmp_path: Path) -> None:
    serving = Serving(world, StartTLS(OPTIONS, required=True))
    path = str(tmp_path / "socket")
    build = partial(serving.factory.buildProtocol, None)
    port = world.reactor.listenUNIX(path, Building(build))
    world.closing(port.stopListening)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.connect(path)
        peer = Plain(world, unix)
        await peer.send(b"MARK 1\r\nSTARTTLS\r\nQUIT\r\n")
        await peer.end()
        refused = b"ERR not-allowed STARTTLS: the connection is secure already"
        assert peer.received.split(b"\r\n") == [b"1", refused, b"OK", b""]
    await serving.over()


@on_both
async def test_behind_a_proxy(world: World) -> None:
    """The PROXY protocol first, then plain text, then TLS."""
    serving = Serving(world)
    proxied = ProxyFactory(serving.factory, IPSet(["127.0.0.1"]), world.reactor)
    port = world.reactor.listenTCP(0, proxied, interface="127.0.0.1")
    world.closing(port.stopListening)
    serving.port = port.getHost().port

    def talk(connection: socket.socket) -> bytes:
        connection.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n")
        tls = secured(connection)
        return ask(tls, b"MARK 1")

    assert await serving.client(talk) == b"1\r\n"
    assert serving.sessions[0].host == "192.0.2.7"
    await serving.over()


# OpenSSL's own client.


@contextmanager
def s_client(port: int, directory: Path, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    """``openssl s_client``, which asks for TLS as it does of a mail server."""
    authority = directory / "authority.pem"
    authority.write_bytes(AUTHORITY.pem)
    command = [
        *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-starttls", "smtp"),
        *("-CAfile", str(authority), "-verify_return_error", "-verify_hostname", "localhost"),
        *("-brief", *options),
    ]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdin
        os.set_blocking(process.stdout.fileno(), False)
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@on_both
async def test_openssl(world: World, tmp_path: Path, version: str) -> None:
    """Its SMTP is a greeting, EHLO, STARTTLS: the reply is all that it waits for."""
    serving = Serving(world, greeting="hello")

    @serving.app.command()
    def ehlo(name: str) -> bytes:
        return b"250 STARTTLS\r\n"

    await serving.listen()
    with s_client(serving.port, tmp_path, version) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"MARK 1\nCOUNT 3\nWHOAMI\nQUIT\n")
        process.stdin.flush()
        heard = bytearray()

        def ended() -> bool:
            assert process.stdout
            heard.extend(process.stdout.read() or b"")
            return process.poll() is not None

        await world.until(ended, "openssl")
        heard.extend(process.stdout.read() or b"")
        assert process.stderr
        told = process.stderr.read()
    assert b"Verification: OK" in told, told
    expected = b"1\r\n0\r\n1\r\n2\r\n.\r\nERR unknown-command"
    assert heard.startswith(expected), bytes(heard)
    assert heard.endswith(b"OK\r\n")
    await serving.over()
    assert serving.marks == [1]


def test_the_page_says_so(tmp_path: Path) -> None:
    """The example of the documentation, and what openssl makes of it."""
    (server, _), (client, shown) = commands(DOCS / "line-auth.rst")
    (tmp_path / "docs").symlink_to(DOCS)
    port = free_port()
    command = [*server.split(), f"tcp:{port}:interface=127.0.0.1"]
    with serving(tmp_path, command, port) as (process, log):
        wait_for(lambda: "ready: " in log.read_text(), "the ready line")
        said = run(client.replace("localhost:9000", f"127.0.0.1:{port}"), tmp_path)
        assert said.replace("\r\n", "\n") == shown
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    assert "Traceback" not in log.read_text()
    assert "sesame" not in log.read_text()
    recorded = (tmp_path / "vault.jsonl").read_text()
    assert "ann has opened door 7" in recorded
    assert "sesame" not in recorded
