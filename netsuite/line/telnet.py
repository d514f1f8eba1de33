"""A line application over telnet: for people at a terminal, and for scripts.

:class:`TelnetFactory` offers to echo (RFC 857) and to suppress go-ahead (RFC 858), and asks for
the window's size (RFC 1073). Where the peer agrees there is a person: the line is edited here, with
a history and completion. Otherwise the peer is a script, ``nc`` for example: beside the offers it
reads what it would read over TCP, its lines ended by CR LF (the NVT of RFC 854).

Options are negotiated by the Q method (RFC 1143). AYT, IP, BRK, AO, EC, EL and EOF have an effect;
BINARY (RFC 856) is on where the peer wants it. Left out: LINEMODE, TTYPE, the Synch signal, TLS by
the option of that name (a TLS endpoint below is fine), and everything else.
"""

import socket
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from netsuite.line import _telnet_wire as wire
from netsuite.line._front import SessionFactory, SessionTransport, send_at_once
from netsuite.line._telnet_options import Options, Side
from netsuite.line._telnet_wire import TelnetDecoder, TelnetEncoder
from netsuite.line._terminal_keys import Key
from netsuite.line.app import LineApp
from netsuite.line.protocol import LINGER_SECONDS, LineCounters
from netsuite.net import StreamTransport, fileno_of

__all__ = ["TelnetFactory", "TelnetProtocol"]

#: What we do, if the peer agrees; and what the peer may do.
_OURS = (wire.BINARY, wire.ECHO, wire.SUPPRESS_GO_AHEAD)
_THEIRS = (wire.BINARY, wire.SUPPRESS_GO_AHEAD, wire.WINDOW_SIZE)

#: Things that a peer says that are looked at before others have their turn.
_EVENTS_A_TURN = 256

