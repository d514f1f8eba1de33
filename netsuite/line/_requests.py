"""From bytes to requests: lines, byte-counted literals, and what is too long."""

from collections.abc import Callable
from dataclasses import dataclass, field

from netsuite.line._arguments import shown_word
from netsuite.line._commands import Command, Commands
from netsuite.line._errors import CommandError
from netsuite.line._limits import Limits
from netsuite.line._wire import literal_length

#: How many times its limit a line or a literal may be, to be skipped rather than fatal.
SKIPPED = 16

_LOOKED_AT = 100  # bytes of a line that is too long, for the error
_TAIL = 64  # bytes of its end, where a literal's length may be


@dataclass(slots=True)
class Request:
    """A command that a peer has given, or what was wrong with it.

    :ivar command: which one; None if there is none.
    :ivar arguments: for the handler, after the session.
    :ivar error: what the peer is told instead of anything being done.
    :ivar fatal: whether the connection ends with it.
    :ivar line: as it came, for transcripts.
    :ivar refused: how many there are of it, all of which came when the queue was full.
    """

    command: Command | None
    arguments: list[object] = field(default_factory=list)
    error: CommandError | None = None
    fatal: bool = False
    line: bytes = b""
    size: int = 0
    refused: int = 0

    @property
    def parallel(self) -> bool:
        """Whether it may begin beside others that are."""
        return self.command is None or self.error is not None or self.command.parallel

    @property
    def exclusive(self) -> bool:
        """Whether what follows it may be no lines."""
        return self.fatal or (self.command is not None and self.command.exclusive)


