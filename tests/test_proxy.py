"""Servers behind the PROXY protocol: real sockets, curl, and HAProxy in front of them."""

import socket
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import pytest
import pytest_twisted  # type: ignore[import-untyped]  # it has no types
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.internet.threads import deferToThread
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site

from netsuite.echo import EchoFactory
from netsuite.echo.protocol import EchoProtocol
from netsuite.ip import IPSet
from netsuite.net.endpoints import address_text
from netsuite.net.proxy import (
    ProxyAddress,
    ProxyFactory,
    ProxyHeader,
    encode_v1,
    encode_v2,
    proxy_header,
)
from netsuite.net.tls import TLSFactory
from tests.clients import TLSExchange, exchange, payload, read_all
from tests.running import PATIENCE, wait_for

P = ParamSpec("P")
T = TypeVar("T")

LOOPBACK = IPSet(["127.0.0.0/8", "::1"])
HEADER4 = ProxyHeader(
    source=ProxyAddress(ip_address("192.0.2.1"), 1234),
    destination=ProxyAddress(ip_address("198.51.100.1"), 443),
)
HEADER6 = ProxyHeader(
    source=ProxyAddress(ip_address("2001:db8::1"), 1234),
    destination=ProxyAddress(ip_address("2001:db8::2"), 443),
)
HEADERS = {
    "v1-ipv4": (encode_v1(HEADER4), b"192.0.2.1:1234 198.51.100.1:443\n"),
    "v1-ipv6": (encode_v1(HEADER6), b"[2001:db8::1]:1234 [2001:db8::2]:443\n"),
    "v2-ipv4": (encode_v2(HEADER4, checksum=True), b"192.0.2.1:1234 198.51.100.1:443\n"),
    "v2-ipv6": (encode_v2(HEADER6), b"[2001:db8::1]:1234 [2001:db8::2]:443\n"),
    "v2-unix": (encode_v2(ProxyHeader(source=b"", destination=b"/a")), b"unix: unix:/a\n"),
}
EACH_HEADER = pytest.mark.parametrize(("header", "line"), HEADERS.values(), ids=HEADERS)


def asynchronous(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on the reactor."""
    return cast("Callable[P, None]", pytest_twisted.ensureDeferred(test))


class Greeting(EchoProtocol):
    """Says whom it talks to once the peer has said something, then echoes."""

    greeted = False

    def connectionMade(self) -> None:
        super().connectionMade()
        self.ends = (self.transport.getPeer(), self.transport.getHost())
        factory = self.factory
        assert isinstance(factory, GreetingFactory)
        factory.headers.append(proxy_header(self.transport))

    def greet(self) -> None:
        if not self.greeted:
            self.greeted = True
            self.transport.write(" ".join(map(address_text, self.ends)).encode() + b"\n")

    def dataReceived(self, data: bytes) -> None:
        self.greet()
        super().dataReceived(data)

    def readConnectionLost(self) -> None:
        self.greet()
        super().readConnectionLost()


class GreetingFactory(EchoFactory):
    protocol = Greeting

    def __init__(self) -> None:
        super().__init__()
        self.headers: list[ProxyHeader | None] = []


class Server:
    """What listens, and what has come to it."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self.greeting = GreetingFactory()
        self._ports: list[Any] = []

    def listen(self, factory: Any = None, trusted: IPSet = LOOPBACK, **options: Any) -> int:
        """The port number, on 127.0.0.1, of a factory behind the PROXY protocol."""
        self.factory = ProxyFactory(factory or self.greeting, trusted, self.reactor, **options)
        port = self.reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self._ports.append(port)
        number: int = port.getHost().port
        return number

    def listen_unix(self, path: Path) -> None:
        self.factory = ProxyFactory(self.greeting, IPSet(), self.reactor)
        self._ports.append(self.reactor.listenUNIX(str(path), self.factory))

    async def blocking(self, client: Callable[..., T], *arguments: Any) -> T:
        """Run a client that blocks, beside the reactor."""
        result: T = await deferToThread(client, *arguments).addTimeout(PATIENCE, self.reactor)
        return result

    async def stop(self) -> None:
        for port in self._ports:
            await port.stopListening()


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]  # it has no types
async def server() -> Any:
    from twisted.internet import reactor

    server = Server(reactor)
    yield server
    await server.stop()


