"""Who the client is behind proxies: ``Forwarded`` (RFC 7239) and ``X-Forwarded-For``.

Anybody can send these fields. What can be believed is only what trusted proxies appended, and
that is at the right: each proxy writes whom *it* was talking to behind what it was sent
(RFC 7239 sections 7.4 and 8.1). So a chain is read from the right, and no further than to the
first address that is no trusted proxy. Read the one field that your proxies write: the
other came from the client as it is.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv6Address
from itertools import islice

from netsuite.ip._errors import AddressError
from netsuite.ip._parse import parse_address
from netsuite.ip._range import IPRange
from netsuite.ip._rate import IPAddress, IPNetwork
from netsuite.ip._set import IPSet

#: Hops that are looked at, from the right.
MAX_HOPS = 32

#: Characters that are looked at in each field, from the right.
MAX_FIELD = 8192

#: What stands for a hop that has no address for us (RFC 7239 section 6.2).
UNKNOWN = "unknown"

_QUOTE_OR_COMMA = re.compile('[",]')
_PAIR = re.compile(
    r"""[ \t;]* (?P<name>[\w!#$%&'*+.^`|~-]+)
    = (?: "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<bare>[^\s",;]+) ) [ \t]* (?:;|\Z)""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_NODE = re.compile(
    r"(?:\[(?P<ipv6>[^\[\]]*)\]|(?P<ipv4>[0-9.]+))(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?",
    re.ASCII,
)


class TrustedProxies:
    """The proxies whose word on their clients is taken.

    :param proxies: addresses, networks, ranges, sets and texts, in any mix.
    :raises AddressError: for a text that is none of those.
    """

    __slots__ = ("_proxies",)

    def __init__(self, proxies: Iterable[IPAddress | IPNetwork | IPRange | IPSet | str]) -> None:
        self._proxies = IPSet(proxies)

    def client(self, peer: IPAddress, forwarded: Sequence[str]) -> IPAddress:
        """The nearest address that is no trusted proxy.

        The answer is the peer when that is not trusted, whatever it says. It is a trusted
        proxy when that one does not say whom it was talking to (``unknown``, ``_hidden``, or
        nothing that is an address), when the whole chain is of trusted proxies, and after
        :data:`MAX_HOPS` of them. IPv4-mapped addresses are taken, and given, as IPv4.

        :param peer: the other end of the connection.
        :param forwarded: the hops as the fields name them, the nearest last: see
            :func:`parse_forwarded` and :func:`parse_x_forwarded_for`.
        """
        client = _plain(peer)
        for node in reversed(forwarded[-MAX_HOPS:]):
            if client not in self._proxies:
                break
            hop = node_address(node)
            if hop is None:
                break
            client = hop
        return client


def node_address(node: str) -> IPAddress | None:
    """The address of a hop (RFC 7239 section 6), without its port.

    ``192.0.2.43``, ``192.0.2.43:47011`` and ``[2001:db8::17]:_port`` have one, as has a bare
    IPv6 address, which ``X-Forwarded-For`` is full of. ``unknown``, ``_hidden`` and anything
    that is not an address have none.
    """
    match = _NODE.fullmatch(node)
    text = node if match is None else match["ipv4"] or match["ipv6"]
    try:
        address = parse_address(text)
    except AddressError:
        return None
    bracketed = match is not None and match["ipv6"] is not None
    if "%" in text or (bracketed and address.version == 4):
        return None
    return _plain(address)


def parse_x_forwarded_for(fields: Iterable[str]) -> tuple[str, ...]:
    """The hops that ``X-Forwarded-For`` fields name, the nearest last.

    :param fields: the values of all fields of that name, in order.
    :returns: up to :data:`MAX_HOPS`, the nearest.
    """
    return _nearest(fields, quotes=False)


def parse_forwarded(fields: Iterable[str]) -> tuple[str, ...]:
    """The hops that ``Forwarded`` fields name with ``for=`` (RFC 7239 section 4), nearest last.

    Elements are found from the right, so that a quote which a client left open spoils what
    the client sent, and nothing that a proxy appended. An element without ``for=``, with two of
    them or with wrong syntax is a hop all the same: :data:`UNKNOWN`. Values may stand without
    quotes where the grammar wants some: ``for=[2001:db8::17]:4711``.

    :param fields: the values of all fields of that name, in order.
    :returns: up to :data:`MAX_HOPS`, the nearest.
    """
    return tuple(_for(element) for element in _nearest(fields, quotes=True))


def _nearest(fields: Iterable[str], *, quotes: bool) -> tuple[str, ...]:
    """The last elements of all fields; empty ones do not count (RFC 9110 section 5.6.1.2)."""
    elements = (
        element.strip(" \t")
        for value in reversed(tuple(fields))
        for element in _from_right(value, quotes=quotes)
    )
    return tuple(islice(filter(None, elements), MAX_HOPS))[::-1]


def _from_right(value: str, *, quotes: bool) -> Iterator[str]:
    """What stands between commas, the last first.

    :param quotes: whether commas in quoted strings are none.
    """
    text = value[-MAX_FIELD:]
    end, quoted = len(text), False
    for match in reversed(list(_QUOTE_OR_COMMA.finditer(text))):
        at = match.start()
        if match[0] == '"':
            if quotes and not (quoted and _is_escaped(text, at)):
                quoted = not quoted
        elif not quoted:
            yield text[at + 1 : end]
            end = at
    if len(text) == len(value):  # or the rest of it is what was cut through
        yield text[:end]


def _is_escaped(text: str, at: int) -> bool:
    """Whether an odd number of backslashes stands before a place."""
    start = at
    while start and text[start - 1] == "\\":
        start -= 1
    return (at - start) % 2 == 1


def _for(element: str) -> str:
    """The value of ``for`` in one element."""
    element = element.rstrip(" \t;")
    found = []
    position = 0
    while position < len(element):
        match = _PAIR.match(element, position)
        if match is None:
            return UNKNOWN
        if match["name"].lower() == "for":
            quoted = match["quoted"]
            found.append(match["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        position = match.end()
    return found[0] if len(found) == 1 else UNKNOWN


def _plain(address: IPAddress) -> IPAddress:
    """The address without zone, an IPv4-mapped one as IPv4."""
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or IPv6Address(int(address))
    return address
