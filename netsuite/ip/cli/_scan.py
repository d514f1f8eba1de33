"""Finding the addresses of a set in bytes that may be anything.

What counts as an address in a line:

* IPv4: four decimal numbers up to 255, without leading zeros. In front of it stands no letter,
  digit or dot; behind it neither a letter or digit, nor a dot with one of these behind it. So
  ``10.0.0.1:80``, ``[10.0.0.1]``, ``ip=10.0.0.1,`` and ``... to 10.0.0.1.`` have one;
  ``1.2.3.4.5``, ``10.0.0.1abc``, ``v10.0.0.1`` and ``10.0.0.1.example`` have none.
* IPv6: the longest run of hexadecimal digits and colons, with an IPv4 tail or without, if it is
  an address (RFC 4291 section 2.2), with the same rule for what is around it. One colon
  in front of it or behind it belongs to the text: ``from:2001:db8::1: denied``.
* A network: one of these, a slash and a length that fits it (no host bits). It is in the set
  if all of it is. Whatever else follows a slash, the address is looked at alone.
* An IPv4-mapped address (``::ffff:10.0.0.1``) is in the set if it, or the IPv4 address that it
  stands for, is there.

Letters are those of ASCII: all other bytes separate.
"""

import re
from collections.abc import Iterator
from heapq import merge
from ipaddress import IPv6Address, ip_address, ip_network
from socket import AF_INET, AF_INET6, inet_pton

from netsuite.ip._errors import AddressError
from netsuite.ip._parse import parse_network
from netsuite.ip._set import IPSet

Span = tuple[int, int]
"""Where a match begins and ends."""

_KNOWN = 1 << 17  # answers that are remembered
_LONGEST = 45  # characters of an IPv6 address

_END = rb"(?![0-9A-Za-z]|\.[0-9A-Za-z])(?:/[0-9]{1,3}(?![0-9A-Za-z]))?"
# It begins with the first dot, which is quick to find. The number of the group that took part
# is how many digits stand before it.
_IPV4 = re.compile(
    rb"\.(?:(?<=[^0-9A-Za-z.][0-9]\.)()|(?<=[^0-9A-Za-z.][0-9]{2}\.)()|(?<=[^0-9A-Za-z.][0-9]{3}\.)())"
    rb"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}" + _END
)
# Every IPv6 address has two colons, or six with groups between them.
_IPV6_ANCHOR = re.compile(rb":(?::|(?:[0-9A-Fa-f]{1,4}:){5})")
_IPV6 = re.compile(rb"(?:[0-9A-Fa-f]{0,4}:)+(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4})")
_IPV6_END = re.compile(_END)
_IPV6_CHARACTERS = b"0123456789abcdefABCDEF:"
_COLON = b":"
_GLUE = re.compile(rb"[0-9A-Za-z.]")


class Scanner:
    """Finds what is inside one set."""

    def __init__(self, wanted: IPSet) -> None:
        self._wanted = wanted
        # Answers by token: logs name the same addresses again and again.
        self._known: dict[bytes, bool] = {}

    def matches(self, data: bytes) -> Iterator[Span]:
        """The places of all that is in the set, in order.

        :param data: lines; the first byte of all is a newline that belongs to none of them.
        """
        if len(self._known) > _KNOWN:
            self._known.clear()
        ipv6 = self._ipv6_matches(data)
        if not self._wanted._families[4].starts:
            return ipv6
        return merge(self._ipv4_matches(data), ipv6)

    def _ipv4_matches(self, data: bytes) -> Iterator[Span]:
        known, contains, from_bytes = self._known, self._wanted.contains_int, int.from_bytes
        remembered = known.get
        for match in _IPV4.finditer(data):
            start, end = match.span()
            start -= match.lastindex  # type: ignore[operator]  # one of the three groups is there
            token = data[start:end]
            inside = remembered(token)
            if inside is None:
                try:
                    value = from_bytes(inet_pton(AF_INET, str(token, "ascii")), "big")
                except OSError:
                    inside = self._has_token(token)
                else:
                    inside = contains(value, 4)
                known[token] = inside
            if inside and (data[start - 1] != _COLON[0] or not _is_tail(data, start)):
                yield start, start + len(_said(token))

    def _ipv6_matches(self, data: bytes) -> Iterator[Span]:
        known = self._known
        done = 0
        for anchor in _IPV6_ANCHOR.finditer(data):
            if anchor.start() < done:
                continue
            span, done = _ipv6_span(data, anchor.start())
            if span is None:
                continue
            token = data[span[0] : span[1]]
            inside = known.get(token)
            if inside is None:
                inside = known[token] = self._has_token(token)
            if inside:
                yield span[0], span[0] + len(_said(token))

    def _has_token(self, token: bytes) -> bool:
        """Whether an address is in the set, or all of a network."""
        text = str(_said(token), "ascii")
        try:
            item = ip_network(text) if "/" in text else ip_address(text)
        except ValueError:
            return False
        if item in self._wanted:
            return True
        mapped = item.ipv4_mapped if isinstance(item, IPv6Address) else None
        return mapped is not None and mapped in self._wanted


def _said(token: bytes) -> bytes:
    """An address alone, if what follows the slash does not make it a network."""
    address, slash, _ = token.partition(b"/")
    if not slash:
        return token
    try:
        parse_network(str(token, "ascii"))
    except AddressError:
        return address
    return token


def _run_start(data: bytes, place: int) -> int:
    """Where the hexadecimal digits and colons before a place begin; not too far back."""
    before = data[max(0, place - _LONGEST - 2) : place]
    return place - len(before) + len(before.rstrip(_IPV6_CHARACTERS))


def _ipv6_span(data: bytes, place: int) -> tuple[Span | None, int]:
    """What around two colons could be an address, and where to go on looking."""
    start = _run_start(data, place)
    match = _IPV6.match(data, start)
    if match is None:  # more than four digits before the first colon
        return None, place + 1
    end = match.end()
    going_on = end
    run = data[start:end]
    if run.endswith(_COLON) and (run.endswith(b":::") or not run.endswith(b"::")):
        end -= 1
        suffix_end = end
    else:
        suffix = _IPV6_END.match(data, end)
        if suffix is None:
            return None, going_on
        suffix_end = suffix.end()
    run = data[start:end]
    if run.startswith(_COLON) and (run.startswith(b":::") or not run.startswith(b"::")):
        start += 1
    elif _GLUE.match(data, start - 1):
        return None, going_on
    return (start, suffix_end), going_on


def _is_tail(data: bytes, start: int) -> bool:
    """Whether the IPv4 address at ``start``, after a colon, is the end of an IPv6 address."""
    span, _ = _ipv6_span(data, start - 1)
    if span is None:
        return False
    try:
        inet_pton(AF_INET6, data[span[0] : span[1]].decode("ascii").partition("/")[0])
    except (OSError, ValueError):
        return False
    return True
