"""This machine's network interfaces and their addresses.

The one file of this package that does I/O: a netlink socket on Linux (RFC 3549, rtnetlink(7)),
whose answers come from the kernel at once. Elsewhere the standard library knows no more than
names and indexes. What the bytes mean is decided without the socket, by
:func:`parse_messages` and :func:`interfaces_in`.

Left out: neighbours, routes, statistics, what an interface stands on, and the state of an
address (tentative, deprecated, temporary).
"""

import os
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface
from itertools import count

from netsuite.ip._errors import AddressError
from netsuite.ip._mac import MAC

#: The most that one answer of the kernel may take, in bytes: tens of thousands of interfaces.
MAX_ANSWER = 2**26

#: How often an answer is asked for again that something changed under.
MAX_TRIES = 5

#: How long the kernel may take, in seconds.
PATIENCE = 5.0

# <linux/netlink.h>, <linux/rtnetlink.h>, <linux/if_link.h>, <linux/if_addr.h>
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_RTM_NEWLINK, _RTM_GETLINK, _RTM_NEWADDR, _RTM_GETADDR = 16, 18, 20, 22
_NLM_F_REQUEST, _NLM_F_DUMP_INTR, _NLM_F_DUMP = 0x1, 0x10, 0x300
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU = 1, 3, 4
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_ATTRIBUTE_TYPE = 0x3FFF  # without the two flag bits
_READ_SIZE = 2**16

_HEADER = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_ATTRIBUTE = struct.Struct("=HH")  # rtattr: length, type
_NUMBER = struct.Struct("=I")
_ERRNO = struct.Struct("=i")

#: IFF_* of <linux/if.h>, by bit.
_FLAGS = (
    *("UP", "BROADCAST", "DEBUG", "LOOPBACK", "POINTOPOINT", "NOTRAILERS", "RUNNING", "NOARP"),
    *("PROMISC", "ALLMULTI", "MASTER", "SLAVE", "MULTICAST", "PORTSEL", "AUTOMEDIA", "DYNAMIC"),
    *("LOWER_UP", "DORMANT", "ECHO"),
)

IPInterface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface as it was when it was asked for.

    :ivar name: as in ``eth0``; bytes that are not UTF-8 are escaped as :func:`os.fsdecode` does.
    :ivar index: what the system knows it by.
    :ivar mac: its hardware address, if it has one of 6 or 8 octets.
    :ivar flags: names of what is set, as in ``"UP"`` for ``IFF_UP``.
    :ivar mtu: the longest packet, in bytes; None where the system does not say.
    :ivar addresses: its own addresses with their networks, link-local IPv6 ones with a zone.
    """

    name: str
    index: int
    mac: MAC | None = None
    flags: frozenset[str] = frozenset()
    mtu: int | None = None
    addresses: tuple[IPInterface, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One netlink message without its header.

    :ivar kind: ``nlmsg_type``.
    :ivar flags: ``nlmsg_flags``.
    :ivar sequence: that of the request which it answers.
    """

    kind: int
    flags: int
    sequence: int
    body: bytes


def interfaces() -> tuple[Interface, ...]:
    """All interfaces, by index.

    On other systems than Linux all that is known of them is name and index.

    :raises OSError: when the system does not answer.
    """
    if sys.platform != "linux":
        return tuple(Interface(name, index) for index, name in sorted(socket.if_nameindex()))
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(PATIENCE)
        netlink.bind((0, 0))
        sequences = count(1)
        links = _dump(netlink, _RTM_GETLINK, sequences)
        addresses = _dump(netlink, _RTM_GETADDR, sequences)
    return interfaces_in([*links, *addresses])


def parse_messages(data: bytes) -> Iterator[Message]:
    """The messages in what one read of a netlink socket gave.

    :raises AddressError: for a message that does not end where it says.
    """
    position = 0
    while position < len(data):
        if len(data) - position < _HEADER.size:
            raise AddressError(data[position:], "a netlink message")
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, position)
        if not _HEADER.size <= length <= len(data) - position:
            raise AddressError(length, "the length of a netlink message")
        yield Message(kind, flags, sequence, data[position + _HEADER.size : position + length])
        position += _aligned(length)


