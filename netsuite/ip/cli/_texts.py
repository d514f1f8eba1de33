"""Networks as text, very many of them."""

from collections.abc import Iterable
from socket import AF_INET, inet_ntop

from netsuite.ip._range import to_network
from netsuite.ip._set import IPSet

Row = tuple[int, int, int]
"""First address, length and version of a network."""


def rows(addresses: IPSet) -> Iterable[Row]:
    """The fewest networks of a set, in order."""
    return addresses._prefixes()


def text_of(row: Row) -> str:
    """What ``str`` makes of a network, sooner."""
    value, length, version = row
    if version == 4:
        return f"{inet_ntop(AF_INET, value.to_bytes(4, 'big'))}/{length}"
    return str(to_network(value, length, version))


def texts(addresses: IPSet) -> list[str]:
    """The fewest networks of a set, in order, as text."""
    return [text_of(row) for row in rows(addresses)]
