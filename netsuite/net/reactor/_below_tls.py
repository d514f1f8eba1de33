"""What is below TLS."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from netsuite.net.reactor._socket import joined

if TYPE_CHECKING:
    from netsuite.net.reactor._connection import Connection


#: TLS writes no more at once, in bytes: more is likely to follow.
TLS_PIECE = 32 * 1024


class RecordsWay:
    """The short way of a connection's bytes to uvloop where TLS is its protocol.

    TLS that aborts a connection says goodbye first, which the peer must not take for an orderly
    end (RFC 8446 section 6.1). Twisted's transports have not written it yet when they are
    aborted, and drop it; here it is not written.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection

    def write(self, data: bytes) -> None:
        """Write what TLS gives, which has been counted."""
        connection = self._connection
        if connection.protocol._aborted:
            connection.take_back(len(data))
        elif len(data) < TLS_PIECE and connection._gathered is None:
            connection._uv.write(data)
        else:
            connection.gather(data)


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
