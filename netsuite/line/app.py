"""A line application: commands, and the rules that hold for all of them."""

import json
from collections.abc import Callable, Collection, Iterator
from inspect import isawaitable, iscoroutine
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from netsuite.ip import parse_address, rate_key
from netsuite.line._arguments import Signature, signature_of
from netsuite.line._commands import Command, Commands, Length, define, names_of
from netsuite.line._errors import CommandError
from netsuite.line._help import help_lines, help_of
from netsuite.line._limits import Limits
from netsuite.line._machine import Conversation
from netsuite.line._output import Output
from netsuite.line._replies import Replies, ReplyError
from netsuite.line._requests import Request
from netsuite.line._session import Session
from netsuite.line._verbatim import VerbatimConversation
from netsuite.net import TokenBuckets

if TYPE_CHECKING:
    from netsuite.line._test_client import LineTestClient

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Extension(Protocol):
    """Something that adds commands to an application: authentication, channels, STARTTLS."""

    def install(self, app: "LineApp") -> None:
        """Add them."""


class Recorder(Protocol):
    """What hears of each request and reply: a transcript."""

    def request(self, session: Session, request: Request) -> None:
        """A peer asks."""

    def reply(self, session: Session, data: bytes) -> None:
        """It is answered."""


class Rule(Protocol):
    """What forbids commands for a while, beyond who the peer is: STARTTLS."""

    def concerns(self, session: Session) -> bool:
        """Whether all commands of a session have to be looked at now."""

    def forbids(self, session: Session, command: Command) -> CommandError | None:
        """Why a session may not give a command now, if it may not."""


