"""Sessions in what is no plain stream: the transport that they see, for telnet and for SSH.

The line protocol of a connection is the same as over TCP. It has a :class:`SessionTransport`,
which has a :class:`Carrier` below. Where there is a person with a terminal, the transport
edits the line and makes the output fit to be seen; otherwise bytes pass as they are.
"""

from collections.abc import Collection, Iterable
from typing import Any, Protocol
from weakref import WeakSet

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IPullProducer,
    IPushProducer,
    IReactorTime,
)
from twisted.python.failure import Failure

from netsuite.line._commands import Command
from netsuite.line._errors import CommandError
from netsuite.line._interrupt import interrupt
from netsuite.line._machine import Conversation
from netsuite.line._session import Session
from netsuite.line._shown_replies import ShownReplies
from netsuite.line._terminal import Pressed, Terminal
from netsuite.line._terminal_completion import Completer
from netsuite.line._terminal_keys import Key, KeyDecoder
from netsuite.line._terminal_text import SafeText
from netsuite.line.app import LineApp
from netsuite.line.protocol import LineFactory, LineProtocol, shown_address
from netsuite.net import StreamTransport, fileno_of

#: Keys that are looked at before others have their turn.
_KEYS_A_TURN = 256

#: Bytes of a line that is edited, whatever the application would take: a terminal's.
MAX_EDITED = 4096


def send_at_once(transport: Any) -> None:
    """Have no key's echo wait for an acknowledgement, if the transport can."""
    set_no_delay = getattr(transport, "setTcpNoDelay", None)
    if set_no_delay is not None:
        set_no_delay(True)


class Carrier(Protocol):
    """What carries a session.

    :ivar secure: whether nobody on the way can read along.
    :ivar user: who it is, where that is known before the session begins.
    :ivar roles: what that user may do.
    """

    secure: bool
    user: str | None
    roles: Collection[str]

    def send(self, data: bytes) -> None:
        """Send; pauses the transport that it carries while there is enough to send."""

    def close(self) -> None:
        """Close once all is sent."""

    def abort(self) -> None:
        """Close at once."""

    def stop_reading(self) -> None:
        """Bring no more."""

    def read_on(self) -> None:
        """Bring what comes."""

    def getPeer(self) -> IAddress:
        """The other end's address."""

    def getHost(self) -> IAddress:
        """This end's address."""


class CarriedProtocol(LineProtocol):
    """A line protocol that is carried: a key that is pressed counts as a byte that came."""

    transport: "SessionTransport"

    @property
    def bytes_received(self) -> int:
        """Bytes that came from the peer, keys among them."""
        return self.transport.bytes_received

    @property
    def conversation(self) -> Conversation:
        """What is said."""
        return self._conversation


class SessionFactory(LineFactory):
    """Makes the line protocols that carriers have.

    As a rule of the application, it has none of their sessions begin TLS: the carrier would be in
    the way of its bytes.
    """

    def __init__(self, app: LineApp, clock: IReactorTime) -> None:
        super().__init__(app, clock)
        self._carried: WeakSet[Session] = WeakSet()
        app.rules.append(self)

    def concerns(self, session: Session) -> bool:
        """Nothing but STARTTLS, which is looked at by itself."""
        return False

    def forbids(self, session: Session, command: Command) -> CommandError | None:
        """Why a session may not give a command, if it may not."""
        if command.name == "STARTTLS" and session in self._carried:
            return CommandError("not-allowed", "STARTTLS: expected a connection without telnet")
        return None

    def buildProtocol(self, addr: IAddress | None) -> CarriedProtocol:  # type: ignore[override]
        """A protocol for one session."""
        protocol = CarriedProtocol()
        protocol.factory = self
        return protocol

    def converse(self, protocol: LineProtocol, transport: StreamTransport) -> Conversation:
        """Begin a conversation with whoever the carrier says it is."""
        assert isinstance(transport, SessionTransport)  # noqa: S101 - what it was made with
        carrier = transport.carrier
        peer = carrier.getPeer()
        conversation = self.app.converse(
            protocol,
            peer=shown_address(peer),
            host=getattr(peer, "host", ""),
            secure=carrier.secure,
            clock=self.clock,
            user=carrier.user,
            roles=carrier.roles,
            replies=transport.replies,
        )
        self._carried.add(conversation.session)
        return conversation