class Requests:
    """The requests in a stream of bytes, each when it is asked for.

    It holds at most one line or literal that is not complete, beside what it was fed at once.

    :param forbids: why a peer may not give a command, if it may not: its literals are skipped.
    :ivar held: bytes that no request was made of so far.
    :ivar undecided: whether the next one is not made yet, because what was asked before may change
        what the peer may do.
    """

    __slots__ = (
        "_commands",
        "_forbids",
        "_limits",
        "_needed",
        "_skip_bytes",
        "_skip_line",
        "_tail",
        "_waiting",
        "held",
        "undecided",
    )

    def __init__(
        self,
        commands: Commands,
        limits: Limits,
        forbids: Callable[[Command], CommandError | None] = lambda _: None,
    ) -> None:
        self._commands = commands
        self._limits = limits
        self._forbids = forbids
        self.undecided = False
        self.held = bytearray()
        self._skip_bytes = 0
        self._skip_line: int | None = None
        #: The end of a line that is skipped, if a literal may follow it.
        self._tail: bytes | None = None
        self._waiting: Request | None = None
        self._needed: int | None = None

    @property
    def partial(self) -> bool:
        """Whether what comes next is not the beginning of a line."""
        return bool(self._waiting) or self._skip_line is not None

    def next(self, *, last: bool = True) -> Request | None:
        """The next request, or None if it has yet to come.

        What was wrong with a line is in the request.

        :param last: whether nothing that was asked before is still being done.
        """
        self.undecided = False
        while True:
            if self.partial:
                found = self._finish()
                if found is not None or self.partial:
                    return found
            end = self.held.find(b"\n")
            if end < 0 and len(self.held) <= self._limits.line_length + 1:
                return None
            if end < 0 or self._too_long(end):
                return self._overlong()
            request = self.request_of(bytes(self.held[:end]), last=last)
            if self.undecided:
                return None
            del self.held[: end + 1]
            if request is not None:
                return request

    def request_of(self, line: bytes, *, last: bool = True) -> Request | None:
        """What a whole line asks for; None for nothing, or until its literal is here."""
        words = (self._commands.words or bytes.split)(line)
        line = line.removesuffix(b"\r")
        if not words and self._commands.fallback is None:
            return None
        request = Request(None, line=line, size=len(line))
        try:
            command = request.command = self._commands.find(words[0] if words else b"")
            length = self._length(command, words)
            if length is None and command.signature.block and not command.length:
                line, length = self._counted(command, line)
                words = line.split()
            if length is not None:
                forbidden = self._forbids(command)
                self.undecided = forbidden is not None and not last
                if self.undecided:
                    return None
                return self._literal(request, command, line, words, length, forbidden)
            request.arguments = command.arguments(line, words, self._limits.arguments)
        except CommandError as error:
            request.error = error.with_traceback(None)  # whose frames hold what they held
            found = literal_length(line) if request.command is None else None
            if found is not None and self._commands.have_literals:
                return self._skip(request, found[1])
        return request

    def _length(self, command: Command, words: list[bytes]) -> int | None:
        return None if command.length is None else command.length(words)

    def _counted(self, command: Command, line: bytes) -> tuple[bytes, int]:
        found = literal_length(line)
        if found is None:
            raise CommandError("bad-argument", f"no literal: expected {command.usage}")
        return found

    def _literal(
        self,
        request: Request,
        command: Command,
        line: bytes,
        words: list[bytes],
        length: int,
        forbidden: CommandError | None,
    ) -> Request | None:
        """Wait for the literal, or skip it if nothing can be done with it."""
        try:
            if forbidden is not None:
                raise forbidden
            if length > self._limits.literal and command.length is None:
                raise self._too_large
            request.arguments = command.arguments(line, words, self._limits.arguments)
        except CommandError as error:
            request.error = error.with_traceback(None)  # whose frames hold what they held
        if request.error is not None or length > self._limits.literal:
            return self._skip(request, length)
        self._waiting = request
        self._needed = length
        request.size += length
        return None

    def _skip(self, request: Request, length: int) -> Request | None:
        """Have nothing of a literal that is of no use."""
        if request.error is not None and length > self._most_skipped:
            request.fatal = True
            return request
        self._waiting = request
        self._skip_bytes = length
        return None

    def _finish(self) -> Request | None:
        """Go on with what is not complete."""
        if self._skip_bytes:
            taken = min(self._skip_bytes, len(self.held))
            del self.held[:taken]
            self._skip_bytes -= taken
            if self._skip_bytes:
                return None
        if self._waiting is not None:
            return self._finish_literal(self._waiting)
        end = self.held.find(b"\n")
        skipped = len(self.held) if end < 0 else end
        left = (self._skip_line or 0) - skipped
        # There may be nothing left to skip, and the line end has still to come.
        self._skip_line = left if end < 0 <= left else None
        if self._tail is not None:
            self._tail = (self._tail + self.held[max(0, skipped - _TAIL) : skipped])[-_TAIL:]
        del self.held[: skipped + (end >= 0)]
        if left < 0:
            error = CommandError("line-too-long", "there is no end of it")
            return Request(None, error=error, fatal=True)
        return self._behind_overlong() if end >= 0 else None

    def _behind_overlong(self) -> Request | None:
        """A line that was too long has been skipped; its literal is too, if it has one."""
        tail, self._tail = self._tail, None
        found = None if tail is None else literal_length(tail.removesuffix(b"\r"))
        if found is None:
            return None
        _, length = found
        if length > self._most_skipped:
            return Request(None, error=self._too_large, fatal=True)
        self._skip_bytes = length
        self._skip_line = self._limits.line_length * SKIPPED
        return self._finish()

    @property
    def _most_skipped(self) -> int:
        """Bytes of a literal that is of no use."""
        return max(self._limits.literal, 1) * SKIPPED

    @property
    def _too_large(self) -> CommandError:
        return CommandError("literal-too-large", f"expected at most {self._limits.literal} bytes")

    def _finish_literal(self, request: Request) -> Request | None:
        needed = self._needed or 0
        if request.command is not None and request.command.length is not None:
            end = 0  # or it is one of the bytes
            if len(self.held) < needed:
                return None
        else:
            behind = self.held[needed : needed + 2]
            if not behind or behind == b"\r":
                return None
            end = 1 if behind[:1] == b"\n" else 2 if behind == b"\r\n" else 0
            if not end:
                self._skip_line = self._limits.line_length * SKIPPED
                text = f"{needed} bytes of literal: expected a line end behind them"
                request.error = request.error or CommandError("bad-literal", text)
        if self._needed is not None:
            with memoryview(self.held) as held:
                request.arguments.append(held[:needed].tobytes())
        del self.held[: needed + end]
        self._waiting = self._needed = None
        return request

    def _too_long(self, end: int) -> bool:
        return_at = end - 1 if end and self.held[end - 1 : end] == b"\r" else end
        return return_at > self._limits.line_length

    def _overlong(self) -> Request:
        most = self._limits.line_length
        start = bytes(self.held[: min(most, _LOOKED_AT)])
        words = start.split(None, 1)
        what = f"{shown_word(words[0])}: " if words else ""
        error = CommandError("line-too-long", f"{what}expected at most {most} bytes")
        if self._commands.words is not None:
            return Request(None, error=error, line=start, fatal=True)
        self._skip_line = most * SKIPPED
        self._tail = b"" if self._takes_literal(words[0] if words else b"") else None
        return Request(None, error=error, line=start)

    def _takes_literal(self, name: bytes) -> bool:
        """Whether what stands in braces at the end of a line may be a literal's length."""
        try:
            command = self._commands.find(name)
        except CommandError:
            return self._commands.have_literals
        return bool(command.signature.block) and command.length is None
