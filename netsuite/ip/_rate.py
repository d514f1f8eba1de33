"""Which client an address belongs to, for limits that count by client."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


def rate_key(address: IPAddress, *, ipv4: int = 32, ipv6: int = 64) -> IPNetwork:
    """The network that stands for one client.

    A host on IPv6 has a whole /64 to pick addresses from (RFC 4291 section 2.5.1), so a
    limit by single address would be none. An IPv4-mapped address (RFC 4291 section 2.5.5.2)
    counts as the IPv4 address in it.

    :param ipv4: prefix length for IPv4 clients, 0 to 32.
    :param ipv6: prefix length for IPv6 clients, 0 to 128.
    :raises ValueError: for a prefix length out of range.
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return IPv6Network((int(address), ipv6), strict=False)
        address = address.ipv4_mapped
    return IPv4Network((int(address), ipv4), strict=False)
