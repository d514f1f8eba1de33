"""Addresses inside addresses: IPv4 in IPv6, hardware addresses in IPv6, groups on Ethernet.

* IPv4-mapped and IPv4-compatible: RFC 4291 sections 2.5.5.2 and 2.5.5.1
* 6to4: RFC 3056 section 2
* NAT64, every prefix length: RFC 6052 section 2.2
* Teredo: RFC 4380 section 4
* ISATAP: RFC 5214 section 6.1
* modified EUI-64 interface identifiers, solicited-node groups: RFC 4291 appendix A and
  section 2.7.1
* groups as Ethernet addresses: RFC 1112 section 6.4, RFC 2464 section 7

Left out: IPv4-translated addresses as a kind of their own (RFC 2765, obsolete; give
``::ffff:0:0:0/96`` as a NAT64 prefix), and 6rd (RFC 5969), whose bits only its provider knows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from netsuite.ip._errors import AddressError
from netsuite.ip._mac import MAC
from netsuite.ip._rate import IPAddress

#: RFC 6052 section 2.1.
WELL_KNOWN_NAT64 = IPv6Network("64:ff9b::/96")

_NAT64_LENGTHS = frozenset({32, 40, 48, 56, 64, 96})

_MAPPED = 0xFFFF << 32
_SIX_TO_FOUR = 0x2002
_TEREDO = 0x2001_0000
_ISATAP = 0x0000_5EFE
_ISATAP_UNIVERSAL = 0x0200_5EFE
_SOLICITED_NODE = 0xFF02 << 112 | 0x1_FF00_0000

_LOW_16 = 0xFFFF
_LOW_32 = 0xFFFF_FFFF
#: What is behind the octet of bits 64 to 71.
_LOW_56 = (1 << 56) - 1
_LOW_64 = (1 << 64) - 1


class EmbeddingKind(StrEnum):
    """How an IPv4 address sits in an IPv6 address."""

    MAPPED = "mapped"
    COMPATIBLE = "compatible"
    SIX_TO_FOUR = "6to4"
    NAT64 = "nat64"
    TEREDO_SERVER = "teredo-server"
    TEREDO_CLIENT = "teredo-client"
    ISATAP = "isatap"


@dataclass(frozen=True, slots=True)
class Embedding:
    """An IPv4 address found in an IPv6 address."""

    kind: EmbeddingKind
    ipv4: IPv4Address


@dataclass(frozen=True, slots=True)
class TeredoParts:
    """What a Teredo address says (RFC 4380 section 4).

    :ivar client: the client's address as its NAT shows it, made readable again.
    :ivar port: the client's UDP port as its NAT shows it, made readable again.
    :ivar flags: 16 bits; 0x8000 says that the client is behind a cone NAT.
    """

    server: IPv4Address
    client: IPv4Address
    port: int
    flags: int = 0


def embedded_ipv4(
    address: IPv6Address, nat64_prefixes: Iterable[IPv6Network] = (WELL_KNOWN_NAT64,)
) -> tuple[Embedding, ...]:
    """Every IPv4 address that an IPv6 address carries, outermost form first.

    It says what the bits are, not whether anything on the way would unpack them. An address
    may have several: an ISATAP identifier on a 6to4 network has two, a Teredo address has its
    server and its client. ``::`` and ``::1`` carry none.

    :param nat64_prefixes: the prefixes that translators nearby use. The octet of bits 64 to 71
        and the suffix are left out of account, as translators do (RFC 6052 section 2.3).
    :raises AddressError: for a NAT64 prefix that RFC 6052 section 2.2 does not allow.
    """
    value = int(address)
    found = []

    def add(kind: EmbeddingKind, ipv4: int) -> None:
        found.append(Embedding(kind, IPv4Address(ipv4)))

    if value >> 32 == _MAPPED >> 32:
        add(EmbeddingKind.MAPPED, value & _LOW_32)
    elif value >> 32 == 0 and value > 1:
        add(EmbeddingKind.COMPATIBLE, value)
    elif value >> 112 == _SIX_TO_FOUR:
        add(EmbeddingKind.SIX_TO_FOUR, (value >> 80) & _LOW_32)
    for prefix in nat64_prefixes:
        _check_nat64_prefix(prefix)
        if address in prefix:
            add(EmbeddingKind.NAT64, _translated(value, prefix.prefixlen))
    teredo = teredo_parts(address)
    if teredo is not None:
        add(EmbeddingKind.TEREDO_SERVER, int(teredo.server))
        add(EmbeddingKind.TEREDO_CLIENT, int(teredo.client))
    elif not _is_multicast(address) and (value >> 32) & _LOW_32 in {_ISATAP, _ISATAP_UNIVERSAL}:
        add(EmbeddingKind.ISATAP, value & _LOW_32)
    return tuple(found)


def mapped_address(ipv4: IPv4Address) -> IPv6Address:
    """The IPv4-mapped address, as in ``::ffff:192.0.2.1`` (RFC 4291 section 2.5.5.2)."""
    return IPv6Address(_MAPPED | int(ipv4))


def six_to_four_network(ipv4: IPv4Address) -> IPv6Network:
    """The /48 that a site with this IPv4 address has under 6to4 (RFC 3056 section 2)."""
    return IPv6Network((_SIX_TO_FOUR << 112 | int(ipv4) << 80, 48))


def nat64_address(prefix: IPv6Network, ipv4: IPv4Address) -> IPv6Address:
    """The address under which a translator shows an IPv4 host (RFC 6052 section 2.2).

    The IPv4 address follows the prefix and jumps over the octet of bits 64 to 71, which is
    zero, as is all behind it. Whether the well-known prefix may stand before this address
    (only global ones, section 3.1) is not asked.

    :raises AddressError: for a prefix whose length is none of 32, 40, 48, 56, 64 and 96, or a
        /96 with bits 64 to 71 set.
    """
    _check_nat64_prefix(prefix)
    network = int(prefix.network_address)
    if prefix.prefixlen == 96:
        return IPv6Address(network | int(ipv4))
    without_octet = int(ipv4) << (88 - prefix.prefixlen)
    before, behind = without_octet >> 56, without_octet & _LOW_56
    return IPv6Address(network | before << 64 | behind)


def teredo_address(
    server: IPv4Address, client: IPv4Address, port: int, flags: int = 0
) -> IPv6Address:
    """The address of a Teredo client (RFC 4380 section 4).

    :param client: its address as the NAT shows it; ``port`` likewise. Both go in obfuscated.
    :param flags: 16 bits; 0x8000 says that the client is behind a cone NAT.
    :raises AddressError: for a port or flags that do not fit into 16 bits.
    """
    for number, name in ((port, "a port"), (flags, "flags")):
        if not 0 <= number <= _LOW_16:
            raise AddressError(number, f"{name} from 0 to 65535")
    return IPv6Address(
        _TEREDO << 96
        | int(server) << 64
        | flags << 48
        | (port ^ _LOW_16) << 32
        | (int(client) ^ _LOW_32)
    )


def teredo_parts(address: IPv6Address) -> TeredoParts | None:
    """What a Teredo address says, or None for any other (RFC 4380 section 4)."""
    value = int(address)
    if value >> 96 != _TEREDO:
        return None
    return TeredoParts(
        server=IPv4Address((value >> 64) & _LOW_32),
        client=IPv4Address((value & _LOW_32) ^ _LOW_32),
        port=((value >> 32) & _LOW_16) ^ _LOW_16,
        flags=(value >> 48) & _LOW_16,
    )


def isatap_address(
    prefix: IPv6Network, ipv4: IPv4Address, *, universal: bool = False
) -> IPv6Address:
    """The ISATAP address of an IPv4 host on a /64 (RFC 5214 section 6.1).

    :param universal: whether the IPv4 address is known to be globally unique.
    :raises AddressError: for a prefix that is no /64.
    """
    identifier = (_ISATAP_UNIVERSAL if universal else _ISATAP) << 32 | int(ipv4)
    return _on_link(prefix, identifier)


def eui64_address(prefix: IPv6Network, mac: MAC) -> IPv6Address:
    """The address that a station gives itself on a /64 (RFC 4291 appendix A, RFC 4862 5.5.3).

    :raises AddressError: for a prefix that is no /64.
    """
    return _on_link(prefix, mac.interface_id)


def mac_of(address: IPv6Address) -> MAC | None:
    """The EUI-48 that an address was made of, or None when it does not look so.

    It looks so with FF-FE in the middle of the interface identifier (RFC 4291 appendix A). A
    random identifier does in one case of 65536. Groups, and addresses that begin with binary
    000, have no such identifier (RFC 4291 section 2.5.1).
    """
    value = int(address)
    if _is_multicast(address) or value >> 125 == 0:
        return None
    mac = MAC.from_interface_id(value & _LOW_64)
    return mac if mac.bits == 48 and not mac.is_multicast else None


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The group on which a neighbour is asked for this address (RFC 4291 section 2.7.1).

    :raises AddressError: for a multicast address.
    """
    if _is_multicast(address):
        raise AddressError(str(address), "a unicast or anycast address")
    return IPv6Address(_SOLICITED_NODE | (int(address) & 0xFF_FFFF))


