"""Hardware addresses: EUI-48, which everybody calls MAC, and EUI-64.

RFC 4291 appendix A turns the one into the other, and both into IPv6 interface identifiers.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from netsuite.ip._errors import AddressError

_EXPECTED = "a MAC address of 6 or 8 octets, as in 00:1b:44:11:3a:b7"

#: Eight octets, each with a separator.
_LONGEST = 23

_OCTETS = re.compile(
    r"[0-9a-f]{2}([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}(?:(?:\1[0-9a-f]{2}){2})?"
    r"|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2,3}"
    r"|[0-9a-f]{12}(?:[0-9a-f]{4})?",
    re.IGNORECASE | re.ASCII,
)

#: The bits of the first octet (RFC 9542 section 2.1).
_GROUP = 0x01
_LOCAL = 0x02

#: What makes eight octets of six.
_FILLER = b"\xff\xfe"


class MACNotation(StrEnum):
    """How a hardware address is written."""

    COLON = "colon"  #: ``00:1b:44:11:3a:b7``, most of Unix
    HYPHEN = "hyphen"  #: ``00-1b-44-11-3a-b7``, IEEE 802 and Windows
    DOT = "dot"  #: ``001b.4411.3ab7``, Cisco
    BARE = "bare"  #: ``001b44113ab7``


#: Separator and octets in a group.
_WRITING = {
    MACNotation.COLON: (":", 1),
    MACNotation.HYPHEN: ("-", 1),
    MACNotation.DOT: (".", 2),
    MACNotation.BARE: ("", 1),
}


@dataclass(frozen=True, order=True, slots=True, init=False, repr=False)
class MAC:
    """A hardware address of 6 octets (EUI-48) or 8 (EUI-64).

    ``str()`` writes colons; a format specification names a :class:`MACNotation`, in capitals
    for capital digits: ``f"{mac:dot}"``, ``f"{mac:HYPHEN}"``. Order is that of the octets.

    :param value: the octets, or a text in one of the four notations, in either case.
    :ivar packed: the octets, as on the wire.
    :raises AddressError: when it is neither, mixed separators included.
    """

    packed: bytes

    def __init__(self, value: str | bytes | bytearray) -> None:
        if isinstance(value, str):
            if len(value) > _LONGEST or not _OCTETS.fullmatch(value):
                raise AddressError(value, _EXPECTED)
            value = bytes.fromhex(re.sub("[:.-]", "", value))
        if len(value) not in {6, 8}:
            raise AddressError(value, _EXPECTED)
        object.__setattr__(self, "packed", bytes(value))

    @classmethod
    def from_int(cls, value: int, bits: int = 48) -> Self:
        """The address that is this number.

        :param bits: 48 or 64.
        :raises AddressError: when the number does not fit, or for another count of bits.
        """
        if bits not in {48, 64}:
            raise AddressError(bits, "48 or 64 bits")
        if not 0 <= value < 1 << bits:
            raise AddressError(value, f"a number from 0 to 2**{bits} - 1")
        return cls(value.to_bytes(bits // 8, "big"))

    @classmethod
    def from_interface_id(cls, identifier: int) -> Self:
        """The address that a modified EUI-64 interface identifier was made of.

        An EUI-48 where the identifier has FF-FE in its middle, an EUI-64 otherwise
        (RFC 4291 appendix A).

        :param identifier: the low 64 bits of an IPv6 address.
        :raises AddressError: when the number does not fit into 64 bits.
        """
        modified = cls.from_int(identifier, 64).packed
        eui64 = cls(bytes([modified[0] ^ _LOCAL]) + modified[1:])
        return eui64.to_eui48() if eui64.packed[3:5] == _FILLER else eui64

    @property
    def bits(self) -> int:
        """48 or 64."""
        return len(self.packed) * 8

    @property
    def is_multicast(self) -> bool:
        """Whether it names a group of stations, broadcast included."""
        return bool(self.packed[0] & _GROUP)

    @property
    def is_local(self) -> bool:
        """Whether it is locally administered: chosen by software, not burnt in by a maker."""
        return bool(self.packed[0] & _LOCAL)

    @property
    def is_broadcast(self) -> bool:
        """Whether every bit is set."""
        return self.packed == b"\xff" * len(self.packed)

    @property
    def oui(self) -> bytes:
        """The first three octets: who made it, unless :attr:`is_local`."""
        return self.packed[:3]

    def to_eui64(self) -> Self:
        """The EUI-64 of it: FF-FE goes into the middle of an EUI-48 (RFC 4291 appendix A)."""
        if len(self.packed) == 8:
            return self
        return type(self)(self.packed[:3] + _FILLER + self.packed[3:])

    def to_eui48(self) -> Self:
        """The EUI-48 of it: what :meth:`to_eui64` put into the middle is taken out.

        :raises AddressError: for an EUI-64 without FF-FE there.
        """
        if len(self.packed) == 6:
            return self
        if self.packed[3:5] != _FILLER:
            raise AddressError(str(self), "an EUI-64 with ff:fe in its middle")
        return type(self)(self.packed[:3] + self.packed[5:])

    @property
    def interface_id(self) -> int:
        """The modified EUI-64 interface identifier: the low 64 bits of an IPv6 address.

        Modified means that the universal/local bit is inverted (RFC 4291 appendix A).
        """
        return int(self.to_eui64()) ^ (_LOCAL << 56)

    def format(self, notation: MACNotation = MACNotation.COLON, *, upper: bool = False) -> str:
        """Write it down.

        :param upper: whether digits above 9 are capitals.
        """
        separator, size = _WRITING[notation]
        text = self.packed.hex(separator, size) if separator else self.packed.hex()
        return text.upper() if upper else text

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        if spec not in {*MACNotation, *(name.upper() for name in MACNotation)}:
            names = ", ".join(MACNotation)
            raise AddressError(spec, f"a notation: {names}, or one of these in capitals")
        return self.format(MACNotation(spec.lower()), upper=spec.isupper())

    def __str__(self) -> str:
        return self.format()

    def __repr__(self) -> str:
        return f"MAC({str(self)!r})"

    def __bytes__(self) -> bytes:
        return self.packed

    def __int__(self) -> int:
        return int.from_bytes(self.packed, "big")
