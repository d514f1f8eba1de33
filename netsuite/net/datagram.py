"""UDP sockets for servers: who was a datagram sent to, and answer from that address.

A socket on the wildcard address is handed datagrams for broadcast addresses and for
multicast groups that anyone on the machine has joined. A server that answers those
answers once for the whole network: it amplifies. :class:`UnicastPort` asks the kernel for
each datagram's destination (``IP_PKTINFO``, RFC 3542 section 6.1 ``IPV6_PKTINFO``), tells
its protocol about the ones that were not for this host alone, and sends answers from the
address that was asked, which matters on a machine with several.
"""

import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any, Protocol

from twisted.internet import udp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

#: The largest payload that UDP over IPv4 can carry (RFC 768, RFC 791), and enough for IPv6.
MAX_DATAGRAM = 65_507

_IP_PKTINFO = 8  # <linux/in.h>; the socket module has it from Python 3.14 on
_IP_PKTINFO_FORMAT = struct.Struct("=i4s4s")  # struct in_pktinfo: ifindex, spec_dst, addr
_IPV6_PKTINFO_FORMAT = struct.Struct("=16si")  # struct in6_pktinfo: addr, ifindex
_IPV4_MULTICAST = range(224, 240)  # first octet, RFC 5771
_IPV6_MULTICAST = 0xFF  # first octet, RFC 4291 section 2.7
_READS_A_TURN = 64

Ancillary = tuple[int, int, bytes]


class DatagramReceiver(Protocol):
    """What :class:`UnicastPort` asks of its protocol, besides Twisted's own interface."""

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """A datagram sent to one of this host's unicast addresses."""

    def datagramRefused(self, datagram: bytes, addr: Any) -> None:
        """A datagram that was sent to a broadcast address or multicast group."""


class UnicastPort(udp.Port):
    """A listening UDP port that tells unicast from the rest. Linux only.

    ``write`` called from within ``datagramReceived`` answers from the address that the
    datagram was sent to. A datagram that cannot be sent now is dropped, as the network
    would drop it: ``write`` says so by returning 0.
    """

    _log = Logger()
    protocol: Any
    reuse_port = False
    _reply: tuple[tuple[Any, ...], Ancillary] | None = None

    def startListening(self) -> None:
        """Bind, ask for destinations, and read."""
        if not sys.platform.startswith("linux"):
            raise CannotListenError(
                self.interface, self.port, OSError("UDP services need Linux (IP_PKTINFO)")
            )
        super().startListening()

    def createInternetSocket(self) -> socket.socket:
        """A socket of one family only, so that the other may have the same port."""
        new: socket.socket = super().createInternetSocket()
        if self.reuse_port:
            new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if self.addressFamily == socket.AF_INET6:
            new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return new

    def _bindSocket(self) -> None:
        super()._bindSocket()
        if self.addressFamily == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            self.socket.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)

    def doRead(self) -> None:
        """Read what is there, up to a bounded number of datagrams."""
        for _ in range(_READS_A_TURN):
            if not self.connected:
                return
            try:
                data, ancillary, _, peer = self.socket.recvmsg(
                    self.maxPacketSize, socket.CMSG_SPACE(_IPV6_PKTINFO_FORMAT.size)
                )
            except (BlockingIOError, InterruptedError, ConnectionError):
                return
            self._deliver(data, ancillary, peer)

    def _deliver(self, data: bytes, ancillary: Sequence[Ancillary], peer: tuple[Any, ...]) -> None:
        source = _unicast_source(ancillary)
        try:
            if source is None:
                self.protocol.datagramRefused(data, peer[:2])
            else:
                self._reply = (peer, source)
                self.protocol.datagramReceived(data, peer[:2])
        except Exception:  # noqa: BLE001 - one datagram's bug must not close the port
            self._log.failure("datagram from {peer} failed", peer=peer[0])
        finally:
            self._reply = None

    def write(self, datagram: bytes, addr: tuple[str, int] | None = None) -> int:  # type: ignore[override]  # stock returns this too, unsaid
        """Send one datagram; returns the bytes sent, 0 if it was dropped here."""
        try:
            if self._reply is not None and addr == self._reply[0][:2]:
                peer, source = self._reply
                return self.socket.sendmsg([datagram], [source], 0, peer)
            return self.socket.sendto(datagram, addr)  # type: ignore[arg-type]  # None raises
        except OSError as error:
            self._log.debug("no datagram to {peer}: {error}", peer=addr, error=error)
            return 0


def _unicast_source(ancillary: Sequence[Ancillary]) -> Ancillary | None:
    """The control message that answers from where the datagram was sent to.

    None if that was not an address of this host alone, or is not known.
    """
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            destination, _ = _IPV6_PKTINFO_FORMAT.unpack(data)
            if destination[0] == _IPV6_MULTICAST:
                return None
            # Interface 0: let routing choose, as for a datagram of our own.
            return level, kind, _IPV6_PKTINFO_FORMAT.pack(destination, 0)
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            _, local, destination = _IP_PKTINFO_FORMAT.unpack(data)
            # For a broadcast, the header's destination is not the local address.
            if destination[0] in _IPV4_MULTICAST or destination != local:
                return None
            return level, kind, _IP_PKTINFO_FORMAT.pack(0, local, bytes(4))
    return None


def listen_datagram(
    reactor: Any, host: IPv4Address | IPv6Address, protocol: Any, *, reuse_port: bool = False
) -> UnicastPort:
    """Listen on UDP where a TCP server already listens: same address, same port number.

    :param host: from the TCP port's ``getHost``.
    :param protocol: a :class:`~twisted.internet.protocol.DatagramProtocol` that is also a
        :class:`DatagramReceiver`.
    :param reuse_port: whether other processes may listen there too (``SO_REUSEPORT``): each
        client's datagrams go to one of them.
    :raises CannotListenError: if the port is taken or may not be used.
    """
    port = UnicastPort(host.port, protocol, host.host, MAX_DATAGRAM, reactor)
    port.reuse_port = reuse_port
    port.startListening()
    return port


__all__ = ["MAX_DATAGRAM", "DatagramReceiver", "UnicastPort", "listen_datagram"]
