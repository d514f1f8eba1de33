"""A line application over streams: the protocol and its factory.

The protocol is its transport's producer: while the peer does not read, nothing is read
from it either, and no command is begun.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
    IUNIXTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from netsuite.line._errors import RAISED, CommandError
from netsuite.line._machine import Conversation
from netsuite.line._session import Session
from netsuite.line._tls import hand_over, start_tls
from netsuite.line.app import LineApp
from netsuite.net import ConnectionCounters, StreamTransport, ask_if_there, is_gone
from netsuite.net.endpoints import address_text

#: What a peer has to read the last that is said to it, in seconds.
CLOSE_SECONDS = 30.0

#: How long a peer may take to close after it was told all, in seconds.
LINGER_SECONDS = 5.0

_LOOKS = 4  # how often within its limit a silent peer is looked at


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class LineProtocol(Protocol):
    """One peer of a line application.

    :ivar session: the peer's.
    """

    _log = Logger()
    transport: StreamTransport  # type: ignore[assignment]  # Twisted's says less
    factory: "LineFactory"
    session: Session
    _conversation: Conversation
    _idle: IDelayedCall | None = None
    _login: IDelayedCall | None = None
    #: How much had come when the TLS handshake began; None if none is going on.
    _before_handshake: int | None = None
    _pauses = False
    _soon: IDelayedCall | None = None
    _closing = _peer_ended = _asks = False

    @property
    def bytes_received(self) -> int:
        """Payload bytes that came from the peer."""
        return self._conversation.bytes_received

    @property
    def bytes_sent(self) -> int:
        """Payload bytes handed to the transport."""
        return self._conversation.bytes_sent

    @property
    def replies_sent(self) -> int:
        """Replies and pushes handed to the transport."""
        return self._conversation.replies_sent

    @property
    def busy(self) -> bool:
        """Whether the peer waits for us rather than we for the peer."""
        return self._conversation.busy

    def connectionMade(self) -> None:
        """Greet the peer."""
        factory, transport = self.factory, self.transport
        app = factory.app
        conversation = self._conversation = factory.converse(self, transport)
        self.session = conversation.session
        # The byte path: nothing of ours is in between.
        self.dataReceived = conversation.receive  # type: ignore[method-assign]
        conversation.write = transport.write
        factory.counters.connection_opened(self)
        if ISSLTransport.providedBy(transport):
            self._before_handshake = 0
        no_delay = getattr(transport, "setTcpNoDelay", None)
        if no_delay is not None:
            no_delay(True)
        transport.registerProducer(self, True)
        if factory.idle is not None:
            self._look_again(factory.idle / _LOOKS, 0, _LOOKS)
        if app.login_required and app.limits.login is not None:
            self._login = factory.clock.callLater(app.limits.login, self._too_late)
        if factory.greeting is not None:
            self.session.send(factory.greeting)
        try:
            app.begin(self.session)
        except RAISED as error:
            # It may have been about whether this peer is to be served at all.
            self.failed("on_connect", error)
            self.session.abort()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give up what was begun."""
        self._cancel(self._idle, self._login, self._soon)
        self.factory.counters.connection_closed(self)
        self._conversation.lost()

    def readConnectionLost(self) -> None:
        """The peer will send no more: answer what it has asked, then close."""
        self._peer_ended = True
        if self._closing:
            self.transport.loseConnection()
        else:
            self._conversation.end_of_input()

    def writeConnectionLost(self) -> None:
        """All was sent that is to be sent: the peer has a while to close too."""
        if self._closing:
            self._cancel(self._idle)
            self._idle = self.factory.clock.callLater(LINGER_SECONDS, self.transport.loseConnection)

    def handshakeCompleted(self) -> None:
        """What comes from now on is the peer's, and we read it when we like."""
        self._before_handshake = None
        if self._pauses:
            self._pauses = False
            self.transport.pauseProducing()

    # The transport's producer.

    def pauseProducing(self) -> None:
        """The transport has enough to send."""
        self._conversation.pause_sending()

    def resumeProducing(self) -> None:
        """The transport has sent it."""
        self._conversation.resume_sending()

    def stopProducing(self) -> None:
        """The connection is gone; :meth:`connectionLost` follows."""

    # For the daemon.

    def drain(self, clock: IReactorTime, grace: float) -> None:
        """Answer what has come in, then close."""
        self._conversation.end_of_input()

    def expire(self, reason: str) -> None:
        """Time is up: say so, and close."""
        self.session.close(CommandError("timeout", f"{reason} time is over"))

    # Time.

    def _look_again(self, interval: float, before: int, looks: int) -> None:
        self._idle = self.factory.clock.callLater(interval, self._look, interval, before, looks)

    def _look(self, interval: float, before: int, looks: int) -> None:
        conversation = self._conversation
        # A peer may only listen; one that reads nothing is sent nothing.
        now = self.bytes_received + self.bytes_sent
        if now != before:
            self._look_again(interval, now, _LOOKS)
        elif conversation.busy:
            self._look_for_peer(interval)
        elif looks > 1:
            self._look_again(interval, now, looks - 1)
        elif conversation.paused:
            self.session.abort()
        else:
            seconds = interval * _LOOKS
            self.session.close(CommandError("timeout", f"nothing was said for {seconds:g} seconds"))

    def _look_for_peer(self, interval: float) -> None:
        """A command takes its time, and nothing may be read: is anybody there to wait for it?"""
        if is_gone(self.transport):
            self.session.abort()
            return
        if not self._asks:
            self._asks = True
            ask_if_there(self.transport, interval)
        self._look_again(interval, self.bytes_received + self.bytes_sent, _LOOKS)

    def _too_late(self) -> None:
        if self.session.user is None:
            seconds = self.factory.app.limits.login
            self.session.close(CommandError("timeout", f"expected AUTH within {seconds:g} seconds"))

    # What the conversation asks for.

    def write(self, data: bytes) -> None:
        """Send."""
        self.transport.write(data)

    def close(self) -> None:
        """Close once all is sent, or the peer has had time enough to read it.

        Our sending direction is closed first: bytes of the peer that come behind the last ones
        that were read would reset the connection, and what was said last could be lost.
        """
        self._closing = True
        transport = self.transport
        transport.unregisterProducer()
        self._cancel(self._idle, self._login)
        self._idle = self.factory.clock.callLater(CLOSE_SECONDS, transport.abortConnection)
        tls = ISSLTransport.providedBy(transport)  # which sees to it itself
        if self._peer_ended or tls or not ITCPTransport.providedBy(transport):
            transport.loseConnection()
        else:
            transport.loseWriteConnection()

    def abort(self) -> None:
        """Close at once."""
        self.transport.abortConnection()

    def pause_reading(self) -> None:
        """Read no more."""
        if self._before_handshake == self._conversation.bytes_received:
            self._pauses = True  # what is written waits for the handshake, which has to be read
        else:
            self.transport.pauseProducing()

    def resume_reading(self) -> None:
        """Read on."""
        self._pauses = False
        if not self._peer_ended:
            self.transport.resumeProducing()

    def soon(self, function: Callable[[], object]) -> None:
        """Call after others have had their turn."""
        self._soon = self.factory.clock.callLater(0, function)

    def wait_for(
        self,
        awaited: Awaitable[Any],
        done: Callable[[object], None],
        failed: Callable[[BaseException], None],
    ) -> Callable[[], object]:
        """Call one of the two when there is a result."""
        deferred = (
            awaited if isinstance(awaited, Deferred) else Deferred.fromCoroutine(_of(awaited))
        )
        given_up = False

        def broke(failure: Any) -> None:
            if not (given_up and failure.check(CancelledError)):
                failed(failure.value)

        def give_up() -> None:
            nonlocal given_up
            given_up = True
            deferred.cancel()

        deferred.addCallbacks(done, broke)
        deferred.addErrback(self._unexpected)
        return give_up

    def failed(self, name: str, error: BaseException) -> None:
        """Log what a command has raised that is nothing for the peer."""
        self._log.failure(
            "{command} of {session} failed",
            failure=Failure(error),
            command=name,
            session=self.session,
        )

    def _unexpected(self, failure: Failure) -> None:
        self._log.failure("{session}", failure=failure, session=self.session)
        self.transport.abortConnection()

    def start_tls(self, context: Any) -> None:
        """Speak TLS from now on."""
        self._before_handshake = self._conversation.bytes_received
        self.transport = start_tls(self.transport, self, context, self.factory.clock)
        self._conversation.write = self.transport.write

    def hand_over(self, take: Callable[[Any, bytes], Any], rest: bytes) -> None:
        """Let another protocol have the connection."""
        transport: Any = self.transport
        transport.unregisterProducer()
        try:
            protocol = take(transport, rest)
            if protocol is None:
                raise TypeError("None: expected the protocol that takes over")
        except RAISED as error:
            self.failed("upgrade", error)
            self.abort()
            return
        self.connectionLost()
        hand_over(transport, self, protocol)
        protocol.makeConnection(transport)
        if rest:
            protocol.dataReceived(rest)
        if self._peer_ended:
            if IHalfCloseableProtocol.providedBy(protocol):
                protocol.readConnectionLost()
            else:
                transport.loseConnection()

    @staticmethod
    def _cancel(*timers: IDelayedCall | None) -> None:
        for timer in timers:
            if timer is not None and timer.active():
                timer.cancel()