def connect(where: int | Path) -> socket.socket:
    if isinstance(where, Path):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(where))
    else:
        connection = socket.create_connection(("127.0.0.1", where))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(PATIENCE)
    return connection


def send_and_close(where: int | Path, data: bytes) -> bytes:
    """Send all of it and half-close; what comes back."""
    with connect(where) as connection:
        return exchange(connection, data)


def send_byte_by_byte(where: int, data: bytes) -> bytes:
    with connect(where) as connection:
        for place in range(len(data)):
            connection.sendall(data[place : place + 1])
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def send_and_wait(where: int, data: bytes) -> bytes:
    """Send, and read until the server closes or resets."""
    with connect(where) as connection:
        received = b""
        with suppress(ConnectionError):
            connection.sendall(data)
            while block := connection.recv(4096):
                received += block
        return received


# Our own clients.


@EACH_HEADER
@asynchronous
async def test_header_and_payload_at_once(server: Server, header: bytes, line: bytes) -> None:
    port = server.listen()
    assert await server.blocking(send_and_close, port, header + b"hello") == line + b"hello"


@EACH_HEADER
@asynchronous
async def test_header_and_end_at_once(server: Server, header: bytes, line: bytes) -> None:
    """The half-close that comes with the header is the protocol's."""
    port = server.listen()
    assert await server.blocking(send_and_close, port, header) == line


@EACH_HEADER
@asynchronous
async def test_byte_by_byte(server: Server, header: bytes, line: bytes) -> None:
    port = server.listen()
    assert await server.blocking(send_byte_by_byte, port, header + b"hello") == line + b"hello"


@asynchronous
async def test_many_bytes_behind_it(server: Server) -> None:
    data = payload(16 * 1024 * 1024)
    header, line = HEADERS["v2-ipv4"]
    assert await server.blocking(send_and_close, server.listen(), header + data) == line + data
    assert server.greeting.counters.active == 0


@asynchronous
async def test_unix_socket(server: Server, tmp_path: Path) -> None:
    server.listen_unix(tmp_path / "socket")
    header, line = HEADERS["v2-ipv6"]
    assert await server.blocking(send_and_close, tmp_path / "socket", header + b"x") == line + b"x"


@asynchronous
async def test_a_protocol_that_pauses_at_first(server: Server) -> None:
    """As one does that must connect elsewhere before it can take anything."""
    turns: list[bytes] = []

    class Later(Greeting):
        ready = False

        def connectionMade(self) -> None:
            super().connectionMade()
            self.transport.pauseProducing()
            server.reactor.callLater(0.05, self.go)

        def go(self) -> None:
            self.ready = True
            self.transport.resumeProducing()
            turns.append(b"resumed")

        def dataReceived(self, data: bytes) -> None:
            assert self.ready
            turns.append(data)
            super().dataReceived(data)

    server.greeting.protocol = Later
    header, line = HEADERS["v1-ipv4"]
    data = payload(1024 * 1024)
    assert await server.blocking(send_and_close, server.listen(), header + data) == line + data
    assert turns[0] == b"resumed"
    assert b"".join(turns[1:]) == data


# Refusals.


@asynchronous
async def test_timeout(server: Server) -> None:
    port = server.listen(timeout=0.1)
    for data in (b"", b"PROXY ", HEADERS["v2-ipv4"][0][:-1]):
        assert await server.blocking(send_and_wait, port, data) == b""
    assert server.factory.refusals == {"proxy_timeout": 3}
    assert server.greeting.counters.opened == 0


@asynchronous
async def test_no_header(server: Server) -> None:
    port = server.listen()
    for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00", b"PROXY TCP4\r\n"):
        assert await server.blocking(send_and_wait, port, data) == b""
    assert server.factory.refusals == {"proxy_header": 3}