#: Commands that are keys.
_KEYS = {
    wire.AO: Key.INTERRUPT,
    wire.BRK: Key.INTERRUPT,
    wire.EC: Key.BACKSPACE,
    wire.EL: Key.ERASE_LINE,
    wire.IP: Key.INTERRUPT,
}


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class TelnetProtocol(Protocol):
    """One telnet connection, which carries one session."""

    transport: StreamTransport  # type: ignore[assignment]  # Twisted's says less
    factory: "TelnetFactory"
    #: As a carrier.
    user: str | None = None
    roles: Collection[str] = ()
    secure = False

    def __init__(self) -> None:
        self._decoder = TelnetDecoder()
        self._encoder = TelnetEncoder()
        self._options = Options(_OURS, _THEIRS)
        self._session: SessionTransport
        #: Of a line that is not complete, where no terminal is: EC and EL can still have it.
        self._line = bytearray()
        self._columns = 0
        self._offered = False
        self._reading = True
        self._shaking_hands = False
        self._pumping = False
        self._ended = False
        self._peer_ended = False
        self._closing = False
        self._linger: IDelayedCall | None = None
        #: When others have had their turn; None while it is ours.
        self._rest: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """Make the offers and begin the session."""
        factory = self.factory
        self.secure = factory.sessions.secure(self.transport)
        self._shaking_hands = ISSLTransport.providedBy(self.transport)
        _have_urgent_data_in_line(self.transport)
        send_at_once(self.transport)
        protocol = factory.sessions.buildProtocol(None)
        self._session = SessionTransport(self, protocol, factory.app, factory.clock)
        self.transport.registerProducer(self, True)
        if factory.offers:
            self._offered = True
            self.transport.write(
                self._options.ask(Side.THEIRS, wire.WINDOW_SIZE, True)
                + self._options.ask(Side.OURS, wire.ECHO, True)
                + self._options.ask(Side.OURS, wire.SUPPRESS_GO_AHEAD, True)
            )
        self._session.connect()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The session is gone too."""
        self._reading = False
        for timer in (self._linger, self._rest):
            if timer is not None and timer.active():
                timer.cancel()
        self._session.lost(reason)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes."""
        if not self._closing:
            self._decoder.feed(data)
            self._pump()

    def handshakeCompleted(self) -> None:
        """What comes from now on is the peer's, and we read it when we like."""
        self._shaking_hands = False
        if not self._reading and not self._closing:
            self.transport.pauseProducing()

    def readConnectionLost(self) -> None:
        """The peer sends no more."""
        self._ended = self._peer_ended = True
        if self._closing:
            self.transport.loseConnection()
        else:
            self._pump()

    def writeConnectionLost(self) -> None:
        """All was sent that is to be sent: the peer has a while to close too."""
        if self._closing:
            lose = self.transport.loseConnection
            self._linger = self.factory.clock.callLater(LINGER_SECONDS, lose)

    def drain(self, clock: IReactorTime, grace: float) -> None:
        """Answer what has come in, then close."""
        self._to_application("drain", clock, grace)

    def expire(self, reason: str) -> None:
        """Time is up: say so, and close."""
        self._to_application("expire", reason)

    def _to_application(self, name: str, *arguments: Any) -> None:
        method = getattr(self._session.protocol, name, None)
        if method is None:
            self._session.loseConnection()
        else:
            method(*arguments)

    # The transport's producer.

    def pauseProducing(self) -> None:
        """The transport has enough to send."""
        self._session.carrier_is_full()

    def resumeProducing(self) -> None:
        """The transport has sent it."""
        self._session.carrier_is_ready()

    def stopProducing(self) -> None:
        """The connection is gone; :meth:`connectionLost` follows."""

    # The session's carrier.

    def send(self, data: bytes) -> None:
        """Send."""
        self.transport.write(self._encoder.encode(data))

    def close(self) -> None:
        """Close once all is sent: our direction first, so that nothing of it is lost."""
        self._reading, self._closing = False, True
        transport = self.transport
        transport.unregisterProducer()
        tls = ISSLTransport.providedBy(transport)  # which sees to it itself
        if self._peer_ended or tls or not ITCPTransport.providedBy(transport):
            transport.loseConnection()
        else:
            transport.loseWriteConnection()
            transport.resumeProducing()  # to see the peer close; what else comes is nothing

    def abort(self) -> None:
        """Close at once."""
        self._reading = False
        self.transport.abortConnection()

    def stop_reading(self) -> None:
        """Bring no more."""
        self._reading = False
        if not self._shaking_hands:  # what is written waits for the handshake, which has to be read
            self.transport.pauseProducing()

    def read_on(self) -> None:
        """Bring what comes."""
        self._reading = True
        if self._rest is None:
            self.transport.resumeProducing()
            self._pump()

    def fileno(self) -> int:
        """The connection's descriptor; -1 if it has none."""
        return fileno_of(self.transport)

    def getPeer(self) -> IAddress:
        """The other end's address."""
        return self.transport.getPeer()

    def getHost(self) -> IAddress:
        """This end's address."""
        return self.transport.getHost()

    # What the peer says.

    def _pump(self) -> None:
        """Bring the session what has come, as far as it wants it."""
        if self._pumping:
            return
        self._pumping = True
        try:
            self._bring_events()
            if self._ended and self._brings:
                self._ended = False
                self._bring_line()
                self._session.ended()
        finally:
            self._pumping = False

    @property
    def _brings(self) -> bool:
        return self._reading and self._rest is None

    def _bring_events(self) -> None:
        for _ in range(_EVENTS_A_TURN):
            event = self._decoder.next() if self._brings else None
            if event is None:
                return
            self._take(event)
        self._rest = self.factory.clock.callLater(0, self._rested)
        self.transport.pauseProducing()

    def _rested(self) -> None:
        self._rest = None
        if self._reading:
            self.read_on()

    def _take(self, event: wire.Event) -> None:
        match event:
            case wire.Data(data):
                self._bring(data)
            case wire.Command(code):
                self._command(code)
            case wire.Negotiation(verb, option):
                self.transport.write(self._options.hear(verb, option))
                self._agree()
            case wire.Subnegotiation(option, size) if option == wire.WINDOW_SIZE:
                if len(size) == 4:
                    self._columns = int.from_bytes(size[:2], "big")
                    self._session.resize(self._columns)

    def _bring(self, data: bytes) -> None:
        """Bring data: to a terminal as it comes, otherwise in whole lines."""
        as_it_comes = self._session.edits or not self._session.talks_lines
        if as_it_comes:
            self._session.received(data)
            return
        self._line += data
        end = self._line.rfind(b"\n") + 1
        if not end and len(self._line) > self.factory.app.limits.line_length:
            end = len(self._line)
        if end:
            lines = bytes(self._line[:end])
            del self._line[:end]
            self._session.received(lines)
            if not self._session.talks_lines:
                self._bring_line()

    def _bring_line(self) -> None:
        """Bring what has been kept of a line."""
        line = bytes(self._line)
        self._line.clear()
        if line:
            self._session.received(line)

    def _command(self, code: int) -> None:
        if code == wire.AYT and self._session.talks_lines:
            self._session.protocol.session.send(f"{self.factory.app.name} is here")
        elif code == wire.EOF:
            self._ended = True
        elif code not in _KEYS:
            return
        elif self._session.edits:
            self._session.press(_KEYS[code])
        elif code == wire.EC:
            _erase_character(self._line)
        else:
            self._line.clear()
            if code != wire.EL:
                self._session.interrupt()

    def _agree(self) -> None:
        """Have what the options are by now."""
        options = self._options
        self._decoder.binary = options.on(Side.THEIRS, wire.BINARY)
        self._encoder.binary = options.on(Side.OURS, wire.BINARY)
        echo = options.on(Side.OURS, wire.ECHO)
        character = options.on(Side.OURS, wire.SUPPRESS_GO_AHEAD)
        edits = self._session.edits
        if echo and character and not edits:
            self._session.start_editing(self._columns)
            self._bring_line()
        elif edits and not (echo and character):
            self._session.stop_editing()
        if echo and not character:
            # It would send whole lines, and show none of them: both, or none.
            if not self._offered:
                self._offered = True
                self.transport.write(options.ask(Side.OURS, wire.SUPPRESS_GO_AHEAD, True))
            elif options.settled(Side.OURS, wire.SUPPRESS_GO_AHEAD):
                self.transport.write(options.ask(Side.OURS, wire.ECHO, False))


