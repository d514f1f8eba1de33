"""A run of addresses that need not be a prefix."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import AF_INET, inet_pton

from netsuite.ip import _intervals
from netsuite.ip._errors import AddressError
from netsuite.ip._rate import IPAddress, IPNetwork

_EXPECTED = "an address, a network, a range such as 192.0.2.5-192.0.2.9, or a glob such as 10.0.*.*"
_LONGEST = 100  # characters: two IPv6 addresses with room to spare
_GLOB = re.compile(r"(?:[0-9*-]+\.){3}[0-9*-]+\Z", re.ASCII)
_OCTET = re.compile(r"(?P<first>[0-9]{1,3})(?:-(?P<last>[0-9]{1,3}))?\Z", re.ASCII)
_OCTETS = 4

BITS = {4: 32, 6: 128}


def to_address(value: int, version: int) -> IPAddress:
    """The address with a value."""
    return IPv4Address(value) if version == 4 else IPv6Address(value)


def to_network(value: int, length: int, version: int) -> IPNetwork:
    """The network with a first address and a length."""
    return IPv4Network((value, length)) if version == 4 else IPv6Network((value, length))


def address_value(address: "IPAddress | str") -> tuple[int, int]:
    """Version and value of an address, or of the one in a text."""
    if isinstance(address, IPv4Address):
        return 4, int(address)
    if isinstance(address, IPv6Address):
        return 6, int(address)
    try:
        return 4, int.from_bytes(inet_pton(AF_INET, address), "big")
    except (OSError, ValueError):  # not IPv4, or not even a text for the system
        pass
    try:
        return 6, int(IPv6Address(address))
    except ValueError:
        raise AddressError(address, "an address") from None


@dataclass(frozen=True, order=True, slots=True)
class IPRange:
    """The addresses from ``first`` to ``last``, both inside, of one family.

    Ranges are ordered by their first address, IPv4 before IPv6.

    :raises AddressError: if the ends are of two families, or the wrong way round.
    """

    _key: tuple[int, int, int]

    def __init__(self, first: IPAddress, last: IPAddress) -> None:
        if first.version != last.version or first > last:  # type: ignore[operator]  # one family by then
            raise AddressError(
                f"{first}-{last}", "two addresses of one family, the lower one first"
            )
        object.__setattr__(self, "_key", (first.version, int(first), int(last)))

    @classmethod
    def parse(cls, text: str) -> "IPRange":
        """The range that a text names.

        :param text: an address, a network, ``first-last``, ``192.0.2.5-9`` (the last octet
            only), or an IPv4 glob: ``*`` and ``a-b`` octets, with nothing but ``*`` after
            the first of them.
        :raises AddressError: for anything else, or for a network with host bits set.
        """
        text = text.strip()
        if len(text) > _LONGEST:
            raise AddressError(text[:_LONGEST] + "...", _EXPECTED)
        if "%" in text:
            raise AddressError(text, "addresses without a zone: it says on which link, not which")
        try:
            if "*" in text or (_GLOB.match(text) and "-" in text):
                return _parse_glob(text)
            first, dash, last = text.partition("-")
            if dash:
                return cls(ip_address(first.strip()), ip_address(last.strip()))
            network = ip_network(text)
        except AddressError:
            raise
        except ValueError as error:
            expected = _EXPECTED
            if "host bits" in str(error):
                expected = f"no host bits: {ip_network(text, strict=False)}"
            raise AddressError(text, expected) from None
        return cls(network[0], network[-1])

    @classmethod
    def of(cls, network: IPNetwork) -> "IPRange":
        """The range of all addresses of a network."""
        return cls(network.network_address, network.broadcast_address)

    @property
    def version(self) -> int:
        """4 or 6."""
        return self._key[0]

    @property
    def first(self) -> IPAddress:
        """The lowest address."""
        return to_address(self._key[1], self._key[0])

    @property
    def last(self) -> IPAddress:
        """The highest address."""
        return to_address(self._key[2], self._key[0])

    @property
    def size(self) -> int:
        """How many addresses there are."""
        return self._key[2] - self._key[1] + 1

    def __contains__(self, item: "IPAddress | IPNetwork | IPRange") -> bool:
        other = _key_of(item)
        version, first, last = self._key
        return version == other[0] and first <= other[1] and other[2] <= last

    def overlaps(self, other: "IPAddress | IPNetwork | IPRange") -> bool:
        """Whether some address is in both."""
        version, first, last = _key_of(other)
        return self._key[0] == version and first <= self._key[2] and self._key[1] <= last

    def __iter__(self) -> Iterator[IPAddress]:
        """Each address in turn."""
        version, first, last = self._key
        return (to_address(value, version) for value in range(first, last + 1))

    def prefixes(self) -> Iterator[IPNetwork]:
        """The fewest networks that make it up, in order."""
        version, first, last = self._key
        for value, length in _intervals.prefixes(first, last, BITS[version]):
            yield to_network(value, length, version)

    @property
    def prefix(self) -> IPNetwork | None:
        """The network that it is, or None if it takes more than one."""
        found = list(_take_two(self.prefixes()))
        return found[0] if len(found) == 1 else None

    def __str__(self) -> str:
        return f"{self.first}-{self.last}"

    def __repr__(self) -> str:
        return f"<IPRange {self}>"


def _take_two(networks: Iterator[IPNetwork]) -> Iterator[IPNetwork]:
    for _, network in zip(range(2), networks, strict=False):
        yield network


def _key_of(item: "IPAddress | IPNetwork | IPRange") -> tuple[int, int, int]:
    """Version, first and last of anything that is a run of addresses."""
    if isinstance(item, IPRange):
        return item._key
    if isinstance(item, IPv4Network | IPv6Network):
        return item.version, int(item.network_address), int(item.broadcast_address)
    value = int(item)
    return item.version, value, value


def _parse_glob(text: str) -> IPRange:
    """An IPv4 range by octets."""
    octets = text.split(".")
    firsts: list[int] = []
    lasts: list[int] = []
    for octet in octets:
        match = _OCTET.match(octet)
        if octet != "*" and match is None:
            raise AddressError(text, _EXPECTED)
        first, last = (match["first"], match["last"]) if match else ("0", "255")
        if lasts and lasts[-1] != firsts[-1] and octet != "*":
            raise AddressError(text, "nothing but * after the first * or a-b of a glob")
        firsts.append(int(first))
        lasts.append(int(last or first))
    if len(octets) != _OCTETS or max(firsts + lasts) > 255 or firsts > lasts:
        raise AddressError(text, _EXPECTED)
    return IPRange(IPv4Address(bytes(firsts)), IPv4Address(bytes(lasts)))