@asynchronous
async def test_a_header_that_ends_early(server: Server) -> None:
    port = server.listen()
    assert await server.blocking(send_and_close, port, b"PROXY TCP4 192.0.2.1") == b""
    assert server.factory.refusals == {"proxy_header": 1}
    assert await server.blocking(send_and_close, port, b"") == b""
    assert server.factory.refusals == {"proxy_header": 1}


@asynchronous
async def test_untrusted_source(server: Server) -> None:
    port = server.listen(trusted=IPSet(["192.0.2.0/24"]))
    assert await server.blocking(send_and_wait, port, HEADERS["v1-ipv4"][0]) == b""
    assert server.factory.refusals == {"proxy_source": 1}


@asynchronous
async def test_refused_by_the_factory(server: Server) -> None:
    class Full(GreetingFactory):
        def buildProtocol(self, addr: Any) -> Any:
            return None

    port = server.listen(Full())
    header = HEADERS["v1-ipv4"][0]
    assert await server.blocking(send_and_wait, port, header + b"hello") == b""
    assert server.factory.refusals == {}


# TLS behind the header.


class Prefixed(socket.socket):
    """A connection whose first segment has a PROXY header in front."""

    prefix = b""

    def sendall(self, data: Any, /, flags: int = 0) -> None:
        prefix, self.prefix = self.prefix, b""
        super().sendall(prefix + bytes(data), flags)


def tls_exchange(port: int, header: bytes, data: bytes) -> bytes:
    with Prefixed(socket.AF_INET) as connection:
        connection.prefix = header
        connection.connect(("127.0.0.1", port))
        connection.settimeout(PATIENCE)
        done = TLSExchange(connection, data, close_notify=True, fin=False)
        assert done.saw_close
        return done.received


@EACH_HEADER
@asynchronous
async def test_tls(server: Server, certificate: Path, header: bytes, line: bytes) -> None:
    """The ClientHello comes in the header's segment; half-close goes through both."""
    port = server.listen(tls_factory(server, server.greeting, certificate))
    data = payload(100_000)
    assert await server.blocking(tls_exchange, port, header, data) == line + data
    assert server.greeting.headers[0] is not None


def tls_factory(server: Server, factory: Any, certificate: Path) -> TLSFactory:
    context = DefaultOpenSSLContextFactory(f"{certificate}/key.pem", f"{certificate}/cert.pem")
    return TLSFactory(context, False, factory, server.reactor)


# curl.


class Whoami(Resource):
    """A page that says whom it is for."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.headers: list[ProxyHeader | None] = []

    def render_GET(self, request: Request) -> bytes:
        self.headers.append(proxy_header(request.channel.transport))
        address = request.getClientAddress()
        assert isinstance(address, IPv4Address | IPv6Address)
        return address_text(address).encode()


def curl(*arguments: str) -> str:
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("scheme", ["http", "https"])
@asynchronous
async def test_curl(server: Server, certificate: Path, scheme: str) -> None:
    page = Whoami()
    site: Any = Site(page)
    if scheme == "https":
        site = tls_factory(server, site, certificate)
    url = f"{scheme}://127.0.0.1:{server.listen(site)}/"
    answer = await server.blocking(curl, "--haproxy-protocol", "--insecure", url, url)
    (header, again) = page.headers
    assert header is not None
    assert again is header, "the second request came on the same connection"
    assert answer == str(header.source) * 2
    assert "127.0.0.1:" in answer


@asynchronous
async def test_curl_without_the_header(server: Server) -> None:
    page = Whoami()
    url = f"http://127.0.0.1:{server.listen(Site(page))}/"
    answer = await server.blocking(curl, url)
    assert "reset" in answer.lower() or "empty reply" in answer.lower()
    assert page.headers == []
    assert server.factory.refusals == {"proxy_header": 1}


# HAProxy.

_HAPROXY = """
global
    log stderr local0