def _erase_character(line: bytearray) -> None:
    """Take off the last character, in UTF-8."""
    while line and line.pop() & 0xC0 == 0x80:
        pass


def _have_urgent_data_in_line(transport: Any) -> None:
    """A client's Synch sends a byte of IAC DM as urgent: it must not be missing."""
    handle: Any = getattr(transport, "getHandle", lambda: None)()
    with suppress(OSError, AttributeError):
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)


class TelnetFactory(Factory):
    """Serves a line application over telnet.

    :param app: the application.
    :param clock: the time, and calls later; usually the reactor.
    :param offers: whether the offers are made to each peer at once, so that any telnet client
        gets a line that is edited. Otherwise only those that ask for it do, and scripts read
        nothing but lines.
    :ivar counters: totals since the factory was made.
    :ivar sessions: what serves the sessions; its ``idle`` is the limit on silence.
    """

    noisy = False

    def __init__(self, app: LineApp, clock: IReactorTime, *, offers: bool = True) -> None:
        self.app = app
        self.clock = clock
        self.offers = offers
        self.sessions = SessionFactory(app, clock)

    @property
    def counters(self) -> LineCounters:
        """Totals of the connections; bytes are those of the sessions."""
        return self.sessions.counters

    def buildProtocol(self, addr: IAddress | None) -> TelnetProtocol:  # type: ignore[override]
        """A protocol for one connection."""
        protocol = TelnetProtocol()
        protocol.factory = self
        return protocol

    def refusal(self, reason: str) -> bytes:
        """What a peer is told that is not let in."""
        return self.sessions.refusal(reason)
