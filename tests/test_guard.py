"""A guarded agent and a server on this machine: it comes in by no name, and by all if it may."""

import contextlib
from collections.abc import Callable, Coroutine, Iterator
from ipaddress import IPv4Network, ip_address
from typing import Any, ParamSpec, cast

import pytest
import pytest_twisted  # type: ignore[import-untyped]  # it has no types
from hyperlink import URL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint
from twisted.internet.error import CannotListenError, DNSLookupError
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from twisted.internet.protocol import Factory, Protocol
from twisted.web.client import Agent, readBody
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site
from zope.interface import implementer

from netsuite.net.resolver import AddressRefusedError, GuardedReactor, guarded_reactor
from tests.running import PATIENCE

IPV4_HOSTS = ("127.0.0.1", "127.1", "0x7f.1", "0177.1", "2130706433", "0x7F000001", "127.0.1")
#: As a browser or treq takes them; IDNA makes ASCII of them.
WIDE_HOSTS = ("\uff11\uff12\uff17.\uff10.\uff10.\uff11", "127\u30020\u30020\u30021")
IPV6_HOSTS = ("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]")
HOSTS = ("localhost", *IPV4_HOSTS, *WIDE_HOSTS, *IPV6_HOSTS)
P = ParamSpec("P")

LOOPBACK = (ip_address("127.0.0.1"), ip_address("::1"))


# Twisted's own transport, which it then says this of.
pytestmark = pytest.mark.filterwarnings("ignore:Using readBody")


class Counter(Resource):
    """A page that knows how often it was asked for."""

    isLeaf = True
    asked = 0

    def render_GET(self, request: Request) -> bytes:
        self.asked += 1
        return b"secret"


@pytest.fixture
def reactor() -> Any:
    from twisted.internet import reactor

    return reactor


class Server:
    """An HTTP server on both loopback addresses."""

    def __init__(self, reactor: Any) -> None:
        self.page = Counter()
        self._ports: list[Any] = []
        while len(self._ports) < 2:
            self.stop()
            self._ports = [reactor.listenTCP(0, Site(self.page), interface="127.0.0.1")]
            self.number: int = self._ports[0].getHost().port
            # Somebody else may have the same port there.
            with contextlib.suppress(CannotListenError):
                self._ports.append(reactor.listenTCP(self.number, Site(self.page), interface="::1"))

    def url(self, host: str) -> bytes:
        """The page's address, as an agent is given it."""
        text = f"http://{host}:{self.number}/"
        if not text.isascii():
            text = URL.from_text(text).to_uri().to_text()
        return text.encode("ascii")

    def stop(self) -> None:
        for port in self._ports:
            port.stopListening()


@pytest.fixture
def server(reactor: Any) -> Iterator[Server]:
    server = Server(reactor)
    yield server
    server.stop()


def asynchronous(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on the reactor."""
    return cast("Callable[P, None]", pytest_twisted.ensureDeferred(test))


async def fetch(reactor: Any, view: GuardedReactor, url: bytes) -> bytes:
    """The page behind an address, by an agent that has only this reactor."""
    agent = Agent(view, connectTimeout=PATIENCE)
    response = await agent.request(b"GET", url).addTimeout(PATIENCE, reactor)
    body: bytes = await readBody(response).addTimeout(PATIENCE, reactor)
    return body


@pytest.mark.parametrize("host", HOSTS)
@asynchronous
async def test_no_notation_gets_in(reactor: Any, server: Server, host: str) -> None:
    view = guarded_reactor(reactor)
    with pytest.raises(DNSLookupError):
        await fetch(reactor, view, server.url(host))
    assert server.page.asked == 0
    guard = view.nameResolver
    assert guard.refused == 1
    assert guard.last_refusal is not None
    assert guard.last_refusal.left == 0
    assert guard.refusal_of(guard.last_refusal.host) is guard.last_refusal
    assert set(guard.last_refusal.addresses) <= {
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
    }


@pytest.mark.parametrize("host", HOSTS)
@asynchronous
async def test_each_gets_in_where_it_may(reactor: Any, server: Server, host: str) -> None:
    """So that the test above means something."""
    view = guarded_reactor(reactor, exceptions=LOOPBACK)
    assert await fetch(reactor, view, server.url(host)) == b"secret"
    assert server.page.asked == 1
    assert view.nameResolver.refused == 0


@asynchronous
async def test_an_exception_for_one_family_only(reactor: Any, server: Server) -> None:
    view = guarded_reactor(reactor, exceptions=IPv4Network("127.0.0.0/8"))
    assert await fetch(reactor, view, server.url("127.0.0.1")) == b"secret"
    with pytest.raises(DNSLookupError):
        await fetch(reactor, view, server.url("[::1]"))
    assert server.page.asked == 1


@pytest.mark.parametrize("host", WIDE_HOSTS)
@asynchronous
async def test_wide_digits_as_they_are(reactor: Any, server: Server, host: str) -> None:
    """getaddrinfo takes them; a resolver that is asked for them must not."""
    found: Deferred[list[IAddress]] = Deferred()

    @implementer(IResolutionReceiver)
    class Receiver:
        addresses: list[IAddress] = []

        def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
            pass

        def addressResolved(self, address: IAddress) -> None:
            self.addresses.append(address)

        def resolutionComplete(self) -> None:
            found.callback(self.addresses)

    guard = guarded_reactor(reactor).nameResolver
    guard.resolveHostName(Receiver(), host, server.number)
    assert await found.addTimeout(PATIENCE, reactor) == []
    assert guard.refused == 1


@asynchronous
async def test_endpoints_that_resolve_nothing(reactor: Any, server: Server) -> None:
    view = guarded_reactor(reactor)
    endpoint = TCP4ClientEndpoint(view, "127.0.0.1", server.number)
    with pytest.raises(AddressRefusedError):
        await endpoint.connect(Factory.forProtocol(Protocol))
    allowed = guarded_reactor(reactor, exceptions=LOOPBACK)
    for permitted in (
        TCP4ClientEndpoint(allowed, "127.0.0.1", server.number),
        HostnameEndpoint(allowed, "localhost", server.number),
    ):
        protocol: Any = await permitted.connect(Factory.forProtocol(Protocol))
        protocol.transport.loseConnection()
