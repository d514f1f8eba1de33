"""What is below the TLS that ``startTLS`` puts on a connection."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from netsuite.net.reactor._socket import joined

if TYPE_CHECKING:
    from netsuite.net.reactor._connection import Connection


class BelowTLS:
    """A connection's own methods, for the TLS that ``startTLS`` puts on top of it."""

    @staticmethod
    def write(connection: "Connection", data: bytes) -> None:
        """Write to the connection."""
        connection.write_below(data)

    @staticmethod
    def writeSequence(connection: "Connection", iovec: Iterable[bytes]) -> None:
        """Write to the connection."""
        connection.write_below(joined(iovec))

    @staticmethod
    def loseConnection(connection: "Connection") -> None:
        """Close the connection."""
        connection.lose_below()

    @staticmethod
    def registerProducer(connection: "Connection", producer: Any, streaming: bool) -> None:
        """Have a producer of the connection's."""
        connection.register_below(producer, streaming)

    @staticmethod
    def unregisterProducer(connection: "Connection") -> None:
        """Have it no more."""
        connection.unregister_below()
