"""The server of ``python -m bench soak``: it counts what begins and what ends.

The command line names the reactor. Which part a connection plays goes by the address that it comes
from: 127.KIND.0.0/16, see :data:`ROLES`. One from 127.250.0.0/16 is a line of orders: each is a
word, and is answered by a line of JSON.
"""

import gc
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import cast

from twisted.application.reactors import installReactor
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTCP,
    IReactorTime,
)
from twisted.internet.protocol import ClientFactory, Protocol, ServerFactory, connectionDone
from twisted.internet.tcp import Server
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

BACKLOG = 4096
SILENCE_SECONDS = 0.5  # then a client that says nothing is closed
HOLD_SECONDS = 0.02  # then a connection that is held is read from
UNREAD = b"x" * (1 << 18)  # what is thrown away by an abort: more than is sent at once
GREETING = b"x" * 512  # of a client of our own
FAR = 3600.0  # seconds
MANY = 1000  # calls: more than Twisted keeps of those that were cancelled

ORDERS = 250
OF_OUR_OWN = 30
SOURCES = 50_000


class Core(IReactorTCP, IReactorTime):
    """What is asked of the reactor."""


@dataclass
class Tally:
    """The connections of one kind.

    :ivar twice: that were lost once more.
    :ivar late: pieces of data that came after the end.
    :ivar failed: that could not be made.
    """

    made: int = 0
    lost: int = 0
    twice: int = 0
    late: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def add_reason(self, name: str) -> None:
        """Count a reason of an end."""
        self.reasons[name] = self.reasons.get(name, 0) + 1


class Counted(Protocol):
    """Echoes, and is counted."""

    transport: Server
    ended = False

    def __init__(self, soak: "Soak", tally: Tally) -> None:
        self.soak = soak
        self.tally = tally

    def connectionMade(self) -> None:
        """Count."""
        self.tally.made += 1

    def dataReceived(self, data: bytes) -> None:
        """Echo."""
        if self.ended:
            self.tally.late += 1
        self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count."""
        if self.ended:
            self.tally.twice += 1
            return
        self.ended = True
        self.tally.lost += 1
        self.tally.add_reason(type(reason.value).__name__)


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Counted):
    """Echoes to the end."""

    def readConnectionLost(self) -> None:
        """Close when all is written."""
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Nothing is half closed by us."""


class Mute(Counted):
    """Answers nothing, so that it learns of the end by reading alone."""

    def dataReceived(self, data: bytes) -> None:
        """Leave it."""
        if self.ended:
            self.tally.late += 1


class Held(Mute):
    """Is not read from for a while."""

    def connectionMade(self) -> None:
        """Count, and wait."""
        super().connectionMade()
        self.transport.pauseProducing()
        self.soak.reactor.callLater(HOLD_SECONDS, self.transport.resumeProducing)


class HeldUntilTold(Mute):
    """Is not read from until there is an order."""

    def connectionMade(self) -> None:
        """Count, and wait."""
        super().connectionMade()
        self.transport.pauseProducing()
        self.soak.held.append(self)


@implementer(IPushProducer)
class Choked(Counted):
    """Is not read from while the client does not read."""

    def connectionMade(self) -> None:
        """Count, and be held up by what waits to be written."""
        super().connectionMade()
        self.transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """Too much waits."""
        self.soak.choked.add(self)
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """All is written."""
        self.soak.choked.discard(self)
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is gone."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Count."""
        super().connectionLost(reason)
        self.soak.choked.discard(self)


class Silent(Counted):
    """Is closed when it says nothing."""

    def connectionMade(self) -> None:
        """Count, and wait."""
        super().connectionMade()
        self.soak.reactor.callLater(SILENCE_SECONDS, self.transport.loseConnection)


class Aborted(Counted):
    """Is reset in the middle of an answer."""

    def dataReceived(self, data: bytes) -> None:
        """Answer with more than is sent at once, and reset."""
        self.transport.write(UNREAD)
        self.transport.abortConnection()


class Host(Counted):
    """Has the server connect to itself, and is closed when that has ended."""

    def connectionMade(self) -> None:
        """Count, and connect."""
        super().connectionMade()
        self.soak.connect(self.transport.loseConnection)


@implementer(IHalfCloseableProtocol)
class Own(Counted):
    """A client of the server's own: a message there and back, then one of three ends."""

    received = 0

    def connectionMade(self) -> None:
        """Count, and send."""
        super().connectionMade()
        self.transport.write(GREETING)

    def dataReceived(self, data: bytes) -> None:
        """End, when all is back."""
        if self.ended:
            self.tally.late += 1
        self.received += len(data)
        if self.received == len(GREETING):
            ends = (
                self.transport.loseConnection,
                self.transport.abortConnection,
                self.transport.loseWriteConnection,
            )
            ends[self.tally.made % len(ends)]()

    def readConnectionLost(self) -> None:
        """The server has ended too."""
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """What was asked for."""


