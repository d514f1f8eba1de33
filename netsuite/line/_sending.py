"""What a conversation sends: pieces, put together before they are written."""

from collections.abc import Callable

from netsuite.line._errors import CommandError
from netsuite.line._limits import Limits
from netsuite.line._output import Audit, Output
from netsuite.line._replies import Replies
from netsuite.line._session import Session

#: Of a conversation's state: closed, lost, or handed over.
GONE = 64


class Sending:
    """The way out of a conversation.

    :ivar bytes_sent: handed to the output.
    :ivar replies_sent: how many replies and pushes.
    :ivar write: sends bytes; the output's, or what is behind it, which is a shorter way.
    """

    __slots__ = (
        "_audit",
        "_enough",
        "_out",
        "_output",
        "_replies",
        "_state",
        "_unsent",
        "bytes_sent",
        "replies_sent",
        "session",
        "write",
    )

    def __init__(
        self, limits: Limits, replies: Replies, output: Output, audit: Audit | None
    ) -> None:
        self.session: Session
        self.bytes_sent = 0
        self.replies_sent = 0
        self._replies = replies
        self._output = output
        self.write: Callable[[bytes], object] = output.write
        self._audit = audit
        self._out: list[bytes] = []
        self._unsent = 0
        self._enough = limits.buffer // 2  # more at once would be too much for most transports
        self._state = 0

    def _emit(self, data: bytes | None) -> None:
        """Send before long."""
        if data is not None:
            self._out.append(data)
            self._unsent += len(data)
            if self._audit is not None:
                self._audit.reply(self.session, data)

    def _flush(self) -> None:
        """Send what there is."""
        out = self._out
        if self._state & GONE:
            out.clear()
            self._unsent = 0
        elif out:
            data = out[0] if len(out) == 1 else b"".join(out)
            self.replies_sent += len(out)
            self.bytes_sent += len(data)
            out.clear()
            self._unsent = 0
            self.write(data)

    def _error(self, name: str, error: BaseException) -> bytes:
        return self._replies.error(self._told(name, error))

    def _told(self, name: str, error: BaseException) -> CommandError:
        """What a peer is told of an exception: nothing, unless it is meant for it."""
        if isinstance(error, CommandError):
            return error
        self._output.failed(name, error)
        return CommandError("failed", f"{name} failed")

    def failed(self, name: str, error: BaseException) -> None:
        """Log what the program has raised where no reply could say so."""
        self._output.failed(name, error)