async def _of(awaited: Awaitable[Any]) -> Any:
    return await awaited


def shown_address(peer: IAddress) -> str:
    """An address for people, whatever bytes are in the path of a socket."""
    return address_text(peer).encode("utf-8", "replace").decode()


class LineCounters(ConnectionCounters):
    """Totals of a factory, with what was said in lines."""

    def __init__(self) -> None:
        super().__init__()
        self._talking: set[LineProtocol] = set()
        self._replies = 0

    @property
    def replies_sent(self) -> int:
        """Replies and pushes, over all connections."""
        return self._replies + sum(each.replies_sent for each in self._talking)

    def connection_opened(self, connection: LineProtocol) -> None:  # type: ignore[override]  # ours
        """Count a new connection."""
        super().connection_opened(connection)
        self._talking.add(connection)

    def connection_closed(self, connection: LineProtocol) -> None:  # type: ignore[override]  # ours
        """Keep what a connection counted, now that it is gone."""
        super().connection_closed(connection)
        self._talking.discard(connection)
        self._replies += connection.replies_sent


class LineFactory(Factory):
    """Serves a line application on any stream.

    :param app: the application.
    :param clock: the time, and calls later; usually the reactor.
    :ivar counters: totals since the factory was made.
    :ivar idle: seconds of silence that end a connection that comes from now on, where the
        application's limits are not to say it; None for no limit.
    """

    noisy = False

    def __init__(self, app: LineApp, clock: IReactorTime) -> None:
        self.app = app
        self.clock = clock
        self.counters = LineCounters()
        self.idle = app.limits.idle

    def buildProtocol(self, addr: IAddress | None) -> LineProtocol:  # type: ignore[override]
        """A protocol for one connection."""
        protocol = LineProtocol()
        protocol.factory = self
        return protocol

    @property
    def greeting(self) -> str | None:
        """What is said to each peer first."""
        return self.app.greeting

    def converse(self, protocol: LineProtocol, transport: StreamTransport) -> Conversation:
        """Begin the conversation of a protocol whose connection is made."""
        peer = transport.getPeer()
        return self.app.converse(
            protocol,
            peer=shown_address(peer),
            host=getattr(peer, "host", ""),
            secure=self.secure(transport),
            clock=self.clock,
        )

    def secure(self, transport: Any) -> bool:
        """Whether nobody on the way can read what passes this transport."""
        return ISSLTransport.providedBy(transport) or IUNIXTransport.providedBy(transport)

    def refusal(self, reason: str) -> bytes:
        """What a peer is told that is not let in."""
        return self.app.replies.error(CommandError("not-allowed", reason.replace("_", " ")))
