"""What a conversation needs of the world, and what it remembers of a reply to come."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from netsuite.line._commands import Command
from netsuite.line._errors import CommandError
from netsuite.line._requests import Request
from netsuite.line._session import Session


class Output(Protocol):
    """What a conversation needs of its connection."""

    def write(self, data: bytes) -> None:
        """Send."""

    def close(self) -> None:
        """Close once all is sent."""

    def abort(self) -> None:
        """Close at once."""

    def pause_reading(self) -> None:
        """Read no more."""

    def resume_reading(self) -> None:
        """Read on."""

    def soon(self, function: Callable[[], object]) -> None:
        """Call a little later, so that other connections have their turn."""

    def wait_for(
        self,
        awaited: Awaitable[Any],
        done: Callable[[object], None],
        failed: Callable[[BaseException], None],
    ) -> Callable[[], object]:
        """Call one of the two when there is a result, even at once; returns how to give up."""

    def failed(self, name: str, error: BaseException) -> None:
        """Log what a command has raised that is nothing for the peer."""

    def start_tls(self, context: Any) -> None:
        """Speak TLS from now on."""

    def hand_over(self, take: Callable[[Any, bytes], Any], rest: bytes) -> None:
        """Let another protocol have the connection."""


class Audit(Protocol):
    """Who may do what, beyond the roles; and who writes it down."""

    def may(self, session: Session, command: Command) -> CommandError | None:
        """Why a command is not carried out, if it is not."""

    def forbids(self, session: Session, command: Command) -> CommandError | None:
        """The same, without a look at how often it is given."""

    def request(self, session: Session, request: Request) -> None:
        """A peer asks."""

    def reply(self, session: Session, data: bytes) -> None:
        """It is answered."""


@dataclass(slots=True, eq=False)
class Slot:
    """The place of a reply that has yet to go out.

    :ivar name: of the command.
    :ivar several: whether it is to have several lines.
    :ivar reply: as it goes out, once it is here.
    :ivar lines: of those; they are pulled when it is their turn.
    :ivar pending: whether somebody else has to do something first.
    """

    name: str
    parallel: bool
    exclusive: bool = False
    several: bool = False
    reply: bytes | None = None
    lines: Iterator[str] | AsyncIterator[str] | None = None
    begun: bool = False
    pending: bool = False
    give_up: Callable[[], object] | None = None
