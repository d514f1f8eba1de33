"""Addresses, networks and hosts in text: one strict reading, and every other one with its name.

The strict readers take what :mod:`ipaddress` takes. :func:`parse_lenient` takes what operating
systems take besides (``inet_aton`` and ``getaddrinfo``), so that a guard or a log reader sees
the host that the network stack will see.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import Flag, auto
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from netsuite.ip._errors import AddressError
from netsuite.ip._rate import IPAddress, IPNetwork

#: Longer texts are refused unread. An address takes 45 characters, the rest is for its zone.
MAX_ADDRESS = 128

#: As above for :func:`parse_lenient`: numbers may have leading zeros, or text behind them.
MAX_LENIENT = 1024

#: A name of 253 characters and its final dot, a colon and a port.
MAX_HOST_PORT = 260

_ADDRESS = "an IPv4 or IPv6 address"
_NETWORK = "a network, as in 192.0.2.0/24 or 2001:db8::/32"
_HOST_PORT = "host, host:port or [IPv6 address]:port"
_LENIENT = "an address in a notation that inet_aton or getaddrinfo reads"

#: What no name of an interface has, and what would end the address in a longer text.
_NOT_IN_ZONE = re.compile(r"[\s:\[\]]")

_PREFIX_LENGTH = re.compile(r"0|[1-9][0-9]{0,2}")

#: Labels of up to 63 characters (RFC 1035 section 2.3.4), with the underscore that is in use.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?")
_MAX_NAME = 254

#: One number as C writes it.
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]+|0[0-7]*|[1-9][0-9]*")

#: White space of the C locale ends the text for ``inet_aton``.
_C_SPACE = re.compile(r"[ \t\n\v\f\r]")

#: What IDNA drops: RFC 3454 table B.1, and "ignored" in Unicode Technical Standard 46.
_DROPPED = re.compile(
    "[\u00ad\u034f\u1806\u180b-\u180f\u200b-\u200d\u2060-\u2064\ufe00-\ufe0f\ufeff"
    "\U000e0100-\U000e01ef]"
)


class Notation(Flag):
    """How an address is written; marks combine. The standard notation has none, and is false.

    ``str()`` gives the names, as in ``"hexadecimal, short"``.
    """

    STANDARD = 0  #: as :func:`parse_address` reads it
    HEXADECIMAL = auto()  #: ``0x7f.0.0.1``
    OCTAL = auto()  #: ``0177.0.0.1``; ``010.0.0.1`` is 8.0.0.1
    SHORT = auto()  #: two or three numbers, ``127.1``
    INTEGER = auto()  #: one number, ``2130706433``
    TRAILING = auto()  #: white space behind the address, whatever follows it
    BRACKETED = auto()  #: ``[::1]``, an IPv6 address as URLs have it
    IDNA_MAPPED = auto()  #: full-width or other characters that IDNA maps to ASCII

    def __str__(self) -> str:
        names = [flag.name.lower().replace("_", "-") for flag in self if flag.name]
        return ", ".join(names) or "standard"


@dataclass(frozen=True, slots=True)
class LenientAddress:
    """An address, and how it was written."""

    address: IPAddress
    notation: Notation


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host, by name or by address, and perhaps a port.

    ``str()`` is what :func:`parse_host_port` reads back, with brackets around IPv6.

    :ivar host: a name as it was written, which no system takes for an address; or an address.
    """

    host: str | IPAddress
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if isinstance(self.host, IPv6Address) else str(self.host)
        return host if self.port is None else f"{host}:{self.port}"


def parse_address(text: str) -> IPAddress:
    """One address in standard notation: four decimal numbers, or RFC 4291 section 2.2.

    What :mod:`ipaddress` takes, with a zone id (RFC 4007 section 11) that could be the name of
    an interface: no white space, no unprintable character, none of ``:[]``.

    :raises AddressError: for anything else, and for a text longer than :data:`MAX_ADDRESS`.
    """
    _refuse_longer(text, MAX_ADDRESS, _ADDRESS)
    address = _standard(text)
    if address is None:
        raise AddressError(text, _ADDRESS)
    return address


def parse_network(text: str, *, strict: bool = True) -> IPNetwork:
    """One network: an address, a slash, and a prefix length or an IPv4 netmask.

    A bare address is the network of itself alone. Hostmasks, leading zeros in the prefix length
    and zone ids are refused.

    :param strict: whether bits set behind the prefix are refused; otherwise they are cleared.
    :raises AddressError: for anything else. With host bits set, it says which network it would
        be.
    """
    _refuse_longer(text, MAX_ADDRESS, _NETWORK)
    if "%" in text:
        raise AddressError(text, "a network without a zone id")
    network = _network(text, strict=strict)
    if network is None:
        loose = _network(text, strict=False)
        raise AddressError(
            text, f"no bits set behind the prefix, as in {loose}" if loose else _NETWORK
        )
    # Hostmasks: of 0.0.0.255, ipaddress makes a length of 24, and of 0.0.0.0 one of 0.
    _, slash, length = text.partition("/")
    if slash and not _PREFIX_LENGTH.fullmatch(length) and length != str(network.netmask):
        raise AddressError(text, "a prefix length or a netmask behind the slash")
    return network


