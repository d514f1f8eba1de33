"""AES-128, one block, one direction (FIPS 197).

For :class:`~netsuite.ip.CryptoPAn` and nothing else. It is slow, and the time it takes depends
on the key and the data: never use it where somebody could measure that, or to keep a secret on
a wire. Left out: decryption, longer keys, modes of operation.
"""

import struct

BLOCK = 16  # octets, of a block and of a key

_ROUNDS = 10
_WORDS = struct.Struct(">4I")


def _rotated(word: int, octets: int) -> int:
    """A word turned to the right by some octets."""
    bits = 8 * octets
    return (word >> bits | word << 32 - bits) & 0xFFFF_FFFF


def _double(value: int) -> int:
    """Times x in GF(2^8) (FIPS 197 section 4.2.1)."""
    value <<= 1
    return value ^ 0x11B if value & 0x100 else value


def _substitution_box() -> bytes:
    """SubBytes (FIPS 197 section 5.1.1): the inverse, then an affine map over bits."""
    powers = [1]  # of x + 1, which generates the field
    for _ in range(254):
        powers.append(powers[-1] ^ _double(powers[-1]))
    box = bytearray([0x63] * 256)
    for exponent, value in enumerate(powers):
        inverse = powers[-exponent % 255]
        spread = inverse | inverse << 8
        for turn in (4, 5, 6, 7, 8):
            box[value] ^= spread >> turn & 0xFF
    return bytes(box)


_SUBSTITUTE = _substitution_box()

#: SubBytes and MixColumns (section 5.1.3) of the first octet of a column; then of the others.
_MIX0 = [
    _double(octet) << 24 | octet << 16 | octet << 8 | _double(octet) ^ octet
    for octet in _SUBSTITUTE
]
_MIX1 = [_rotated(word, 1) for word in _MIX0]
_MIX2 = [_rotated(word, 2) for word in _MIX0]
_MIX3 = [_rotated(word, 3) for word in _MIX0]


class AES128:
    """The cipher under one key.

    :param key: 16 octets.
    :raises ValueError: for a key of another length.
    """

    __slots__ = ("_keys",)

    def __init__(self, key: bytes) -> None:
        if len(key) != BLOCK:
            raise ValueError(f"a key of {len(key)} octets: expected {BLOCK}")
        self._keys = _expand(key)

    def encrypt(self, block: bytes) -> bytes:
        """One block under the key (FIPS 197 section 5.1).

        :param block: 16 octets.
        """
        first, *middle, last = self._keys
        a, b, c, d = (word ^ key for word, key in zip(_WORDS.unpack(block), first, strict=True))
        for k0, k1, k2, k3 in middle:
            a, b, c, d = (
                _mixed(a, b, c, d) ^ k0,
                _mixed(b, c, d, a) ^ k1,
                _mixed(c, d, a, b) ^ k2,
                _mixed(d, a, b, c) ^ k3,
            )
        k0, k1, k2, k3 = last
        return _WORDS.pack(
            _substituted(a, b, c, d) ^ k0,
            _substituted(b, c, d, a) ^ k1,
            _substituted(c, d, a, b) ^ k2,
            _substituted(d, a, b, c) ^ k3,
        )


def _mixed(a: int, b: int, c: int, d: int) -> int:
    """A column after SubBytes, ShiftRows (which takes an octet of each word) and MixColumns."""
    return _MIX0[a >> 24] ^ _MIX1[b >> 16 & 255] ^ _MIX2[c >> 8 & 255] ^ _MIX3[d & 255]


def _substituted(a: int, b: int, c: int, d: int) -> int:
    """A column after SubBytes and ShiftRows: the last round has no more."""
    box = _SUBSTITUTE
    return box[a >> 24] << 24 | box[b >> 16 & 255] << 16 | box[c >> 8 & 255] << 8 | box[d & 255]


def _expand(key: bytes) -> list[tuple[int, int, int, int]]:
    """The keys of all rounds (FIPS 197 section 5.2)."""
    words = _WORDS.unpack(key)
    keys = [words]
    constant = 1
    for _ in range(_ROUNDS):
        a, b, c, d = words
        turned = _rotated(d, 3)
        a ^= _substituted(turned, turned, turned, turned) ^ constant << 24
        b ^= a
        c ^= b
        words = (a, b, c, d ^ c)
        keys.append(words)
        constant = _double(constant)
    return keys
