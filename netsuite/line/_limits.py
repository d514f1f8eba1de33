"""What a peer may make us hold, and for how long."""

from dataclasses import dataclass, fields
from typing import Literal

_SIZES = ("line_length", "arguments", "queued", "parallel", "subscriptions", "buffer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of one connection.

    :ivar line_length: bytes of a line, without its line end. The rest of a longer line is
        skipped, up to 16 times as much; then the connection is closed.
    :ivar arguments: words after the command's name.
    :ivar literal: bytes of a byte-counted literal. A bigger one is skipped, up to 16 times
        as much.
    :ivar queued: commands that were read and have yet to begin.
    :ivar queue_full: what happens to further ones: ``wait``, they are not read until others
        are answered; or ``refuse``, they are answered with ``ERR queue-full``.
    :ivar parallel: commands that run at the same time, of those that are declared parallel.
    :ivar subscriptions: channels that one connection listens to.
    :ivar buffer: bytes of replies written in one go. While more than the transport likes to
        keep waits for the peer, no command is begun and nothing is read.
    :ivar idle: seconds without a byte in either direction while nothing is being answered, or in
        which the peer reads nothing of what is sent to it; None for no limit.
    :ivar login: seconds until the peer has to have logged in, where that is asked for.
    :raises ValueError: for a limit that is below 1, or below 0 where 0 makes sense.
    """

    line_length: int = 8192
    arguments: int = 256
    literal: int = 1024 * 1024
    queued: int = 1000
    queue_full: Literal["wait", "refuse"] = "wait"
    parallel: int = 16
    subscriptions: int = 100
    buffer: int = 64 * 1024
    idle: float | None = 300.0
    login: float | None = 30.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name in _SIZES and value < 1:
                raise ValueError(f"{each.name} {value}: expected 1 or more")
            if each.name in {"idle", "login"} and value is not None and not value > 0:
                raise ValueError(f"{each.name} {value}: expected more than 0 seconds, or None")
        if self.literal < 0:
            raise ValueError(f"literal {self.literal}: expected 0 or more")
        if self.queue_full not in {"wait", "refuse"}:
            raise ValueError(f"queue_full {self.queue_full!r}: expected 'wait' or 'refuse'")
