"""One connection of a client: commands out, replies matched with them in order.

It is its transport's producer: while the server does not read, nothing is sent; and while a
stream's consumer has enough to do, nothing is read.
"""

from collections import deque
from typing import Any, Literal, Protocol

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
    IUNIXTransport,
)
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from netsuite.ip import parse_address
from netsuite.line._client_calls import Call
from netsuite.line._client_errors import LineConnectionError, LineError, LineWireError
from netsuite.line._client_wire import End, Event, Failed, Parting, Push, ReplyReader, Text
from netsuite.line._wire import literal_length
from netsuite.net import StreamTransport


class Owner(Protocol):
    """What a connection tells its client."""

    def opened(self, connection: "ClientConnection") -> None:
        """It is made, and any TLS handshake is over."""

    def pushed(self, text: str) -> None:
        """A line came that answers nothing."""

    def room(self) -> None:
        """More commands can be sent."""

    def lost(self, connection: "ClientConnection", error: Exception) -> None:
        """It is gone."""


@implementer(IHandshakeListener, IPushProducer)
class ClientConnection(TwistedProtocol):
    """One connection to a server of lines.

    :param most: commands whose replies have yet to come.
    """

    transport: StreamTransport  # type: ignore[assignment]  # Twisted's says less

    def __init__(
        self,
        owner: Owner,
        most: int,
        longest: int,
        invalid_utf8: Literal["strict", "replace", "surrogateescape"],
    ) -> None:
        self._owner = owner
        self._most = most
        self._reader = ReplyReader(longest, invalid_utf8)
        self._in_flight: deque[Call] = deque()
        self._spoken = False
        self._heard: list[Call] = []
        self._paused = False
        self._reading = True
        self._pulling = False
        self._opened = False
        self._turning = False
        #: Why it is over, or is about to be.
        self._error: Exception | None = None
        self._parting: Parting | None = None
        self.gone = False
        self.encrypted = False
        self.bytes_received = 0
        #: Whether the server has done more than refuse us.
        self.answered = False

    # From the transport.

    def connectionMade(self) -> None:
        """Begin, unless there is a handshake first."""
        self.transport.registerProducer(self, True)
        self.encrypted = ISSLTransport.providedBy(self.transport)
        if not self.encrypted:
            self._open()

    def handshakeCompleted(self) -> None:
        """TLS is there, with a certificate that is good enough."""
        self._turning = False
        self.encrypted = True
        self._open()

    def dataReceived(self, data: bytes) -> None:
        """Take replies."""
        self.bytes_received += len(data)
        if self._error is None:
            self._reader.feed(data)
            self.pull()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """What has no reply gets none."""
        self.gone = True
        if self._error is None:
            self._error = self._lost_by(reason)
        self._owner.lost(self, self._error)
        if not (self._in_flight and self._in_flight[0].full):
            self._fail_all()

    def pauseProducing(self) -> None:
        """The server does not read."""
        self._paused = True

    def resumeProducing(self) -> None:
        """It has read."""
        self._paused = False
        self._owner.room()

    def stopProducing(self) -> None:
        """The connection is gone; :meth:`connectionLost` follows."""

    # For the client.

    @property
    def usable(self) -> bool:
        """Whether it is neither over nor about to be."""
        return self._error is None

    @property
    def has_room(self) -> bool:
        """Whether a command can be sent now."""
        return not self._paused and self._error is None and len(self._in_flight) < self._most

    @property
    def first(self) -> Call | None:
        """The command whose reply comes next."""
        return self._in_flight[0] if self._in_flight else None

    @property
    def private(self) -> bool:
        """Whether nobody on the way can read along."""
        if self.encrypted or IUNIXTransport.providedBy(self.transport):
            return True
        try:
            return parse_address(getattr(self.transport.getPeer(), "host", "")).is_loopback
        except ValueError:
            return False

    def send(self, call: Call) -> None:
        """Send a command; its reply follows those to the commands before it."""
        if self._error is not None:
            call.fail(self._error)
            return
        call.carrier = self
        self._in_flight.append(call)
        self._reader.expect(call.lines)
        self.transport.write(call.data)

    def start_tls(self, creator: Any) -> None:
        """Speak TLS from now on; :meth:`Owner.opened` follows.

        :param creator: an
            :class:`~twisted.internet.interfaces.IOpenSSLClientConnectionCreator`.
        """
        if self._reader.holds:
            # Somebody on the way could have put it there, to be taken for encrypted replies.
            self.drop(LineWireError("the server has sent more in plain text before TLS"))
            return
        self._opened = False
        self._turning = True
        self.transport.startTLS(creator)  # type: ignore[attr-defined]  # streams that can

    def close(self, error: Exception) -> None:
        """Close once all is sent; replies are not waited for."""
        if self._error is None:
            self._error = error
            if not self.gone:
                self.transport.unregisterProducer()
                self._regulate(True)
                self.transport.loseConnection()
        self._fail_all()

    def give_up(self, error: Exception) -> None:
        """Take no more commands; :meth:`drop` follows.

        :param error: why.
        """
        if self._error is None:
            self._error = error

    def drop(self, error: Exception) -> None:
        """Close at once.

        :param error: what calls in flight have.
        """
        self.give_up(error)
        if not self.gone:
            self.transport.abortConnection()
        self._fail_all()

    # Replies.

    def pull(self) -> None:
        """Take all replies that are here and wanted."""
        if self._pulling:
            return
        self._pulling = True
        try:
            self._take_all()
        except LineWireError as error:
            self.drop(error)
        finally:
            self._pulling = False
        heard, self._heard = self._heard, []
        for call in heard:
            call.wake()
        self._owner.room()

    def _take_all(self) -> None:
        in_flight = self._in_flight
        while not (in_flight and in_flight[0].full):
            if self._error is not None and not in_flight:
                return  # nobody is left to hear it
            event = self._reader.next()
            if event is None:
                if self.gone:
                    self._fail_all()
                else:
                    self._regulate(True)
                return
            self._take(event)
        if not self.gone:
            self._regulate(False)

    def _take(self, event: Event) -> None:
        self._spoken = True
        self.answered |= not isinstance(event, Parting)
        if isinstance(event, Text):
            call = self._in_flight.popleft() if event.last else self._in_flight[0]
            call.take(event.text, event.last)
        elif isinstance(event, End):
            call = self._in_flight.popleft()
            call.end()
        elif isinstance(event, Failed):
            call = self._in_flight.popleft()
            lost = self._out_of_step(call, event)
            if lost is not None:
                self.give_up(lost)  # what this failure makes the program do is not for it
            call.fail(LineError(event.code, event.text))
            if lost is not None:
                self.drop(lost)
        elif isinstance(event, Push):
            self._owner.pushed(event.text)
            return
        else:
            self._parting = event
            return
        if call.lines and not (self._heard and self._heard[-1] is call):
            self._heard.append(call)

    def _out_of_step(self, call: Call, event: Failed) -> LineWireError | None:
        """Why a server is left that has taken what came behind a command for its literal.

        It does that for commands that it does not know, where text at the end of the line looks
        like a length; replies would be matched with other calls than those they answer.
        """
        line = call.data.removesuffix(b"\r\n")
        if event.code != "unknown-command" or b"\n" in line or literal_length(line) is None:
            return None
        why = f"{call.name}: the server has taken what follows for a literal of its"
        return LineWireError(why)

    def _regulate(self, read: bool) -> None:
        if read == self._reading:
            return
        self._reading = read
        if read:
            self.transport.resumeProducing()
        else:
            self.transport.pauseProducing()

    # The end.

    def _open(self) -> None:
        if not self._opened and not self._turning and self._error is None:
            self._opened = True
            self._owner.opened(self)

    def _lost_by(self, reason: Failure) -> LineConnectionError:
        why = reason_text(reason.value)
        if isinstance(reason.value, ConnectionDone) or "unexpected eof" in why:
            why = "the server has closed it"
            if not self._spoken:
                why += " before it said anything"
            elif self._in_flight:
                why += f" before it replied to {self._in_flight[0].name}"
        if self._parting is not None:
            why = f"the server has said: {LineError(self._parting.code, self._parting.text)}"
        error = LineConnectionError(f"the connection was lost: {why}")
        error.heard = self._spoken
        error.__cause__ = reason.value
        return error

    def _fail_all(self) -> None:
        """Tell every call in flight that there will be no reply."""
        calls = list(self._in_flight)
        self._in_flight.clear()
        for call in calls:
            call.fail(self._error or LineConnectionError("the connection was lost"))
            call.wake()


def reason_text(error: BaseException | None) -> str:
    """What went wrong, for people: OpenSSL says it in tuples, service_identity as Python."""
    names = _names(error)
    if names:
        return f"the certificate is not for {names}"
    if isinstance(error, SSL.Error) and error.args and isinstance(error.args[0], list):
        return ", ".join(str(each[-1]) for each in error.args[0]) or "TLS failed"
    return str(error).rstrip(".") or type(error).__name__


def _names(error: BaseException | None) -> str:
    """The names that a certificate should have had, if that is what is wrong."""
    found = []
    for each in getattr(error, "errors", None) or ():
        wanted = getattr(each, "mismatched_id", None)
        name = getattr(wanted, "hostname", None) or getattr(wanted, "ip", None)
        if name is not None:
            found.append(name.decode("ascii", "replace") if isinstance(name, bytes) else str(name))
    return ", ".join(found)
