"""One SSH channel, which carries one session of an application (RFC 4254 section 6)."""

import struct
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import getNS
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from netsuite.line._errors import CommandError
from netsuite.line._front import SessionTransport
from netsuite.line._ssh_log import PeersLogger
from netsuite.line._terminal_keys import Key
from netsuite.line._wire import literal_length

if TYPE_CHECKING:
    from netsuite.line._ssh_connection import Connection
    from netsuite.line._ssh_transport import SSHFactory

#: Bytes that a peer may send before they are taken from it.
WINDOW = 64 * 1024
MAX_PACKET = 32 * 1024

#: The smallest packets that we send; a peer that wants smaller ones gets none.
MIN_PACKET = 1024

#: Seconds that a peer has to take the rest, once its session is closed.
LINGER_SECONDS = 30.0

_DONE = Failure(ConnectionDone())
_INTERRUPT = b"\x03"


class SessionChannel(SSHChannel):
    """A channel that a session is on, once the peer has asked for a shell or given a command.

    What the peer's window and the connection do not take is kept, and the session is paused
    until it is sent. What the session does not take is kept too; the peer gets no new window
    until it is.
    """

    name = b"session"
    _log = PeersLogger()
    _ours = Logger()
    conn: "Connection"
    #: As a carrier.
    secure = True
    user: str | None
    roles: Collection[str]

    def __init__(self, connection: "Connection", window: int, packet: int) -> None:
        super().__init__(WINDOW, MAX_PACKET, window, packet, conn=connection)
        user = connection.transport.avatar
        self.user, self.roles = user.name, user.roles
        self._factory: SSHFactory = connection.transport.factory
        self._session: SessionTransport | None = None
        self._unsent = bytearray()
        #: What came before there was a session.
        self._early = bytearray()
        self._early_end = False
        self._terminal: tuple[int, bool] | None = None
        self._asked = False
        self._is_command = False
        self._status = 0
        #: Bytes that a literal of the command given still wants; None for no literal.
        self._wanted: int | None = None
        self._closing = False
        self._over = False
        self._timers: list[IDelayedCall] = []
        #: Whether the peer gets no new window.
        self.holds = True
        self._later(self._factory.login_time, self._give_up)

    def _give_up(self) -> None:
        """Nobody has said what the channel is for."""
        if not self._asked:
            self.abort()

    # What the peer asks for.

    def requestReceived(self, requestType: bytes, data: bytes) -> bool:
        """Do what the peer asks for, if it is something that we do."""
        try:
            match requestType:
                case b"pty-req":
                    return self._give_terminal(data)
                case b"window-change" if self._session is not None:
                    self._session.resize(struct.unpack(">L", data[:4])[0])
                    return True
                case b"signal" if self._session is not None and getNS(data)[0] == b"INT":
                    self._interrupt(self._session)
                    return True
                case b"shell":
                    return self._ask(None)
                case b"exec":
                    return self._ask(getNS(data)[0])
        except (struct.error, IndexError):
            self._ours.debug("{peer}: a request that is none", peer=self.conn.transport.peer)
        return False  # no environment, no agent, no X11, no subsystem

    def _give_terminal(self, data: bytes) -> bool:
        if self._asked:
            return False
        name, rest = getNS(data)
        (columns,) = struct.unpack(">L", rest[:4])
        self._terminal = columns, name not in {b"", b"dumb"}
        return True

    def _interrupt(self, session: SessionTransport) -> None:
        if session.edits:
            session.press(Key.INTERRUPT)
        else:
            session.interrupt()

    def _ask(self, command: bytes | None) -> bool:
        """Begin a session, once the peer knows that it has one."""
        if self._asked or self.conn.is_draining:
            return False
        self._asked = True
        self._later(0, self._begin, command)
        return True

    def _begin(self, command: bytes | None) -> None:
        sessions = self._factory.sessions if command is None else self._factory.commands
        protocol = sessions.buildProtocol(None)
        session = SessionTransport(self, protocol, sessions.app, sessions.clock)
        self._session = session
        self._is_command = command is not None
        self._note()
        if command is None:
            if self._terminal is not None:
                columns, ansi = self._terminal
                session.start_editing(columns, ansi=ansi)
            session.connect()
        else:
            session.replies.show_as_text(b"\n" if self._terminal is None else b"\r\n")
            session.connect()
            self._give(session, command)
        early = bytes(self._early)
        self._early.clear()
        self.read_on()
        if early:
            self._bring(early)
        if self._early_end:
            self.eofReceived()

    def _give(self, session: SessionTransport, command: bytes) -> None:
        """Give the command that is to be carried out, and nothing else."""
        command = command.strip()
        if b"\n" in command or b"\r" in command:
            self.send(session.replies.error(CommandError("bad-argument", "expected one line")))
            session.loseConnection()
            return
        literal = literal_length(command)
        if literal is not None:
            self._wanted = literal[1]
        session.received(command + self._line_end)
        if literal is None:
            session.ended()
        elif literal[1] == 0:
            self._end_literal(session)

    def _end_literal(self, session: SessionTransport) -> None:
        self._wanted = 0
        session.received(self._line_end)
        session.ended()

    @property
    def _line_end(self) -> bytes:
        return self._factory.sessions.app.replies.line_end

    # What the peer sends.

    def dataReceived(self, data: bytes) -> None:
        """Bring the session what has come."""
        self.conn.transport.bytes_received += len(data)
        if self._session is None:
            self._early += data
        else:
            self._bring(data)

    def _bring(self, data: bytes) -> None:
        session = self._session
        if session is None or self._closing:
            return
        try:
            if not self._is_command:
                session.received(data)
            elif self._wanted:
                data = data[: self._wanted]
                self._wanted -= len(data)
                session.received(data)
                if not self._wanted:
                    self._end_literal(session)
            elif self._terminal is not None and _INTERRUPT in data:
                self._interrupt(session)
        except Exception:  # noqa: BLE001 - a mistake of ours is not the peer's
            self._ours.failure("session of {peer} failed", peer=self.conn.transport.peer)
            self.abort()

    def extReceived(self, dataType: int, data: bytes) -> None:
        """Nothing is made of what is no data."""

    def eofReceived(self) -> None:
        """The peer sends no more."""
        session = self._session
        if session is None:
            self._early_end = True
            if not self._asked:
                self.abort()
        elif not self._is_command:
            session.ended()
        elif self._wanted:
            text = f"expected {self._wanted} more bytes on standard input"
            self.send(session.replies.error(CommandError("bad-literal", text)))
            session.loseConnection()

    def closeReceived(self) -> None:
        """The peer takes no more."""
        self.abort()

    def closed(self) -> None:
        """The channel is gone."""
        self._end()

    # The session's carrier.

    def send(self, data: bytes) -> None:
        """Send."""
        if not self._over:
            self.conn.transport.bytes_sent += len(data)
            self._unsent += data
            self.send_on()

    def send_on(self) -> None:
        """Send what the peer's window and the connection take."""
        connection = self.conn
        while self._unsent and self.remoteWindowLeft > 0 and connection.transport.takes_more:
            size = min(len(self._unsent), self.remoteWindowLeft, self.remoteMaxPacket)
            self.remoteWindowLeft -= size
            data = bytes(self._unsent[:size])
            del self._unsent[:size]
            connection.sendData(self, data)
        self._note()
        if self._closing and not self._unsent:
            self._finish()

    def addWindowBytes(self, data: int) -> None:
        """The peer takes so many more."""
        self.remoteWindowLeft += data
        self.send_on()

    def _note(self) -> None:
        """Tell the session whether there is enough to send."""
        if self._session is not None and not self._over:
            if self._unsent or not self.conn.transport.takes_more:
                self._session.carrier_is_full()
            else:
                self._session.carrier_is_ready()

    def close(self) -> None:
        """Close once all is sent."""
        if not self._closing:
            self._closing = True
            self._status = self._exit_status()
            self._later(LINGER_SECONDS, self.abort)
            self.send_on()

    def _exit_status(self) -> int:
        return int(
            self._is_command and self._session is not None and self._session.replies.errors > 0
        )

    def _finish(self) -> None:
        if not self._over:
            self.conn.sendRequest(self, b"exit-status", struct.pack(">L", self._status))
            self.conn.sendEOF(self)
            self.abort()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        if not self._over:
            self._unsent.clear()
            self.conn.sendClose(self)
            self._over = True
            self._end_timers()
            self._later(0, self._end)

    def _end(self) -> None:
        """The session is over."""
        self._over = self._closing = True
        self._end_timers()
        self._early.clear()
        self._unsent.clear()
        session, self._session = self._session, None
        if session is not None:
            session.lost(_DONE)

    def stop_reading(self) -> None:
        """Give the peer no new window."""
        self.holds = True

    def read_on(self) -> None:
        """Give the peer a new window when it has used half of it."""
        self.holds = False
        self.conn.renew_window(self)

    def getPeer(self) -> IAddress:
        """The other end's address."""
        peer: IAddress = self.conn.transport.transport.getPeer()
        return peer

    def getHost(self) -> IAddress:
        """This end's address."""
        host: IAddress = self.conn.transport.transport.getHost()
        return host

    # For the connection.

    def to_application(self, name: str, *arguments: Any) -> None:
        """Have the session drain or expire."""
        if self._session is None:
            self.abort()
            return
        method = getattr(self._session.protocol, name, None)
        if method is None:
            self._session.loseConnection()
        else:
            method(*arguments)

    def _later(self, seconds: float, function: Any, *arguments: Any) -> None:
        call = self._factory.clock.callLater(seconds, function, *arguments)
        self._timers.append(call)

    def _end_timers(self) -> None:
        while self._timers:
            timer = self._timers.pop()
            if timer.active():
                timer.cancel()
