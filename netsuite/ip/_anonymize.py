"""Addresses for logs and data sets that are not to name anybody.

Three ways, by how much is left:

* :func:`truncate`: where roughly; no key, and no way back.
* :func:`pseudonym`: the same or another; nothing else, for whoever has no key.
* :class:`CryptoPAn`: whether two addresses share a network, and which part of it; with the
  key there is a way back. J. Xu, J. Fan, M. Ammar, S. B. Moon, "Prefix-Preserving IP Address
  Anonymization", ICNP 2002; compatible with its authors' program, and for IPv6 with yacryptopan.

An IPv4-mapped address (RFC 4291 section 2.5.5.2) is taken, and answered, as the IPv4 address
in it. Zones are left behind.
"""

import hmac
from functools import lru_cache
from ipaddress import IPv6Address

from netsuite.ip._aes import AES128
from netsuite.ip._range import BITS, to_address
from netsuite.ip._rate import IPAddress

#: The least that is a key: octets.
MIN_KEY = 16

#: Bits of Crypto-PAn that are kept for the next address with the same prefix.
_CACHE = 2**14

_LOW_32 = 0xFFFF_FFFF
_SIX_TO_FOUR = 0x2002  # RFC 3056 section 2: the first 16 bits; 32 of the site's IPv4 address follow


def truncate(address: IPAddress, *, ipv4: int = 24, ipv6: int = 48) -> IPAddress:
    """The first address of the network that an address is in.

    A 6to4 address (RFC 3056) has its site's IPv4 address in front: of that, ``ipv4`` bits stay.

    :param ipv4: bits that stay of an IPv4 address, 0 to 32.
    :param ipv6: bits that stay of an IPv6 address, 0 to 128.
    :raises ValueError: for a number of bits out of range.
    """
    if not (0 <= ipv4 <= BITS[4] and 0 <= ipv6 <= BITS[6]):
        raise ValueError(f"{ipv4} and {ipv6} bits: expected up to {BITS[4]} and {BITS[6]}")
    value, version = _unmapped(address)
    keep = ipv4 if version == 4 else ipv6
    if version == 6 and value >> 112 == _SIX_TO_FOUR:
        keep = min(ipv6, 16 + ipv4)
    dropped = BITS[version] - keep
    return to_address(value >> dropped << dropped, version)


def pseudonym(address: IPAddress, key: bytes) -> IPAddress:
    """Another address of the same family: always the same one for an address and a key.

    It is the beginning of HMAC-SHA-256 (RFC 2104) over the address. Whoever has the key can
    try all of IPv4 and find out; who has not cannot. Of 2**32 IPv4 addresses some share a
    pseudonym: among 10,000 it is about one chance in a hundred that any two do.

    :param key: a secret of at least :data:`MIN_KEY` octets.
    :raises ValueError: for a shorter key.
    """
    if len(key) < MIN_KEY:
        raise ValueError(f"a key of {len(key)} octets: expected at least {MIN_KEY}")
    value, version = _unmapped(address)
    octets = BITS[version] // 8
    digest = hmac.digest(key, bytes([version]) + value.to_bytes(octets, "big"), "sha256")
    return to_address(int.from_bytes(digest[:octets], "big"), version)


class CryptoPAn:
    """Prefix-preserving anonymization: addresses that share n bits share n bits afterwards.

    Each address has one that nobody else has, of the same family. Who knows some pairs of
    addresses knows the prefixes of their neighbours: it hides less than a :func:`pseudonym`.
    An IPv4 address takes about a millisecond the first time, an IPv6 address four; those of a
    prefix that was just asked for take less.

    :param key: a secret of 32 octets.
    :raises ValueError: for a key of another length.
    """

    __slots__ = ("_cipher", "_flips", "_pad")

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError(f"a key of {len(key)} octets: expected 32")
        self._cipher = AES128(key[:16])
        self._pad = int.from_bytes(self._cipher.encrypt(key[16:]), "big")
        self._flips = lru_cache(maxsize=_CACHE)(self._flip)

    def anonymize(self, address: IPAddress) -> IPAddress:
        """The address that stands for this one."""
        value, version = _unmapped(address)
        bits = BITS[version]
        hidden = 0
        for position in range(bits):
            prefix = value >> bits - position
            bit = value >> bits - 1 - position & 1
            hidden = hidden << 1 | bit ^ self._flips(position, prefix)
        return to_address(hidden, version)

    def deanonymize(self, address: IPAddress) -> IPAddress:
        """The address that this one stands for."""
        hidden, version = _unmapped(address)
        bits = BITS[version]
        value = 0
        for position in range(bits):
            bit = hidden >> bits - 1 - position & 1
            value = value << 1 | bit ^ self._flips(position, value)
        return to_address(value, version)

    def _flip(self, position: int, prefix: int) -> int:
        """Whether the bit at a position changes: it depends on those before it, and the key.

        It is the first bit of the encrypted prefix, which the pad fills up to a block.
        """
        left = 128 - position
        block = prefix << left | self._pad & (1 << left) - 1
        return self._cipher.encrypt(block.to_bytes(16, "big"))[0] >> 7


def _unmapped(address: IPAddress) -> tuple[int, int]:
    """The value and version, those of the IPv4 address if that is what is mapped."""
    value = int(address)
    if isinstance(address, IPv6Address) and value >> 32 == 0xFFFF:
        return value & _LOW_32, 4
    return value, address.version