class SessionTransport:
    """The transport of one session's line protocol.

    :param carrier: what is below.
    :param protocol: what is above.
    :param app: what it serves.
    :ivar bytes_received: that came from the peer.
    :ivar replies: how replies look here.
    :ivar protocol: what has the session: the line protocol, or what that has handed it to.
    """

    def __init__(
        self, carrier: Carrier, protocol: CarriedProtocol, app: LineApp, clock: IReactorTime
    ) -> None:
        self.carrier = carrier
        self.protocol: Any = protocol
        self.bytes_received = 0
        self.replies = ShownReplies(app.replies)
        self._line = protocol
        self._app = app
        self._clock = clock
        self._producer: Any = None
        self._terminal: Terminal | None = None
        self._keys = KeyDecoder()
        self._safe = SafeText()
        self._input = bytearray()
        self._working = False
        self._full = False
        self._paused = False
        self._resting = False
        self._stopped = False
        self._ended = False
        self._closed = False
        self._due: IDelayedCall | None = None

    def connect(self) -> None:
        """Begin the session."""
        self.protocol.makeConnection(self)
        self._settle()

    @property
    def talks_lines(self) -> bool:
        """Whether the line protocol still has the session."""
        return self.protocol is self._line

    # Terminals.

    @property
    def edits(self) -> bool:
        """Whether a line is edited here."""
        return self._terminal is not None

    def start_editing(self, columns: int = 0, *, ansi: bool = True) -> None:
        """There is a person with a terminal.

        :param columns: of the terminal; 0 if nobody knows.
        """
        completer = Completer(self._app, lambda: self._line.session)
        limit = min(self._app.limits.line_length, MAX_EDITED)
        self._terminal = Terminal(f"{self._app.name}> ", completer, limit, ansi=ansi)
        self._terminal.resize(columns)
        self.replies.show_as_text(b"\r\n")
        if self._line.connected:
            self._settle()

    def stop_editing(self) -> None:
        """There is none any more; what was written and not entered is lost."""
        if self._terminal is not None:
            self._terminal.hide()
            self._flush()
            self._terminal = None
            self._keys, self._safe = KeyDecoder(), SafeText()
            self.replies.show_as_sent()

    def resize(self, columns: int) -> None:
        """The terminal has another width."""
        if self._terminal is not None:
            self._terminal.resize(columns)
            self._flush()

    def press(self, key: Key) -> None:
        """A key was pressed, by other means than its bytes."""
        if self._terminal is not None and not self._closed:
            self._do(self._terminal, key)
            self._settle()

    def interrupt(self) -> None:
        """Give up what is being done for the peer."""
        if self.talks_lines and not self._closed:
            interrupt(self._line.conversation)

    # What the carrier says.

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        self.bytes_received += len(data)
        if not self._closed:
            self._input += data
            self._work()

    def ended(self) -> None:
        """The peer sends no more."""
        self._ended = True
        self._work()

    def carrier_is_full(self) -> None:
        """The carrier has enough to send."""
        if not self._full:
            self._full = True
            if self._producer is not None:
                self._producer.pauseProducing()
            self._regulate()

    def carrier_is_ready(self) -> None:
        """The carrier has sent it."""
        if self._full:
            self._full = False
            if self._producer is not None:
                self._producer.resumeProducing()
            self._work()

    def lost(self, reason: Failure) -> None:
        """The session is gone."""
        self._closed = True
        if self._due is not None and self._due.active():
            self._due.cancel()
        self.protocol.connectionLost(reason)

    # Input.

    @property
    def _may_read(self) -> bool:
        return not (self._full or self._paused or self._resting or self._closed)

    def _work(self) -> None:
        """Do with the input what can be done now."""
        if self._working:
            return
        self._working = True
        try:
            for _ in range(_KEYS_A_TURN):
                if not (self._may_read and self._step()):
                    break
            else:
                self._rest()
            if self._ended and self._may_read and not self._input:
                self._end()
        finally:
            self._working = False
        self._settle()

    def _step(self) -> bool:
        """Do one thing; whether there was one to do."""
        terminal = self._terminal
        if terminal is None:
            data = bytes(self._input)
            self._input.clear()
            if data:
                self.protocol.dataReceived(data)
            return bool(data)
        self._keys.feed(bytes(self._input))
        self._input.clear()
        key = self._keys.next()
        if key is None:
            return False
        self._do(terminal, key)
        return True

    def _do(self, terminal: Terminal, key: Key | str) -> None:
        pressed = terminal.press(key)
        if isinstance(pressed, str):
            self._flush()
            self.protocol.dataReceived(pressed.encode() + self._app.replies.line_end)
        elif pressed is Pressed.END_OF_INPUT:
            self._ended = True
        elif pressed is Pressed.INTERRUPT:
            self._flush()
            self.interrupt()
        elif terminal.pending:
            self._flush()

    def _rest(self) -> None:
        """Let others have their turn."""
        self._resting = True
        self._soon()

    def _end(self) -> None:
        self._ended = False
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.readConnectionLost()
        else:
            self.loseConnection()

    def _regulate(self) -> None:
        """Have the carrier bring more, or not."""
        stop = not self._may_read
        if stop is not self._stopped and not self._closed:
            self._stopped = stop
            if stop:
                self.carrier.stop_reading()
            else:
                self.carrier.read_on()

    # Output.

    def _settle(self) -> None:
        """Have the line shown if it is the person's turn, and the carrier bring more if it is."""
        terminal = self._terminal
        if terminal is not None and not self._closed:
            if terminal.line or not getattr(self.protocol, "busy", False):
                terminal.show()
            self._flush()
        self._regulate()

    def _flush(self) -> None:
        if self._terminal is not None:
            data = self._terminal.taken()
            if data:
                self.carrier.send(data)

    def _soon(self) -> None:
        if self._due is None or not self._due.active():
            self._due = self._clock.callLater(0, self._turn)

    def _turn(self) -> None:
        self._resting = False
        self._work()

    # For the protocol.

    def write(self, data: bytes) -> None:
        """Send."""
        if self._terminal is None:
            self.carrier.send(data)
            return
        self._terminal.say(self._safe.decode(data))
        self._flush()
        if not self._working:
            self._soon()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send all of it."""
        self.write(b"".join(data))

    def registerProducer(self, producer: IPushProducer | IPullProducer, streaming: bool) -> None:
        """Have a streaming producer paused while there is enough to send."""
        if not streaming:
            raise RuntimeError("expected a streaming producer")
        self._producer = producer
        if self._full:
            self._producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """Forget the producer."""
        self._producer = None

    def pauseProducing(self) -> None:
        """Read no more."""
        self._paused = True
        self._regulate()

    def resumeProducing(self) -> None:
        """Read on."""
        self._paused = False
        self._work()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close once all is sent."""
        if not self._closed:
            if self._terminal is not None:
                self._terminal.hide()
                self._flush()
            self._close()
            self.carrier.close()

    def loseWriteConnection(self) -> None:
        """Close: no carrier has directions."""
        self.loseConnection()

    def abortConnection(self) -> None:
        """Close at once; what was not sent is lost."""
        self._close()
        self.carrier.abort()

    def fileno(self) -> int:
        """The descriptor of the carrier's connection; -1 if it has none for itself."""
        return fileno_of(self.carrier)

    def getPeer(self) -> IAddress:
        """The other end's address."""
        return self.carrier.getPeer()

    def getHost(self) -> IAddress:
        """This end's address."""
        return self.carrier.getHost()

    def _close(self) -> None:
        self._closed = True
        self._input.clear()
        if self._due is not None and self._due.active():
            self._due.cancel()