def parse_host_port(text: str, default_port: int | None = None) -> HostPort:
    """A host, and a port if there is one (RFC 3986 sections 3.2.2 and 3.2.3).

    IPv6 addresses stand in brackets; a bare one is taken too, and has no port: all of
    ``::1:80`` is the address. Zone ids stand as people write them, ``[fe80::1%eth0]:7``
    (RFC 9844), never percent-encoded. Names are narrower than RFC 3986 has them: letters,
    digits, hyphens and underscores in labels, the last of which is no number (RFC 1123 section
    2.1), so that ``127.1`` or ``0x7f000001`` never passes for a name. International names come
    as A-labels.

    :param default_port: the port when there is none, or nothing behind the colon.
    :raises AddressError: for anything else, an empty host or a port above 65535 included.
    """
    _refuse_longer(text, MAX_HOST_PORT, _HOST_PORT)
    host: str | IPAddress | None
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        host = _ipv6(inside) if bracket and rest[:1] in {"", ":"} else None
        port = rest[1:]
    elif text.count(":") > 1:
        host, port = _ipv6(text), ""
    else:
        name, _, port = text.partition(":")
        if not name:
            raise AddressError(text, f"{_HOST_PORT}: there is no host")
        host = _ipv4(name) or _name(name)
    if host is None:
        raise AddressError(text, _HOST_PORT)
    if not port:
        return HostPort(host, default_port)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise AddressError(text, f"{_HOST_PORT}, with a port from 0 to 65535")
    return HostPort(host, int(port))


def parse_lenient(text: str) -> LenientAddress:
    """One address in any notation that ``inet_aton`` or ``getaddrinfo`` takes.

    That is: one to four numbers, decimal, octal (with a leading zero, which never is decimal) or
    hexadecimal, of which the last fills all bits that are left; white space behind them,
    and what follows it; IPv6 with a zone id or in brackets; all of this in characters
    that IDNA maps to ASCII (RFC 3490, Unicode Technical Standard 46), ideographic full stops
    included. Leading white space and a final dot are not taken: those go to the DNS.

    For logs, guards and forensics: who configures something gets :func:`parse_address`.

    :raises AddressError: for anything else, and for a text longer than :data:`MAX_LENIENT`.
    """
    _refuse_longer(text, MAX_LENIENT, _LENIENT)
    found = _lenient(text)
    if found is None:
        raise AddressError(text, _LENIENT)
    return found


def is_numeric_host(text: str) -> bool:
    """Whether an operating system would take this for an address, not for a name to look up.

    For guards and crawlers, which must not see a name where the system sees ``127.0.0.1``.
    A text that is too long for :func:`parse_lenient` counts as an address unless it could
    be a name: when it begins with a digit, or has a colon.
    """
    if len(text) > MAX_LENIENT:
        start = _mapped(text[:MAX_LENIENT])
        return start[:1].isdigit() or ":" in start
    return _lenient(text) is not None


def _refuse_longer(text: str, most: int, expected: str) -> None:
    """Bound the time that a text can take."""
    if len(text) > most:
        raise AddressError(text, f"{expected}, in up to {most} characters")


def _ipv4(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None


def _ipv6(text: str) -> IPv6Address | None:
    zone = text.partition("%")[2]
    if not zone.isprintable() or _NOT_IN_ZONE.search(zone):
        return None
    try:
        return IPv6Address(text)
    except ValueError:
        return None


def _standard(text: str) -> IPAddress | None:
    return _ipv6(text) if ":" in text else _ipv4(text)


def _network(text: str, *, strict: bool) -> IPNetwork | None:
    kind = IPv6Network if ":" in text else IPv4Network
    try:
        return kind(text, strict=strict)
    except ValueError:
        return None


def _name(text: str) -> str | None:
    """A host name that no system takes for an address."""
    if len(text) > _MAX_NAME or not _NAME.fullmatch(text) or _ENDS_IN_NUMBER.fullmatch(text):
        return None
    return text


def _mapped(text: str) -> str:
    """What IDNA makes of a text, as far as addresses go. Case is left alone."""
    if text.isascii():
        return text
    return unicodedata.normalize("NFKC", _DROPPED.sub("", text)).replace("\u3002", ".")


def _lenient(text: str) -> LenientAddress | None:
    """Any reading there is, the strict one first."""
    standard = _standard(text)
    if standard is not None:
        return LenientAddress(standard, Notation.STANDARD)
    if "\0" in text:
        return None
    space = _C_SPACE.search(text)
    written = text[: space.start()] if space else text
    plain = _mapped(written)
    found = _inet_aton(plain)
    if found is None and not space:
        found = _lenient_ipv6(plain)
    if found is None:
        return None
    notation = found.notation
    if space:
        notation |= Notation.TRAILING
    if plain != written:
        notation |= Notation.IDNA_MAPPED
    return LenientAddress(found.address, notation)


def _inet_aton(text: str) -> LenientAddress | None:
    """Read one to four numbers as ``inet_aton`` does."""
    parts = text.split(".", 4)
    if len(parts) > 4 or not all(_NUMBER.fullmatch(part) for part in parts):
        return None
    notation = {1: Notation.INTEGER, 2: Notation.SHORT, 3: Notation.SHORT}.get(
        len(parts), Notation.STANDARD
    )
    numbers = []
    for part in parts:
        base = 10
        if part[:2] in {"0x", "0X"}:
            base, notation = 16, notation | Notation.HEXADECIMAL
        elif part[0] == "0" and len(part) > 1:
            base, notation = 8, notation | Notation.OCTAL
        numbers.append(int(part, base))
    *leading, last = numbers
    if any(number > 0xFF for number in leading) or last >> 8 * (4 - len(leading)):
        return None
    value = int.from_bytes([*leading, *last.to_bytes(4 - len(leading), "big")], "big")
    return LenientAddress(IPv4Address(value), notation)


def _lenient_ipv6(text: str) -> LenientAddress | None:
    bracketed = text.startswith("[") and text.endswith("]")
    address = _ipv6(text[1:-1] if bracketed else text)
    if address is None:
        return None
    return LenientAddress(address, Notation.BRACKETED if bracketed else Notation.STANDARD)
