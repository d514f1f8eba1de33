"""``netsuite line connect``: a conversation with a server of lines.

From a file or a pipe, commands are sent as they are read, and the replies are written in their
order. On a terminal they are given one by one.
"""

import math
from collections import deque
from collections.abc import Awaitable
from typing import Any, Protocol, TextIO, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from netsuite.line._client_commands import CommandInfo, CommandList
from netsuite.line._client_errors import in_seconds
from netsuite.line._client_wire import typed
from netsuite.line._shell_input import LONGEST, Input
from netsuite.line._shell_options import PROGRAM, ConnectOptions, Trouble
from netsuite.line._shell_text import visible
from netsuite.line._wire import literal_length
from netsuite.line.client import (
    LineArgumentError,
    LineClient,
    LineClientError,
    LineConnectionError,
    LineError,
    LineStream,
    LineWireError,
)

#: Commands that were sent and whose replies were not shown yet, before more are read.
AHEAD = 1000

_T = TypeVar("_T")


class Screen:
    """Where replies go.

    :param output: what a person or a program reads.
    :param terminal: whether it is a terminal, which would obey what it is sent.
    :param notes: what is no reply, but has to be said.
    """

    def __init__(self, output: TextIO, terminal: bool, notes: TextIO | None) -> None:
        self._output = output
        self._terminal = terminal
        self._notes = notes

    def line(self, text: str) -> None:
        """Show a line.

        :raises Trouble: if it cannot be written.
        :raises BrokenPipeError: if nobody wants to read it.
        """
        shown = visible(text) if self._terminal else text
        try:
            self._output.write(shown.encode(errors="backslashreplace").decode() + "\n")
        except OSError as error:
            raise _unwritten(error) from None

    def note(self, text: str) -> None:
        """Say something that is no reply."""
        if self._notes is None:
            return
        line = visible(text).encode(errors="backslashreplace").decode()
        self._notes.write(f"{PROGRAM}: {line}\n")
        self._notes.flush()

    def flush(self) -> None:
        """Have it seen now; raises as :meth:`line` does."""
        try:
            self._output.flush()
        except OSError as error:
            raise _unwritten(error) from None


def _unwritten(error: OSError) -> Exception:
    return error if isinstance(error, BrokenPipeError) else Trouble(f"output: {error.strerror}")


class Watch:
    """Gives up when nothing has come for some time, while something is waited for.

    :ivar seconds: how long that is; None for never.
    """

    def __init__(self, clock: IReactorTime, seconds: float | None) -> None:
        self.seconds = seconds
        self._clock = clock
        self._since = 0.0

    def progress(self) -> None:
        """Something has come."""
        self._since = self._clock.seconds()

    async def over(self, awaited: Deferred[_T], complaint: str = "nothing came for") -> _T:
        """What is awaited.

        :raises Trouble: if it does not come in time; the complaint is in front of the seconds.
        """
        if self.seconds is None or awaited.called:
            return await awaited
        late: list[bool] = []
        timer: IDelayedCall

        def look() -> None:
            nonlocal timer
            left = self._since + (self.seconds or 0) - self._clock.seconds()
            if left > 0:
                timer = self._clock.callLater(left, look)
            else:
                late.append(True)
                awaited.cancel()

        self.progress()
        timer = self._clock.callLater(self.seconds, look)
        try:
            return await awaited
        except CancelledError:
            if late:
                raise Trouble(f"{complaint} {in_seconds(self.seconds)}") from None
            raise
        finally:
            if timer.active():
                timer.cancel()


class Commands:
    """The server's commands, as far as it lists them."""

    def __init__(self, client: LineClient) -> None:
        self._client = client
        self.known: CommandList | None = None

    async def learn(self) -> str:
        """Ask the server; it may know nothing of that.

        :returns: what to tell of it, if there is anything.
        """
        try:
            self.known = await self._client.commands(refresh=True)
        except (LineError, LineWireError):
            # One that has broken the wire has no connection any more: the next call tells of it.
            self.known = None
            return "the server lists no commands: each reply is taken for one line"
        return ""

    def of(self, line: str) -> CommandInfo:
        """The command that a line gives; one of one line if nobody knows."""
        name = line.split(None, 1)[0]
        found = None if self.known is None else self.known.find(name)
        return found or CommandInfo(name.upper())


