"""One peer's session, as commands see it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Protocol

from netsuite.line._commands import names_of
from netsuite.line._errors import RAISED, CommandError
from netsuite.line._replies import Replies

if TYPE_CHECKING:
    from netsuite.line.app import LineApp


_Callbacks = tuple[Callable[[], object], ...]


class Line(Protocol):
    """What a session needs of its connection."""

    @property
    def writable(self) -> bool:
        """Whether a push can go out now."""

    def push(self, data: bytes) -> bool:
        """Send something that is no reply, if it can go out now."""

    def close(self, error: CommandError | None = None) -> None:
        """Close once what was begun is answered."""

    def abort(self) -> None:
        """Close at once."""

    def watch(self, watching: bool) -> None:
        """Look at each command, or only at those with rules of their own."""

    def start_tls(self, context: Any) -> None:
        """Speak TLS after the reply to this command."""

    def upgrade(self, take: Callable[[Any, bytes], Any]) -> None:
        """Hand the connection over after the reply to this command."""

    def failed(self, name: str, error: BaseException) -> None:
        """Log what a callback has raised."""


class Session:
    """One peer's session.

    :ivar app: the application.
    :ivar peer: who it is, for people: ``192.0.2.1:7``, ``unix:/path``.
    :ivar host: the peer's address for rates and limits: an IP address as text, or ``""``.
    :ivar user: who has logged in; None for nobody.
    :ivar roles: what that user may do.
    :ivar secure: whether nobody on the way can read along: TLS, SSH, a UNIX socket.
    :ivar clock: the time, and calls later (:class:`~twisted.internet.interfaces.IReactorTime`).
    :ivar state: the program's own.
    """

    __slots__ = (
        "__weakref__",
        "_ended",
        "_line",
        "_on_closing",
        "_on_end",
        "_on_logout",
        "_on_writable",
        "_replies",
        "app",
        "clock",
        "host",
        "peer",
        "roles",
        "secure",
        "state",
        "user",
    )

    def __init__(
        self,
        app: LineApp,
        line: Line,
        replies: Replies,
        *,
        peer: str = "",
        host: str = "",
        secure: bool = False,
        clock: Any = None,
    ) -> None:
        self.app = app
        self.peer = peer
        self.host = host
        self.secure = secure
        self.clock = clock
        self.user: str | None = None
        self.roles: frozenset[str] = frozenset()
        self.state: dict[str, Any] = {}
        self._line = line
        self._replies = replies
        self._on_writable: _Callbacks = ()
        self._on_closing: _Callbacks = ()
        self._on_end: _Callbacks = ()
        self._on_logout: _Callbacks = ()
        self._ended = False

    def __repr__(self) -> str:
        return f"<Session of {self.user or 'nobody'} from {self.peer}>"

    @property
    def writable(self) -> bool:
        """Whether a push can go out now: the peer reads, and no reply is half sent."""
        return self._line.writable

    @property
    def line_end(self) -> bytes:
        """How lines end that are sent to this peer."""
        return self._replies.line_end

    @property
    def shown(self) -> bool:
        """Whether a front end has replies look in a way of its own."""
        return self._replies is not self.app.replies

    @property
    def ended(self) -> bool:
        """Whether the connection is gone."""
        return self._ended

    def send(self, text: str) -> bool:
        """Send a line that answers nothing; it stands between replies, never inside one.

        :returns: whether it was sent. It is not while the session is not writable, and
            nothing is kept: see :meth:`on_writable`.
        """
        return self._line.push(self._replies.push(text))

    def send_raw(self, data: bytes) -> bool:
        """Send bytes as they are, line ends included, as :meth:`send` does."""
        return self._line.push(data)

    def on_writable(self, callback: Callable[[], object]) -> None:
        """Call each time the session has become writable again."""
        self._on_writable += (callback,)

    def on_closing(self, callback: Callable[[], object]) -> None:
        """Call when all is answered and the connection is about to be closed.

        That is when the service drains, when the peer has closed its direction, and when the
        program closes the session (``QUIT``), unless with an error. What the callback sends goes
        out first. While the peer has yet to read, the connection stays open, and the callback is
        called again afterwards: what is to be said once is up to it.
        """
        self._on_closing += (callback,)

    def on_end(self, callback: Callable[[], object]) -> None:
        """Call when the connection is gone; at once if it is."""
        if self._ended:
            callback()
        else:
            self._on_end += (callback,)

    def login(self, user: str, roles: Collection[str] = ()) -> None:
        """The peer is this user from now on."""
        self.roles = frozenset(names_of("roles", roles))
        self.user = user
        self.app.watch(self)

    def on_logout(self, callback: Callable[[], object]) -> None:
        """Call once when the user of now has logged out, or the connection is gone."""
        self._on_logout += (callback,)

    def logout(self) -> None:
        """The peer is nobody again."""
        self.user = None
        self.roles = frozenset()
        self.app.watch(self)
        self._forget_user()

    def close(self, error: CommandError | None = None) -> None:
        """Close the connection after the reply to what was begun.

        :param error: said last.
        """
        self._line.close(error)

    def abort(self) -> None:
        """Close the connection at once; what was not sent is lost."""
        self._line.abort()

    def start_tls(self, context: Any) -> None:
        """Speak TLS after the reply to this command.

        What the peer has sent behind the command in plain text ends the connection: an
        attacker on the way could have put it there (RFC 2595 section 4, CVE-2011-0411).

        :param context: a server's context factory, as ``startTLS`` of a transport takes it.
        """
        self._line.start_tls(context)

    def upgrade(self, take: Callable[[Any, bytes], Any]) -> None:
        """Hand the connection over after the reply to this command.

        The command has to be declared ``exclusive``.

        :param take: gets the transport and the bytes that came behind the command; returns
            the protocol (:class:`~twisted.internet.interfaces.IProtocol`) that has the
            connection from then on, which is then connected and given those bytes.
        """
        self._line.upgrade(take)

    # For the connection and the application.

    def watch(self, watching: bool) -> None:
        """Look at each command, or only at those with rules of their own."""
        self._line.watch(watching)

    def became_writable(self) -> None:
        """Tell those who wait for it."""
        for callback in self._on_writable:
            self._call("on_writable", callback)

    def closing(self) -> None:
        """Tell those who may have something to say before it is closed."""
        callbacks, self._on_closing = self._on_closing, ()
        for callback in callbacks:  # which may close it, and so come back here
            self._call("on_closing", callback)
        if not self._ended:
            self._on_closing = callbacks + self._on_closing

    def end(self) -> None:
        """The connection is gone."""
        self._ended = True
        self._on_writable = self._on_closing = ()
        self._forget_user()
        callbacks, self._on_end = self._on_end, ()
        for callback in reversed(callbacks):
            self._call("on_end", callback)

    def _forget_user(self) -> None:
        callbacks, self._on_logout = self._on_logout, ()
        for callback in reversed(callbacks):
            self._call("on_logout", callback)

    def _call(self, name: str, callback: Callable[[], object]) -> None:
        """Call what a program has asked for; the others are called whatever it does."""
        try:
            callback()
        except RAISED as error:
            self._line.failed(name, error)
