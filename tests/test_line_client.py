"""The client of line protocols over real sockets, on both reactors."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.ssl import (
    Certificate,
    DefaultOpenSSLContextFactory,
    optionsForClientTLS,
    trustRootFromCertificates,
)

from netsuite.line import LineApp, LineFactory
from netsuite.line.auth import Authentication
from netsuite.line.channels import Channels
from netsuite.line.client import (
    LineClient,
    LineConnectionError,
    LineError,
    LineTimeoutError,
    Message,
)
from netsuite.line.starttls import StartTLS
from tests.reactors import Building, Recorder, World, on_both, stopped

#: Lines of a long reply, and characters of each: more than the buffers on the way hold.
MANY, WIDE = 100_000, 200


class Service:
    """An application on a port that can go away and come back.

    :ivar pulled: lines that were asked of ``COUNT``.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._protocols: list[Any] = []
        self._port: Any = None
        self.number = 0
        self.pulled = 0
        self.channels = Channels()
        self.app = LineApp("test", greeting="welcome")
        self.app.add(self.channels)

        @self.app.command()
        def add(a: int, b: int) -> int:
            return a + b

        @self.app.command()
        def count(upto: int) -> Iterator[str]:
            for self.pulled in range(upto):
                yield f"{self.pulled:0{WIDE}}"

    def build(self) -> Any:
        protocol = LineFactory(self.app, self._world.reactor).buildProtocol(None)
        self._protocols.append(protocol)
        return protocol

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._port = self._world.reactor.listenTCP(
            self.number, Building(self.build), interface="127.0.0.1"
        )
        self.number = self._port.getHost().port
        self._world.closing(self.stop_listening)

    def stop_listening(self) -> Any:
        port, self._port = self._port, None
        return None if port is None else port.stopListening()

    async def stop(self) -> None:
        """Be gone, connections and all."""
        await self.stop_listening()
        for each in self._protocols:
            if each.transport.connected:
                each.transport.abortConnection()

    def endpoint(self) -> TCP4ClientEndpoint:
        return TCP4ClientEndpoint(self._world.reactor, "127.0.0.1", self.number)

    def client(self, endpoint: Any = None, **options: Any) -> LineClient:
        options.setdefault("retry", lambda _: 0.02)
        chosen = self.endpoint() if endpoint is None else endpoint
        return LineClient(chosen, reactor=self._world.reactor, **options)


async def serve(world: World) -> Service:
    service = Service(world)
    await service.start()
    return service


@on_both
async def test_a_thousand_calls_at_once(world: World) -> None:
    service = await serve(world)
    async with service.client() as client:
        calls = [client.call("ADD", each, each) for each in range(1000)]
        assert [await each for each in calls] == [str(2 * each) for each in range(1000)]


@on_both
async def test_closing_as_soon_as_it_is_connected(world: World) -> None:
    service = await serve(world)
    async with service.client():
        pass
    with pytest.raises(ZeroDivisionError):
        async with service.client():
            raise ZeroDivisionError
    client = service.client()
    await client.connect().addCallback(lambda _: client.close())


@on_both
async def test_more_calls_than_may_be_on_their_way(world: World) -> None:
    service = await serve(world)
    async with service.client(max_in_flight=7) as client:
        calls = [client.call("ADD", each, each) for each in range(1000)]
        assert [await each for each in calls] == [str(2 * each) for each in range(1000)]


@on_both
async def test_a_server_that_goes_away_and_comes_back(world: World) -> None:
    service = await serve(world)
    lost: list[Exception] = []
    connected: list[None] = []
    client = service.client(on_lost=lost.append, on_connect=lambda: connected.append(None))
    async with client:
        assert await client.call("ADD", 1, 2) == "3"
        await service.stop()
        # Once because it is lost, and then because nobody listens.
        await world.until(lambda: len(lost) > 2)
        assert "the connection was lost" in str(lost[0])
        assert "cannot connect: Connection was refused" in str(lost[1])
        call = client.call("ADD", 2, 2)
        await service.start()
        assert await call == "4"
        assert len(connected) == 2


@on_both
async def test_subscriptions_outlive_a_connection(world: World) -> None:
    service = await serve(world)
    found: list[Message] = []
    async with service.client() as client:
        subscription = await client.subscribe("news")
        await client.subscribe("other", found.append)
        service.channels.publish("news", "one")
        assert await anext(subscription) == ("news", "one")
        await service.stop()
        await world.until(lambda: not service.channels.counts())
        await service.start()
        await world.until(lambda: service.channels.counts() == {"news": 1, "other": 1})
        service.channels.publish("news", "two")
        service.channels.publish("other", "too")
        assert await anext(subscription) == ("news", "two")
        await world.until(lambda: found)
        await subscription.close()
        assert service.channels.counts() == {"other": 1}
    assert found == [("other", "too")]