class OwnFactory(ClientFactory):
    """Makes one connection to the server itself."""

    noisy = False
    _ended = False

    def __init__(self, soak: "Soak", then: Callable[[], None]) -> None:
        self._soak = soak
        self._then = then

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Make the client."""
        return Own(self._soak, self._soak.own)

    def clientConnectionLost(self, connector: IConnector, reason: Failure) -> None:
        """Go on."""
        if self._ended:
            self._soak.own.twice += 1
        self._ended = True
        self._then()

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """Count, and go on."""
        self._soak.own.failed += 1
        self._soak.own.add_reason(type(reason.value).__name__)
        self._then()


class Orders(LineOnlyReceiver):
    """Takes orders."""

    delimiter = b"\n"

    def __init__(self, soak: "Soak") -> None:
        self._soak = soak

    def lineReceived(self, line: bytes) -> None:
        """Follow one, and answer."""
        answers: dict[bytes, Callable[[], object]] = {
            b"count": self._soak.count,
            b"objects": count_objects,
            b"resume": self._soak.resume,
            b"sweep": self._soak.sweep,
        }
        self.sendLine(json.dumps(answers[line]()).encode())


ROLES: dict[int, tuple[str, type[Counted]]] = {
    # Those of soak.c, in its order.
    1: ("close", Counted),
    2: ("half-close", HalfCloseable),
    3: ("reset", Counted),
    4: ("reset, unread data", Counted),
    5: ("reset, held", Held),
    6: ("timeout", Silent),
    7: ("abort", Aborted),
    8: ("own client", Host),
    # Those of soak.py.
    20: ("held until told", HeldUntilTold),
    21: ("choked", Choked),
    OF_OUR_OWN: ("from own client", HalfCloseable),
}


@implementer(ILogObserver)
class Soak(ServerFactory):
    """Gives each connection its part.

    :ivar own: of the clients of our own.
    :ivar held: connections that wait for an order.
    :ivar choked: connections that wait for their client to read.
    """

    noisy = False

    def __init__(self, reactor: Core) -> None:
        self.reactor = reactor
        self.own = Tally()
        self.held: list[HeldUntilTold] = []
        self.choked: set[Choked] = set()
        self.port = 0
        self._tallies = {kind: Tally() for kind in ROLES}
        self._errors = 0
        self._first_error = ""
        self._turn = 0

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Go by the address."""
        kind = int(cast("IPv4Address", addr).host.split(".")[1])
        if kind == ORDERS:
            return Orders(self)
        return ROLES[kind][1](self, self._tallies[kind])

    def connect(self, then: Callable[[], None]) -> None:
        """Connect to the server itself.

        :param then: is called when that has ended.
        """
        self._turn = (self._turn + 1) % SOURCES
        source = f"127.{OF_OUR_OWN}.{self._turn // 250}.{self._turn % 250 + 1}"
        factory = OwnFactory(self, then)
        self.reactor.connectTCP("127.0.0.1", self.port, factory, bindAddress=(source, 0))

    def count(self) -> dict[str, object]:
        """Tell what has begun and ended, and what was logged as an error."""
        tallies = {name: self._tallies[kind] for kind, (name, _) in ROLES.items()}
        tallies["own"] = self.own
        return {
            "tallies": {name: asdict(tally) for name, tally in tallies.items()},
            "held": len(self.held),
            "choked": len(self.choked),
            "pending": len(self.reactor.getDelayedCalls()),
            "errors": self._errors,
            "first_error": self._first_error,
        }

    def resume(self) -> int:
        """Read from those who wait; tell how many they were."""
        held, self.held = self.held, []
        for connection in held:
            connection.transport.resumeProducing()
        return len(held)

    def sweep(self) -> None:
        """Have Twisted drop the calls that were cancelled, in its next turn.

        It keeps them until they are many, and more than half of all.
        """
        calls = [self.reactor.callLater(FAR, tuple) for _ in range(MANY)]

        def cancel() -> None:
            for call in calls:
                call.cancel()

        self.reactor.callLater(0, cancel)

    def __call__(self, event: LogEvent) -> None:
        """Count what is logged as an error."""
        if event.get("log_level", LogLevel.info) >= LogLevel.error:
            self._errors += 1
            failure = event.get("log_failure")
            words = event.get("log_format") if failure is None else failure.getTraceback()
            if not self._first_error:
                self._first_error = str(words)
                print(words, file=sys.stderr, flush=True)


def count_objects() -> dict[str, int]:
    """Tell how many objects there are of each type, once what is garbage has gone."""
    gc.collect()
    counter = Counter(f"{type(it).__module__}.{type(it).__qualname__}" for it in gc.get_objects())
    return dict(counter)


def main() -> None:
    """Listen on a free port of 127.0.0.1, print the port, and count."""
    installReactor(sys.argv[1])
    from twisted.internet import reactor

    soak = Soak(cast("Core", reactor))
    globalLogPublisher.addObserver(soak)
    host = reactor.listenTCP(0, soak, backlog=BACKLOG, interface="127.0.0.1").getHost()
    assert isinstance(host, IPv4Address)
    soak.port = host.port
    print(host.port, flush=True)
    reactor.run()


main()
