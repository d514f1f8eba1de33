"""The socket of a connection: on its way to uvloop, and afterwards."""

import socket
from collections.abc import Iterable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.tcp import _getrealname

#: Those of a connection are its own: no dictionary comes from here.
_NO_SLOTS: tuple[str, ...] = ()


class Accepted:
    """A descriptor for uvloop to take, in the guise of a socket; it keeps this, not the socket."""

    __slots__ = ("family", "number")
    type = socket.SOCK_STREAM
    family: int
    number: int

    def fileno(self) -> int:
        return self.number

    def close(self) -> None:
        """Libuv has closed the descriptor."""


accepted = Accepted()


def address_of(name: Any) -> IPv4Address | IPv6Address:
    """The address that a socket's name is."""
    kind = IPv4Address if len(name) == 2 else IPv6Address
    return kind("TCP", *_getrealname(name))


def _around(descriptor: int, family: int) -> socket.socket:
    return socket.socket(family, socket.SOCK_STREAM, fileno=descriptor)


class Pieces:
    """What is to be written as one."""

    __slots__ = ("pieces", "size")

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0

    def add(self, data: bytes) -> None:
        """Add a piece."""
        self.pieces.append(data)
        self.size += len(data)

    def joined(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces)


class Early:
    """A connection that uvloop has not taken yet.

    :ivar parked: whether nothing has happened on it that uvloop is needed for.
    :ivar written: what is written meanwhile.
    """

    __slots__ = ("descriptor", "parked", "written")

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.parked = True
        self.written: Pieces | None = None

    @property
    def size(self) -> int:
        """Bytes that wait to be written."""
        return 0 if self.written is None else self.written.size

    def add(self, data: bytes) -> None:
        """Keep something to be written."""
        if self.written is None:
            self.written = Pieces()
        self.written.add(data)


def joined(iovec: Iterable[bytes]) -> bytes:
    """The pieces of ``writeSequence``, as Twisted's transports take them."""
    try:
        return b"".join(iovec)
    except TypeError:
        raise TypeError("Data must be bytes") from None


class Handle(socket.socket):
    """The socket of a connection, for programs that ask for it.

    Closing it takes it away from the connection, whose protocol does not hear of it.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: "SocketFace", descriptor: int, family: int) -> None:
        super().__init__(family, socket.SOCK_STREAM, fileno=descriptor)
        self._connection = connection

    def close(self) -> None:
        """Close the connection."""
        if self.detach() != -1:
            self._connection.forsake()


class SocketFace:
    """What a connection has to say and to set about its socket."""

    __slots__ = _NO_SLOTS

    disconnected: bool
    peer: tuple[Any, ...]
    _early: "Early | None"
    _socket: "Handle | None"
    _uv: Any
    _no_delay: bool | None

    def forsake(self) -> None:
        """Close the socket, and tell nobody."""
        raise NotImplementedError

    def _ask_socket(self, method: str, *arguments: Any) -> Any:
        """Call a method of the socket's."""
        if self._early is None:
            return getattr(self._uv.get_extra_info("socket"), method)(*arguments)
        around = _around(self._early.descriptor, self.family)
        try:
            return getattr(around, method)(*arguments)
        finally:
            around.detach()

    @property
    def family(self) -> int:
        """Of the socket's addresses."""
        return socket.AF_INET if len(self.peer) == 2 else socket.AF_INET6

    def fileno(self) -> int:
        """The descriptor; -1 when it is gone."""
        return -1 if self.disconnected else int(self._ask_socket("fileno"))

    def getHandle(self) -> Any:
        """The socket; it is not to be read from, written to or closed."""
        return self.socket

    @property
    def socket(self) -> Any:
        """The socket; it is not to be read from, written to or closed."""
        if self.disconnected:
            raise AttributeError("the connection is gone, and its socket")
        if self._socket is None:
            self._socket = Handle(self, self.fileno(), self.family)
        return self._socket

    def getTcpNoDelay(self) -> bool:
        """Whether the program has asked for small writes to be sent at once.

        As long as it has not asked for anything they are: what one turn of the reactor writes is
        not gathered here, and must not wait for an acknowledgement (RFC 9293 section 3.7.4).
        """
        return bool(self._no_delay)

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Send small writes at once, or gather them."""
        self._no_delay = bool(enabled)
        self._ask_socket("setsockopt", socket.IPPROTO_TCP, socket.TCP_NODELAY, int(enabled))

    def getTcpKeepAlive(self) -> bool:
        """Whether the kernel asks a silent peer if it is there."""
        return bool(self._ask_socket("getsockopt", socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Have the kernel ask a silent peer if it is there."""
        self._ask_socket("setsockopt", socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(enabled))

    def getHost(self) -> IPv4Address | IPv6Address:
        """Our address."""
        if self._early is None:
            return address_of(self._uv.get_extra_info("sockname"))
        return address_of(self._ask_socket("getsockname"))

    def getPeer(self) -> IPv4Address | IPv6Address:
        """The peer's address."""
        kind = IPv4Address if len(self.peer) == 2 else IPv6Address
        return kind("TCP", *self.peer)