@on_both
async def test_a_slow_consumer_of_a_long_reply(world: World) -> None:
    service = await serve(world)
    async with service.client() as client:
        stream = client.stream("COUNT", MANY)
        assert int(await anext(stream)) == 0
        pulled = -1
        while pulled != service.pulled:  # until the server cannot send any more
            pulled = service.pulled
            await world.pause(0.05)
        assert 0 < pulled < MANY - 1
        number = 1
        async for line in stream:
            assert int(line) == number
            number += 1
        assert number == MANY
        assert await client.call("ADD", 1, 2) == "3"


@on_both
async def test_a_server_that_never_answers(world: World) -> None:
    server = Recorder()
    port = await world.listen(lambda: server)
    endpoint = TCP4ClientEndpoint(world.reactor, "127.0.0.1", port.getHost().port)
    client = LineClient(endpoint, reactor=world.reactor, reconnect=False)
    await client.connect()
    first = client.call("A", timeout=0.5)
    second = client.call("B")
    await world.until(lambda: server.received == b"A\r\nB\r\n")
    for call, kind in ((first, LineTimeoutError), (second, LineConnectionError)):
        with pytest.raises(kind):
            await call
    await world.until(lambda: server.lost)
    await client.close()
    await stopped(port)


@on_both
async def test_a_server_that_does_not_read(world: World) -> None:
    peers: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = TCP4ClientEndpoint(world.reactor, "127.0.0.1", listener.getsockname()[1])
        client = LineClient(endpoint, reactor=world.reactor, max_in_flight=10**6, timeout=None)
        await client.connect()
        peers.append(listener.accept()[0])
    calls = [client.call("A", "x" * 8000) for _ in range(4000)]  # 32 MB
    for each in calls:
        each.addErrback(lambda _: None)
    for _ in range(5):
        await world.pause(0.01)
    sent = 4000 - len(client._waiting)
    assert sent < 3000, "the rest waits here, not in the transport"
    closed = client.close()
    peers[0].close()
    await closed


def trust(certificate: Path) -> Any:
    pem = (certificate / "cert.pem").read_bytes()
    return trustRootFromCertificates([Certificate.loadPEM(pem)])


def context(certificate: Path) -> DefaultOpenSSLContextFactory:
    return DefaultOpenSSLContextFactory(str(certificate / "key.pem"), str(certificate / "cert.pem"))


@on_both
async def test_tls(world: World, certificate: Path) -> None:
    service = Service(world)
    port = world.reactor.listenSSL(
        0, Building(service.build), context(certificate), interface="127.0.0.1"
    )
    plain = HostnameEndpoint(world.reactor, "127.0.0.1", port.getHost().port)
    good = optionsForClientTLS("localhost", trustRoot=trust(certificate))
    async with service.client(wrapClientTLS(good, plain)) as client:
        assert await client.call("ADD", 1, 2) == "3"
    lost: list[Exception] = []
    distrusting = wrapClientTLS(optionsForClientTLS("localhost"), plain)
    client = service.client(distrusting, on_lost=lost.append, timeout=None)
    call = client.call("ADD", 1, 2)
    with pytest.raises(LineConnectionError, match="certificate verify failed"):
        await client.connect()
    await world.until(lambda: len(lost) > 2)
    call.cancel()
    call.addErrback(lambda _: None)
    await client.close()
    await stopped(port)


@on_both
async def test_starttls(world: World, certificate: Path) -> None:
    service = Service(world)
    service.app.add(StartTLS(context(certificate), required=True))
    await service.start()
    good = optionsForClientTLS("localhost", trustRoot=trust(certificate))
    endpoint = HostnameEndpoint(world.reactor, "127.0.0.1", service.number)
    async with service.client(endpoint, start_tls=good) as client:
        calls = [client.call("ADD", each, 1) for each in range(100)]
        assert [await each for each in calls] == [str(each + 1) for each in range(100)]
        await service.stop()
        await world.until(lambda: not client.is_connected)
        await service.start()
        assert await client.call("ADD", 1, 2) == "3"
    async with service.client() as client:
        with pytest.raises(LineError, match="not-allowed"):
            await client.call("ADD", 1, 2)
    lost: list[Exception] = []
    client = service.client(start_tls=optionsForClientTLS("localhost"), on_lost=lost.append)
    client.startService()
    await world.until(lambda: lost)
    assert "certificate verify failed" in str(lost[0])
    await client.close()


class Checker:
    """Knows one user."""

    credentialInterfaces = (IUsernamePassword,)

    def requestAvatarId(self, credentials: Any) -> Any:
        if (credentials.username, credentials.password) == (b"me", b"open sesame"):
            return b"me"
        raise UnauthorizedLogin


@on_both
async def test_a_login_by_a_unix_socket(world: World, tmp_path: Path) -> None:
    service = Service(world)
    service.app.add(Authentication([Checker()]))  # type: ignore[list-item]  # it is one
    path = str(tmp_path / "socket")
    port = world.reactor.listenUNIX(path, Building(service.build))
    endpoint = UNIXClientEndpoint(world.reactor, path)
    async with service.client(endpoint, user="me", password="open sesame") as client:
        assert await client.call("WHOAMI") == "me"
        assert (await client.commands()).app == "test"
    await stopped(port)