class LineApp:
    """Commands for peers that speak in lines.

    Commands are functions; their annotations say what the words of a line become::

        app = LineApp("calculator")

        @app.command()
        def add(a: float, b: float) -> float:
            \"\"\"Add two numbers.\"\"\"
            return a + b

    ``HELP``, ``HELP NAME``, ``COMMANDS`` (JSON), ``NOOP`` and ``QUIT`` are there by themselves.

    :param name: of the application, for its greeting and help.
    :param greeting: said to each peer first, as ``* greeting``; None for nothing.
    :param limits: of each connection.
    :param line_end: sent behind each line; LF and CRLF are both taken.
    :param exact: whether commands are taken only as they are written: no other case, no
        unique prefixes.
    :param invalid_utf8: what becomes of words that are not UTF-8: ``strict``, they are refused
        with ``ERR bad-encoding``; ``replace``, U+FFFD stands for what cannot be decoded; or
        ``surrogateescape``, they are kept (PEP 383) and go out as they came in.
    :param builtins: whether there are HELP, COMMANDS, NOOP and QUIT.
    :param format_error: an error reply as bytes, line end included; ``ERR code text`` by default.
    :param fallback: takes the lines whose first word is no command: the session and the line
        without its end, as bytes.
    :param words: for a wire of the program's own: the words of a line, which comes without its
        LF. Its commands take ``Words``; their replies are bytes, or an iterator of bytes for
        what is too much to have at once. A line that is too long ends the connection.
    :ivar commands: those there are.
    :ivar login_required: whether peers have to log in before they may give commands that are
        not ``open``.
    :ivar on_connect: called with each new session, after the greeting. What one of them raises
        is logged and ends the connection; what is asynchronous is not awaited, and does so too.
    :ivar rules: what else forbids commands, ``open`` ones too.
    :raises ValueError: for a greeting that is not one line.
    """

    def __init__(
        self,
        name: str,
        *,
        greeting: str | None = None,
        limits: Limits | None = None,
        line_end: Literal[b"\r\n", b"\n"] = b"\r\n",
        exact: bool = False,
        invalid_utf8: Literal["strict", "replace", "surrogateescape"] = "strict",
        builtins: bool = True,
        format_error: Callable[[CommandError], bytes] | None = None,
        fallback: Callable[[Session, bytes], object] | None = None,
        words: Callable[[bytes], list[bytes]] | None = None,
    ) -> None:
        if line_end not in {b"\r\n", b"\n"}:
            raise ValueError(f"line_end {line_end!r}: expected b'\\r\\n' or b'\\n'")
        self.name = name
        self.greeting = greeting
        self.limits = limits or Limits()
        self.replies = Replies(line_end, format_error)
        if greeting is not None:
            try:
                self.replies.push(greeting)
            except ReplyError:
                raise ValueError(f"greeting {greeting!r}: expected one line of text") from None
        self.commands = Commands(exact)
        self.commands.words = words
        self.login_required = False
        self.on_connect: list[Callable[[Session], object]] = []
        self.rules: list[Rule] = []
        self.recorder: Recorder | None = None
        self._errors = invalid_utf8
        self._buckets: dict[str, TokenBuckets] = {}
        if fallback is not None:
            whole = Signature((), session=True, line=True)
            self.commands.fallback = define(fallback, whole, "LINE", hidden=True)
        if builtins:
            self._add_builtins()

    def __repr__(self) -> str:
        return f"<LineApp {self.name}>"

    def command(
        self,
        name: str | None = None,
        *,
        aliases: Collection[str] = (),
        roles: Collection[str] = (),
        open: bool = False,  # noqa: A002 - the field's word
        rate: float | None = None,
        parallel: bool = False,
        exclusive: bool = False,
        hidden: bool = False,
        secret: bool = False,
        length: Length | None = None,
    ) -> Callable[[_Function], _Function]:
        """Make a function a command.

        A first parameter that is annotated :class:`Session` gets the session. The others are
        words of the line, by their annotations: ``int``, ``float``, ``bool``, ``str`` (a word,
        or several in quotes), ``bytes``, ``Literal["a", "b"]`` and enumerations, ``Address`` and
        ``Network``; ``Rest`` is the rest of the line as it is, ``Block`` a byte-counted literal.
        Defaults make them optional, but for a ``Block``; ``*names`` takes as many as come.

        What the function returns is the reply: None for ``OK``, a text or a number for a line,
        bytes for exactly these, or an awaitable of one of them. A generator, an asynchronous
        generator, or a function whose return annotation is a collection or an iterator (or an
        awaitable of one, or None), gives several lines, which are taken as the peer reads them.
        :class:`CommandError` is an error reply; any other exception is logged, and the peer
        reads ``ERR failed``.

        :param name: in upper case by custom; made of the function's name by default.
        :param aliases: other names.
        :param roles: a peer needs one of them; see :meth:`Session.login`.
        :param open: whether peers may give it before they have logged in.
        :param rate: times a second for each client (an IPv4 address, an IPv6 /64), and as many
            at once.
        :param parallel: whether it may run beside others that are parallel. Replies keep the
            order of the commands all the same.
        :param exclusive: for commands that hand the connection over or begin TLS: nothing
            behind them is looked at before they are answered.
        :param hidden: whether help leaves it out.
        :param secret: whether transcripts and errors leave its arguments out.
        :param length: for a command of ``Words`` and a ``Block``: how many bytes follow a line,
            their line end included if they have one; None for none. The function gets them; no
            block where there is none, and where it is larger than the limit and was skipped.
        :raises DefinitionError: (when the function is there) for what no line can give.
        """

        def defined(function: _Function) -> _Function:
            self._define(
                function,
                name,
                aliases=aliases,
                roles=roles,
                open=open,
                rate=rate,
                parallel=parallel,
                exclusive=exclusive,
                hidden=hidden,
                secret=secret,
                length=length,
            )
            return function

        return defined

    def add(self, extension: Extension) -> None:
        """Have what an extension brings, authentication or channels for example."""
        extension.install(self)

    def _define(self, function: Callable[..., Any], name: str | None, **given: Any) -> None:
        signature = signature_of(function, Session, self._errors)
        command = define(function, signature, name, **given)
        self.commands.add(command)
        if command.rate is not None:
            self._buckets[command.name] = TokenBuckets(command.rate, max(1.0, command.rate))

    def test_client(self, **options: Any) -> "LineTestClient":
        """A peer in memory, for tests: no sockets, no reactor, and time that one advances.

        :param options: as :class:`~netsuite.testing.LineTestClient` takes them.
        """
        from netsuite.line._test_client import LineTestClient  # noqa: PLC0415 - it imports us

        return LineTestClient(self, **options)

    # What happens on a connection.

    def converse(
        self,
        output: Output,
        *,
        peer: str = "",
        host: str = "",
        secure: bool = False,
        clock: Any,
        user: str | None = None,
        roles: Collection[str] = (),
        replies: Replies | None = None,
    ) -> Conversation:
        """A conversation with a new peer.

        :param output: its connection.
        :param peer: who it is, for people.
        :param host: its IP address as text, for rates; ``""`` if it has none.
        :param secure: whether nobody on the way can read along.
        :param clock: the time, and calls later.
        :param user: who it is where that is known already, by SSH for example.
        :param roles: what that user may do.
        :param replies: how replies look, where that is not as for all.
        """
        replies = replies or self.replies
        kind = Conversation if self.commands.words is None else VerbatimConversation
        conversation = kind(self.commands, self.limits, replies, output, self)
        session = conversation.session = Session(
            self, conversation, replies, peer=peer, host=host, secure=secure, clock=clock
        )
        session.user, session.roles = user, frozenset(names_of("roles", roles))
        self.watch(session)
        return conversation

    def begin(self, session: Session) -> None:
        """Tell those in ``on_connect`` of a new session, which can be written to."""
        for callback in self.on_connect:
            given = callback(session)
            if isawaitable(given):
                if iscoroutine(given):
                    given.close()  # or there would be a warning too
                raise TypeError(f"{callback!r}: expected a function that is not asynchronous")

    def watch(self, session: Session) -> None:
        """Look at each of a session's commands, or only at those with rules of their own."""
        session.watch(
            self.recorder is not None
            or (self.login_required and session.user is None)
            or any(rule.concerns(session) for rule in self.rules)
        )

    def visible(self, session: Session) -> Iterator[Command]:
        """The commands that a session is told of."""
        for command in self.commands:
            if not command.hidden and self.forbids(session, command) is None:
                yield command

    def may(self, session: Session, command: Command) -> CommandError | None:
        """Why a session may not give a command now, if it may not."""
        error = self.forbids(session, command)
        if error is None and command.rate is not None:
            key = rate_key(parse_address(session.host)) if session.host else session.peer
            if not self._buckets[command.name].take(key, session.clock.seconds()):
                text = command.told(f"expected at most {command.rate:g} a second")
                return CommandError("rate-limit", text)
        return error

    def forbids(self, session: Session, command: Command) -> CommandError | None:
        """The same, without a look at how often it is given."""
        for rule in self.rules:
            error = rule.forbids(session, command)
            if error is not None:
                return error
        if command.open:
            return None
        if self.login_required and session.user is None:
            return CommandError("not-allowed", command.told("expected AUTH first"))
        if command.roles and not command.roles & session.roles:
            return CommandError("not-allowed", f"{command.name} is not for you")
        return None

    def request(self, session: Session, request: Request) -> None:
        """Tell the recorder."""
        if self.recorder is not None:
            self.recorder.request(session, request)

    def reply(self, session: Session, data: bytes) -> None:
        """Tell the recorder."""
        if self.recorder is not None:
            self.recorder.reply(session, data)

    # What is there by itself.

    def _add_builtins(self) -> None:
        @self.command(open=True, aliases=["?"])
        def help_(session: Session, name: str = "") -> Iterator[str]:
            """Say what commands there are, or what one of them does."""
            if not name:
                return help_lines(self.name, self.visible(session))
            return help_of(self._visible_command(session, name))

        @self.command(open=True)
        def commands(session: Session) -> str:
            """List the commands for programs, as JSON."""
            return self.described(session)

        @self.command(open=True)
        def noop() -> None:
            """Do nothing; it is answered if somebody is there."""

        @self.command(open=True, aliases=["EXIT"])
        def quit_(session: Session) -> None:
            """Close the connection."""
            session.close()

    def _visible_command(self, session: Session, name: str) -> Command:
        command = self.commands.find(name.encode("utf-8", "surrogateescape"))
        error = self.forbids(session, command)
        if command.hidden:
            raise CommandError("unknown-command", f'"{name}": HELP lists the commands')
        if error is not None:
            raise error
        return command

    def described(self, session: Session) -> str:
        """The commands that a session is told of, as JSON in one line."""
        commands = [each.described() for each in self.visible(session)]
        return json.dumps({"app": self.name, "version": 1, "commands": commands})
