"""Addresses of connections, as people write them and as access rules look at them."""

import os
from ipaddress import IPv6Address as StandardIPv6Address
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from netsuite.ip import IPAddress


def address_text(address: IAddress) -> str:
    """An address as people write it: ``192.0.2.1:7``, ``[2001:db8::1]:7``, ``unix:/path``."""
    match address:
        case IPv4Address():
            return f"{address.host}:{address.port}"
        case IPv6Address():
            return f"[{address.host}]:{address.port}"
        case UNIXAddress():
            return f"unix:{os.fsdecode(address.name or b'')}"
        case _:
            return str(address)


def host_of(address: IAddress) -> IPAddress | None:
    """The IP address, for access rules; None if there is none.

    An IPv4-mapped one (RFC 4291 section 2.5.5.2) counts as IPv4, and a zone is left out.
    """
    if not isinstance(address, IPv4Address | IPv6Address):
        return None
    host = ip_address(address.host)
    if isinstance(host, StandardIPv6Address):
        return host.ipv4_mapped or StandardIPv6Address(int(host))
    return host