def interfaces_in(messages: Iterable[Message]) -> tuple[Interface, ...]:
    """The interfaces that messages speak of (``RTM_NEWLINK``, ``RTM_NEWADDR``), by index.

    Messages of other kinds, and addresses of unknown interfaces or families, do not count.

    :raises AddressError: for a message that is cut short, or says nonsense.
    """
    links: dict[int, Message] = {}
    addresses: dict[int, list[Message]] = {}
    for message in messages:
        if message.kind == _RTM_NEWLINK:
            links[_unpack(_LINK, message.body)[2]] = message
        elif message.kind == _RTM_NEWADDR:
            addresses.setdefault(_unpack(_ADDRESS, message.body)[4], []).append(message)
    return tuple(
        _interface(index, links[index].body, [each.body for each in addresses.get(index, ())])
        for index in sorted(links)
    )


def _interface(index: int, link: bytes, addresses: Iterable[bytes]) -> Interface:
    flags = _unpack(_LINK, link)[3]
    found = dict(_attributes(link[_LINK.size :]))
    name = os.fsdecode(found.get(_IFLA_IFNAME, b"").rstrip(b"\0"))
    hardware = found.get(_IFLA_ADDRESS, b"")
    mtu = found.get(_IFLA_MTU)
    own = (_own_address(address, name, index) for address in addresses)
    return Interface(
        name,
        index,
        MAC(hardware) if len(hardware) in {6, 8} else None,
        frozenset(flag for bit, flag in enumerate(_FLAGS) if flags >> bit & 1),
        None if mtu is None else _unpack(_NUMBER, mtu)[0],
        tuple(address for address in own if address is not None),
    )


def _own_address(body: bytes, name: str, index: int) -> IPInterface | None:
    """The address in an ``RTM_NEWADDR``; None for other families than IP."""
    family, length, *_ = _unpack(_ADDRESS, body)
    if family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    found = dict(_attributes(body[_ADDRESS.size :]))
    # On a point-to-point link IFA_ADDRESS is the other end.
    packed = found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS, b""))
    try:
        if family == socket.AF_INET:
            return IPv4Interface((packed, length))
        address = IPv6Address(packed)
        zone = str(index) if "%" in name else name
        text = f"{address}%{zone}" if address.is_link_local else str(address)
        return IPv6Interface(f"{text}/{length}")
    except ValueError:
        raise AddressError(body, "an address of an interface") from None


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Types and values (struct rtattr)."""
    position = 0
    while position < len(data):
        length, kind = _unpack(_ATTRIBUTE, data[position:])
        if not _ATTRIBUTE.size <= length <= len(data) - position:
            raise AddressError(length, "the length of a netlink attribute")
        yield kind & _ATTRIBUTE_TYPE, data[position + _ATTRIBUTE.size : position + length]
        position += _aligned(length)


def _unpack(layout: struct.Struct, data: bytes) -> tuple[int, ...]:
    if len(data) < layout.size:
        raise AddressError(data, f"at least {layout.size} bytes of netlink")
    return layout.unpack_from(data)


def _aligned(length: int) -> int:
    return length + 3 & ~3


def _dump(netlink: socket.socket, kind: int, sequences: Iterator[int]) -> list[Message]:
    """All messages that answer a request for everything of one kind."""
    for _ in range(MAX_TRIES):
        sequence = next(sequences)
        # struct rtgenmsg: the family, here any, filled up to four bytes.
        length, flags = _HEADER.size + 4, _NLM_F_REQUEST | _NLM_F_DUMP
        netlink.sendto(_HEADER.pack(length, kind, flags, sequence, 0) + bytes(4), (0, 0))
        messages = list(_answers(netlink, sequence))
        if not any(message.flags & _NLM_F_DUMP_INTR for message in messages):
            return messages
    raise OSError(f"the interfaces changed {MAX_TRIES} times while they were read")


def _answers(netlink: socket.socket, sequence: int) -> Iterator[Message]:
    """The messages up to, and with, the one that says that there are no more."""
    received = 0
    while True:
        data, _, flags, (port, _) = netlink.recvmsg(_READ_SIZE)
        received += len(data)
        if flags & socket.MSG_TRUNC or received > MAX_ANSWER:
            raise OSError("netlink has more to say than there is room for")
        if port != 0:  # not the kernel
            continue
        for message in parse_messages(data):
            if message.sequence != sequence:
                continue
            if message.kind == _NLMSG_ERROR:
                number = -_unpack(_ERRNO, message.body)[0]
                raise OSError(number, os.strerror(number))
            yield message
            if message.kind == _NLMSG_DONE:
                return