class Pipe:
    """Commands from a file or a pipe.

    :param source: their lines; None for ``options.commands``.
    """

    def __init__(
        self,
        client: LineClient,
        options: ConnectOptions,
        source: Input | None,
        screen: Screen,
        clock: IReactorTime,
    ) -> None:
        self._client = client
        self._commands = Commands(client)
        self._given = deque(options.commands)
        self._source = source
        self._screen = screen
        self._watch = Watch(clock, options.timeout)
        self._pending: deque[Deferred[str] | LineStream] = deque()
        self._wake: Deferred[None] | None = None
        self._all_read = False
        self._errors = False

    async def run(self) -> int:
        """Give all commands, and show all replies.

        :returns: the exit status.
        :raises Trouble: if the server or the input does not go on.
        :raises LineClientError: for what else is wrong with the connection.
        """
        note = await self._commands.learn()
        if note:
            self._screen.note(note)
        failed: list[BaseException] = []

        def broken(failure: Any) -> None:
            failed.append(failure.value)
            self._notify()

        reading = Deferred.fromCoroutine(self._read()).addErrback(broken)
        try:
            while self._pending or not (self._all_read or failed):
                if self._pending:
                    await self._show(self._pending.popleft())
                    self._notify()
                else:
                    self._screen.flush()
                    await self._until()
        finally:
            reading.cancel()
            self._screen.flush()
            for each in self._pending:
                if isinstance(each, Deferred):
                    each.addErrback(_ignore)  # one error says it all
        if failed:
            raise failed[0]
        return int(self._errors)

    async def _read(self) -> None:
        while (line := await self._next()) is not None:
            if not line.strip():
                continue
            if self._source is not None:
                check(line, self._source.where)
            command = self._commands.of(line)
            if command.name == "STARTTLS":
                raise Trouble("STARTTLS: expected --starttls in place of the command")
            literal = await self._literal(command, line)
            self._pending.append(
                self._client.stream_line(line, literal, timeout=math.inf)
                if command.lines
                else self._client.call_line(line, literal, timeout=math.inf)
            )
            self._notify()
            while len(self._pending) >= AHEAD:
                await self._until()
        self._all_read = True
        self._notify()

    async def _next(self) -> str | None:
        if self._source is None:
            return self._given.popleft() if self._given else None
        line = await self._source.line()
        return None if line is None else line.decode("utf-8", "surrogateescape")

    async def _literal(self, command: CommandInfo, line: str) -> bytes | None:
        counted = counts(command, line)
        if counted is None:
            return None
        if self._source is None:
            raise Trouble(f"{command.name}: a literal can only come from the standard input")
        return await self._source.exactly(counted)

    async def _show(self, reply: Deferred[str] | LineStream) -> None:
        try:
            if isinstance(reply, LineStream):
                await self._watch.over(Deferred.fromCoroutine(self._show_lines(reply)))
            else:
                if not reply.called:
                    self._screen.flush()
                self._screen.line(await self._watch.over(reply))
        except LineError as error:
            self._errors = True
            self._screen.line(f"ERR {error}")

    async def _show_lines(self, stream: LineStream) -> None:
        async for line in stream:
            self._screen.line(line)
            self._watch.progress()

    async def _until(self) -> None:
        # Either side waits for the other, never both.
        self._wake = Deferred()
        await self._wake

    def _notify(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None and not wake.called:
            wake.callback(None)


class Editor(Protocol):
    """Where a person types."""

    def line(self, prompt: str) -> Awaitable[str]:
        """A line.

        :raises EOFError: if there are no more.
        :raises KeyboardInterrupt: if this one was given up.
        """

    def show(self, text: str) -> None:
        """Show a line above what is being typed."""

    def interrupt(self) -> None:
        """Give up what is being typed."""


class Conversation:
    """Commands that a person types."""

    def __init__(
        self,
        client: LineClient,
        options: ConnectOptions,
        editor: Editor,
        screen: Screen,
    ) -> None:
        self._client = client
        self._options = options
        self._editor = editor
        self._screen = screen
        self._running: Deferred[None] | None = None
        self._lost = False
        self.commands = Commands(client)

    async def run(self) -> int:
        """Talk until the person has had enough.

        :returns: the exit status.
        """
        while True:
            try:
                line = await self._editor.line(self._prompt())
                literal = await self._literal(line)
            except KeyboardInterrupt:
                continue
            except EOFError:
                return 0
            if line.strip() and await self._give(line, literal):
                return 0

    def interrupt(self) -> None:
        """The person wants no more of it."""
        if self._running is not None:
            self._running.cancel()
        else:
            self._editor.interrupt()

    def pushed(self, text: str) -> None:
        """The server says something by itself."""
        self._editor.show(visible(f"* {text}"))

    def lost(self, error: Exception) -> None:
        """The connection is gone, or there is still none."""
        if not self._lost:
            self._lost = True
            self._editor.show(visible(f"{error}; trying again"))

    def connected(self) -> None:
        """There is a connection."""
        if self._lost:
            self._lost = False
            self._editor.show(f"connected to {visible(self._options.server)} again")

    def _prompt(self) -> str:
        known = self.commands.known
        return f"{visible(known.app)[:40] if known and known.app else self._options.server}> "

    async def _literal(self, line: str) -> bytes | None:
        counted = counts(self.commands.of(line), line) if line.strip() else None
        if counted is None:
            return None
        data = b""
        while len(data) < counted:
            more = await self._editor.line(f"{{{counted - len(data)}}}> ")
            data += more.encode("utf-8", "surrogateescape")
            if len(data) < counted:
                data += b"\n"
        return data[:counted]

    async def _give(self, line: str, literal: bytes | None) -> bool:
        """Give a command and show the reply; whether it was the last."""
        command = self.commands.of(line)
        if command.name == "STARTTLS":
            self._screen.line("STARTTLS: start again with --starttls")
            return False
        self._running = Deferred.fromCoroutine(self._reply(command, line, literal))
        try:
            await self._running
        except CancelledError:
            # Its reply would hold up those to all that follows.
            self._screen.line("")
            self._client.drop()
            return False
        except LineConnectionError:
            self._screen.line(f"{command.name}: no reply")  # why not is said by lost()
            return False
        except LineClientError as error:
            self._screen.line(f"ERR {error}" if isinstance(error, LineError) else str(error))
            return False
        finally:
            self._running = None
            self._screen.flush()
        if command.name in {"AUTH", "LOGOUT"}:
            await self.commands.learn()  # others may be listed now
        return command.name == "QUIT"

    async def _reply(self, command: CommandInfo, line: str, literal: bytes | None) -> None:
        if not command.lines:
            self._screen.line(await self._client.call_line(line, literal, timeout=math.inf))
            return
        async with self._client.stream_line(line, literal, timeout=math.inf) as stream:
            async for each in stream:
                self._screen.line(each)


def counts(command: CommandInfo, line: str) -> int | None:
    """How long a literal is that follows a line, if one does."""
    if not command.literal:
        return None
    found = literal_length(line.encode("utf-8", "surrogateescape"))
    return None if found is None else found[1]


def check(line: str, where: str) -> None:
    """See that a line can be sent.

    :param where: it comes from.
    :raises Trouble: if it cannot; who typed it has to know, the server is all right.
    """
    try:
        typed(line, LONGEST)
    except LineArgumentError as error:
        raise Trouble(f"{where}: {error}") from None


def client_of(
    options: ConnectOptions, reactor: Any, password: str | None, **more: Any
) -> LineClient:
    """A client as the options have it.

    :param password: for ``options.user``.
    :raises Trouble: for options that cannot be.
    """
    return LineClient(
        options.endpoint(reactor),
        reactor=reactor,
        start_tls=options.creator() if options.starttls else None,
        token=options.token,
        user=options.user,
        password=password,
        insecure_login=options.insecure_login,
        line_length=LONGEST,
        max_in_flight=AHEAD,
        **more,
    )


def _ignore(_: object) -> None:
    pass
