"""What a server has done so far, for anyone to read."""

from dataclasses import dataclass, field
from typing import Protocol


class Counted(Protocol):
    """A connection that counts its own bytes."""

    @property
    def bytes_received(self) -> int:
        """Payload bytes that came from the peer."""

    @property
    def bytes_sent(self) -> int:
        """Payload bytes handed to the transport."""


class ConnectionCounters:
    """Totals of one factory since it was made.

    Each connection counts for itself, which is cheap where the bytes pass; totals are
    added up when somebody reads them. Bytes are payload: under TLS, what the protocol saw.
    Bytes sent are those handed to the transport; a peer that went away may not have taken
    all of them.

    :ivar opened: connections made.
    :ivar closed: connections gone again.
    """

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0
        self._open: set[Counted] = set()
        self._received = 0
        self._sent = 0

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} opened={self.opened} active={self.active} "
            f"bytes_received={self.bytes_received} bytes_sent={self.bytes_sent}>"
        )

    @property
    def active(self) -> int:
        """Connections open now."""
        return self.opened - self.closed

    @property
    def bytes_received(self) -> int:
        """Bytes that came in, over all connections."""
        return self._received + sum(each.bytes_received for each in self._open)

    @property
    def bytes_sent(self) -> int:
        """Bytes handed to transports, over all connections."""
        return self._sent + sum(each.bytes_sent for each in self._open)

    def connection_opened(self, connection: Counted) -> None:
        """Count a new connection."""
        self.opened += 1
        self._open.add(connection)

    def connection_closed(self, connection: Counted) -> None:
        """Keep what a connection counted, now that it is gone."""
        self.closed += 1
        self._open.discard(connection)
        self._received += connection.bytes_received
        self._sent += connection.bytes_sent


@dataclass(slots=True)
class DatagramCounters:
    """Totals of one datagram service since it was made."""

    received: int = 0
    answered: int = 0
    bytes_received: int = 0
    bytes_sent: int = 0
    #: Datagrams that got no answer, by reason.
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str) -> None:
        """Count one datagram that is not answered."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
