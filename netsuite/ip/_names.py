"""Reverse DNS: the names under which addresses and networks stand in the DNS.

* IPv4, ``in-addr.arpa``: RFC 1035 section 3.5
* IPv6, ``ip6.arpa``: RFC 3596 section 2.5
* IPv4 networks longer than /24: RFC 2317 section 4

Left out: ``ip6.int`` and bit-string labels (RFC 2673), both withdrawn; RFC 2317 zones under
names of the operator's choice, which say nothing about addresses.
"""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from netsuite.ip._errors import AddressError
from netsuite.ip._rate import IPAddress, IPNetwork

_IPV4 = "in-addr.arpa"
_IPV6 = "ip6.arpa"

#: 32 nibbles with their dots, the domain and the final dot.
_LONGEST = 73

_EXPECTED = "a name under in-addr.arpa or ip6.arpa, as in 1.2.0.192.in-addr.arpa"

_OCTET = re.compile(r"0|[1-9][0-9]{0,2}")
_NIBBLE = re.compile(r"[0-9a-f]")
_CLASSLESS = re.compile(r"(0|[1-9][0-9]{0,2})[/-]([0-9]{2})")

#: Prefix lengths that RFC 2317 is for.
_CLASSLESS_LENGTHS = range(25, 32)


def ptr_name(address: IPAddress, *, zone: IPv4Network | None = None) -> str:
    """The name of an address, in lower case and without a final dot.

    A zone id is left behind: the DNS has none.

    :param zone: the classless zone to put the name in (RFC 2317 section 4), where the CNAME
        record at the address's own name points: ``1.0/26.2.0.192.in-addr.arpa``.
    :raises AddressError: for a zone that is no network of length 25 to 31 with the address in it.
    """
    if zone is None:
        return _zone_name(address, address.max_prefixlen)
    if isinstance(address, IPv6Address) or address not in zone or not _is_classless(zone):
        raise AddressError(str(zone), f"an IPv4 network of length 25 to 31 with {address} in it")
    return f"{address.packed[3]}.{_classless_name(zone)}"


def ptr_zones(network: IPNetwork, *, classless: bool = False) -> list[str]:
    """The names of the zones that cover a network, in order of address.

    A zone ends at an octet (IPv4, RFC 1035 section 3.5) or at a nibble (IPv6, RFC 3596 section
    2.5), so a network is made of up to 128 or 8 zones. One of IPv4 longer than /24
    has a part of a zone, which is the one named.

    :param classless: whether to name the zone of RFC 2317 section 4 for lengths 25 to 31.
    """
    if classless and isinstance(network, IPv4Network) and _is_classless(network):
        return [_classless_name(network)]
    if isinstance(network, IPv4Network):
        length = min(-(-network.prefixlen // 8) * 8, 24)
    else:
        length = -(-network.prefixlen // 4) * 4
    if length < network.prefixlen:
        return [_zone_name(network.network_address, length)]
    return [_zone_name(part.network_address, length) for part in network.subnets(new_prefix=length)]


def from_ptr(name: str) -> IPAddress | IPNetwork:
    """The address that a full name stands for, or the network of a zone's name.

    A classless zone (RFC 2317 section 4) is a network, a name in it an address; its label has
    a slash or, as that section advises, a hyphen. Case and a final dot do not matter.

    :raises AddressError: for any other name.
    """
    if len(name) > _LONGEST:
        raise AddressError(name, f"{_EXPECTED}, in up to {_LONGEST} characters")
    labels = name.lower().removesuffix(".").split(".")
    domain, parts = ".".join(labels[-2:]), labels[-3::-1]
    found: IPAddress | IPNetwork | None = None
    if domain == _IPV4:
        found = _from_classless(parts) if len(parts) > 3 else _from_octets(parts)
    elif domain == _IPV6:
        found = _from_nibbles(parts)
    if found is None:
        raise AddressError(name, _EXPECTED)
    return found


def _zone_name(address: IPAddress, length: int) -> str:
    """The name of the zone of this length that an address is in."""
    if isinstance(address, IPv4Address):
        labels, domain = [str(octet) for octet in address.packed[: length // 8]], _IPV4
    else:
        labels, domain = list(address.packed.hex()[: length // 4]), _IPV6
    return ".".join([*reversed(labels), domain])


def _is_classless(network: IPv4Network) -> bool:
    return network.prefixlen in _CLASSLESS_LENGTHS


def _classless_name(network: IPv4Network) -> str:
    """The name of the zone of a network longer than /24."""
    first = network.network_address
    return f"{first.packed[3]}/{network.prefixlen}.{_zone_name(first, 24)}"


def _from_octets(parts: list[str]) -> IPv4Address | IPv4Network | None:
    """Up to four octets, first to last."""
    if not all(_OCTET.fullmatch(part) and int(part) <= 0xFF for part in parts) or len(parts) > 4:
        return None
    value = int.from_bytes(bytes(map(int, parts)).ljust(4, b"\0"), "big")
    return IPv4Address(value) if len(parts) == 4 else IPv4Network((value, len(parts) * 8))


def _from_classless(parts: list[str]) -> IPv4Address | IPv4Network | None:
    """Three octets and then the last one, or a classless label, or both of these."""
    label = _CLASSLESS.fullmatch(parts[3])
    if label is None:
        return _from_octets(parts)
    first = _from_octets([*parts[:3], label[1]])
    if not isinstance(first, IPv4Address) or int(label[2]) not in _CLASSLESS_LENGTHS:
        return None
    network = IPv4Network((int(first), int(label[2])), strict=False)
    if network.network_address != first:
        return None
    if len(parts) == 4:
        return network
    address = _from_octets([*parts[:3], *parts[4:]])
    return address if isinstance(address, IPv4Address) and address in network else None


def _from_nibbles(parts: list[str]) -> IPv6Address | IPv6Network | None:
    """Up to 32 hexadecimal digits, first to last."""
    if not all(_NIBBLE.fullmatch(part) for part in parts) or len(parts) > 32:
        return None
    value = int("".join(parts).ljust(32, "0"), 16)
    return IPv6Address(value) if len(parts) == 32 else IPv6Network((value, len(parts) * 4))