def multicast_mac(address: IPAddress) -> MAC:
    """The Ethernet address of a group (RFC 1112 section 6.4, RFC 2464 section 7).

    32 IPv4 groups share each, so a receiver still has to look at the IP address.

    :raises AddressError: for an address that is no multicast address.
    """
    if not _is_multicast(address):
        raise AddressError(str(address), "a multicast address")
    if isinstance(address, IPv4Address):
        return MAC.from_int(0x01_00_5E << 24 | (int(address) & 0x7F_FFFF))
    return MAC.from_int(0x33_33 << 32 | (int(address) & _LOW_32))


def _is_multicast(address: IPAddress) -> bool:
    """Whether the address itself is one, not an IPv4-mapped one in it.

    The property of the standard library looks inside from Python 3.13 on.
    """
    if isinstance(address, IPv4Address):
        return address.is_multicast
    return int(address) >> 120 == 0xFF


def _check_nat64_prefix(prefix: IPv6Network) -> None:
    """Refuse what is no NAT64 prefix (RFC 6052 section 2.2)."""
    if prefix.prefixlen not in _NAT64_LENGTHS:
        raise AddressError(str(prefix), "a NAT64 prefix of length 32, 40, 48, 56, 64 or 96")
    if (int(prefix.network_address) >> 56) & 0xFF:
        raise AddressError(str(prefix), "a NAT64 prefix whose bits 64 to 71 are zero")


def _translated(value: int, length: int) -> int:
    """The IPv4 address behind a NAT64 prefix of this length (RFC 6052 section 2.3)."""
    if length == 96:
        return value & _LOW_32
    before, behind = value >> 64, value & _LOW_56
    without_octet = before << 56 | behind
    return (without_octet >> (88 - length)) & _LOW_32


def _on_link(prefix: IPv6Network, identifier: int) -> IPv6Address:
    """An interface identifier under its prefix."""
    if prefix.prefixlen != 64:
        raise AddressError(str(prefix), "a prefix of length 64")
    return IPv6Address(int(prefix.network_address) | identifier)