defaults
    mode tcp
    timeout connect 30s
    timeout client 60s
    timeout server 60s
    timeout client-fin 60s
    timeout server-fin 60s
listen test
    bind {bind}
    unique-id-format %[rand(1),hex]-it
    server ours 127.0.0.1:{port} {options}
"""


@contextmanager
def haproxy(directory: Path, port: int, options: str, bind: str = "") -> Iterator[int]:
    """HAProxy in front of a port; gives the port that it listens on."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listening:
        number: int = listening.getsockname()[1]
        config = directory / "haproxy.cfg"
        config.write_text(
            _HAPROXY.format(bind=f"fd@{listening.fileno()} {bind}", port=port, options=options)
        )
        with (
            (directory / "haproxy.log").open("w") as log,
            subprocess.Popen(
                ["haproxy", "-db", "-f", config],
                pass_fds=[listening.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            ) as process,
        ):
            try:
                yield number
            finally:
                process.terminate()


def through(port: int, data: bytes) -> tuple[str, bytes]:
    """Send and half-close; our own address, and what comes back."""
    with connect(port) as connection:
        host, local = connection.getsockname()
        return f"{host}:{local}", exchange(connection, data)


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
@asynchronous
async def test_haproxy(server: Server, tmp_path: Path, version: str) -> None:
    data = payload(1_000_000)
    with haproxy(tmp_path, server.listen(), version) as port:
        ours, answer = await server.blocking(through, port, data)
    assert answer == f"{ours} 127.0.0.1:{port}\n".encode() + data
    (header,) = server.greeting.headers
    assert header is not None
    assert str(header.source) == ours


@pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
@pytest.mark.parametrize("name", [name for name in HEADERS if "unix" not in name])
@asynchronous
async def test_haproxy_understands_our_headers(
    server: Server, tmp_path: Path, version: str, name: str
) -> None:
    """It reads what we encode, and says it in its own words to our server."""
    header, line = HEADERS[name]
    with haproxy(tmp_path, server.listen(), version, "accept-proxy") as port:
        _, answer = await server.blocking(through, port, header + b"hello")
    assert answer == line + b"hello"


@asynchronous
async def test_haproxy_says_more(server: Server, tmp_path: Path, certificate: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_text((certificate / "cert.pem").read_text() + (certificate / "key.pem").read_text())
    options = "send-proxy-v2-ssl-cn proxy-v2-options crc32c,unique-id,authority,ssl-cipher,cert-sig"
    bind = f"ssl crt {both} ca-file {certificate}/cert.pem verify optional alpn h2,http/1.1"
    page = Whoami()
    with haproxy(tmp_path, server.listen(Site(page)), options, bind) as port:
        answer = await server.blocking(
            curl, "--insecure", "--http1.1", f"https://localhost:{port}/",
            "--cert", f"{certificate}/cert.pem", "--key", f"{certificate}/key.pem",
        )  # fmt: skip
    (header,) = page.headers
    assert header is not None
    assert str(header.source) == answer
    assert header.authority == "localhost"
    assert header.alpn == b"http/1.1"
    assert header.unique_id is not None
    assert header.unique_id.endswith(b"-it")
    tls = header.tls
    assert tls is not None
    assert tls.version == "TLSv1.3"
    assert tls.verified
    assert tls.common_name == "localhost"
    assert tls.cipher is not None


@asynchronous
async def test_haproxy_checks_our_health(server: Server, tmp_path: Path) -> None:
    """Its checks are LOCAL: they stand for HAProxy itself."""
    options = "send-proxy-v2 proxy-v2-options crc32c check inter 100ms"
    with haproxy(tmp_path, server.listen(), options) as port:
        await server.blocking(_until_checked, server)
        ours, answer = await server.blocking(through, port, b"hello")
    assert answer == f"{ours} 127.0.0.1:{port}\nhello".encode()
    assert server.factory.refusals == {}


def _until_checked(server: Server) -> None:
    wait_for(lambda: ProxyHeader(command="local") in server.greeting.headers, "a health check")
