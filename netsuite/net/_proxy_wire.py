"""The PROXY protocol's header, versions 1 and 2: bytes and what they say. No clock, no sockets.

HAProxy's ``proxy-protocol.txt`` of 2020-03-05: section 2.1 is version 1, a line of text;
section 2.2 is version 2, which is binary and carries type-length-value fields (TLVs).

* A header without addresses (``UNKNOWN``, ``LOCAL``, an unspecified family or transport) stands
  for the connection that it came on. What else is in it is skipped, TLVs and checksum included.
* Datagrams that somebody relays over a stream (``DGRAM``) count as unspecified, as section 2.2
  allows for what a receiver does not implement.
* Addresses are kept as they were sent: an IPv4-mapped IPv6 address stays one.
"""

import re
import struct
from ipaddress import IPv4Address, IPv6Address

from netsuite.ip import IPAddress
from netsuite.net._proxy_header import (
    CRC32C,
    MAX_PATH,
    ProxyAddress,
    ProxyError,
    ProxyHeader,
    TLVs,
    parse_path,
    tlv_at,
)

#: The longest line of version 1, CR LF included (section 2.1).
MAX_LINE = 107

#: The most that a header of version 2 may announce behind its first 16 bytes, unless it is
#: given; the format ends at 65535. HAProxy's own headers stay below 600.
MAX_ANNOUNCED = 4096

#: The first bytes of each version.
SIGNATURE_V1 = b"PROXY "
SIGNATURE_V2 = b"\r\n\r\n\x00\r\nQUIT\n"

_FIXED = 16  # bytes of version 2 that every header has
_PORT = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)
_INET, _INET6, _UNIX = 0x11, 0x21, 0x31
_ADDRESS_BYTES = {_INET: 12, _INET6: 36, _UNIX: 2 * MAX_PATH}


class ProxyHeaderParser:
    """Reads one header from the start of a stream, in whatever pieces it comes.

    It says which version it is at the first byte that tells, and what is wrong as soon as it
    is: a peer that speaks something else is not waited for.

    :param max_announced: the most, in bytes, that version 2 may announce behind its first 16.
    """

    def __init__(self, max_announced: int = MAX_ANNOUNCED) -> None:
        self._max_announced = max_announced
        self._buffer = bytearray()
        self._finished = False

    @property
    def received(self) -> int:
        """How many bytes of an unfinished header have come."""
        return len(self._buffer)

    @property
    def rest(self) -> bytes:
        """What came behind the header; the stream goes on with it."""
        return bytes(self._buffer) if self._finished else b""

    def feed(self, data: bytes) -> ProxyHeader | None:
        """Take the next bytes.

        :returns: the header once it is complete; then :attr:`rest` is what came behind it, and
            no more is fed.
        :raises ProxyError: for anything that is not exactly a header.
        """
        if self._finished:
            raise RuntimeError("the header is complete: what follows is not the parser's")
        self._buffer += data
        if _begins(self._buffer, SIGNATURE_V1):
            return self._version_1()
        if _begins(self._buffer, SIGNATURE_V2):
            return self._version_2()
        raise ProxyError(f"no PROXY header: it begins with {bytes(self._buffer[:16])!r}")

    def _version_1(self) -> ProxyHeader | None:
        line, end, _ = self._buffer[:MAX_LINE].partition(b"\r\n")
        complete = bool(end)
        if not complete and line.endswith(b"\r") and len(line) < MAX_LINE:
            del line[-1:]  # LF may still come
        if b"\r" in line or b"\n" in line:
            raise ProxyError(f"{bytes(line)!r}: expected a line that ends in CR LF")
        if not complete:
            if len(self._buffer) >= MAX_LINE:
                raise ProxyError(f"{bytes(line)!r}: expected CR LF within {MAX_LINE} bytes")
            return None
        return self._finish(_parse_line(bytes(line)), len(line) + 2)

    def _version_2(self) -> ProxyHeader | None:
        buffer = self._buffer
        if len(buffer) > 12 and buffer[12] not in {0x20, 0x21}:
            raise ProxyError(
                f"version and command {buffer[12]:#04x}: expected 0x20 (LOCAL) or 0x21 (PROXY)"
            )
        # LOCAL: "discard the protocol block including the family which is ignored"
        if len(buffer) > 13 and buffer[12] == 0x21:
            _check_family(buffer[13])
        if len(buffer) < _FIXED:
            return None
        announced = int.from_bytes(buffer[14:16], "big")
        if announced > self._max_announced:
            raise ProxyError(
                f"a header of 16 + {announced} bytes: expected up to 16 + {self._max_announced}"
            )
        if len(buffer) < _FIXED + announced:
            return None
        header = _parse_binary(bytes(buffer[: _FIXED + announced]))
        return self._finish(header, _FIXED + announced)

    def _finish(self, header: ProxyHeader, length: int) -> ProxyHeader:
        del self._buffer[:length]
        self._finished = True
        return header


def encode_v1(header: ProxyHeader) -> bytes:
    """The header as a line of version 1. What it has no words for is ``UNKNOWN``.

    It leaves out TLVs and paths, and cannot tell ``local`` from unknown.
    """
    source, destination = header.source, header.destination
    if isinstance(source, ProxyAddress) and isinstance(destination, ProxyAddress):
        fields = (source.host, destination.host, source.port, destination.port)
        return f"PROXY TCP{source.host.version} {' '.join(map(str, fields))}\r\n".encode("ascii")
    return b"PROXY UNKNOWN\r\n"


def encode_v2(header: ProxyHeader, *, checksum: bool = False) -> bytes:
    """The header in version 2.

    :param checksum: whether a CRC32C of it is added (section 2.2.3), if it has addresses.
    :raises ValueError: if it is longer than 16 + 65535 bytes.
    """
    command = b"\x20" if header.command == "local" else b"\x21"
    source, destination = header.source, header.destination
    family, addresses = 0, b""
    if isinstance(source, ProxyAddress) and isinstance(destination, ProxyAddress):
        family = _INET if source.host.version == 4 else _INET6
        addresses = source.host.packed + destination.host.packed
        addresses += struct.pack("!HH", source.port, destination.port)
    elif isinstance(source, bytes) and isinstance(destination, bytes):
        family = _UNIX
        addresses = source.ljust(MAX_PATH, b"\0") + destination.ljust(MAX_PATH, b"\0")
    body = addresses + b"".join(_encode_tlv(kind, value) for kind, value in header.tlvs)
    checksum = checksum and family != 0
    if checksum:
        body += _encode_tlv(CRC32C, bytes(4))
    if len(body) > 65_535:
        raise ValueError(f"a header of 16 + {len(body)} bytes: expected up to 16 + 65535")
    encoded = SIGNATURE_V2 + command + struct.pack("!BH", family, len(body)) + body
    if checksum:
        encoded = encoded[:-4] + crc32c(encoded).to_bytes(4, "big")
    return encoded


def crc32c(data: bytes) -> int:
    """The CRC of RFC 4960 appendix B (Castagnoli's)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))


def _begins(data: bytearray, signature: bytes) -> bool:
    """Whether data begins with a signature, as far as it goes."""
    return data[: len(signature)] == signature[: len(data)]


# Version 1.


def _parse_line(line: bytes) -> ProxyHeader:
    """A line without its CR LF."""
    if line == b"PROXY UNKNOWN" or line.startswith(b"PROXY UNKNOWN "):
        return ProxyHeader()
    try:
        fields = line.decode("ascii").split(" ")
    except UnicodeDecodeError:
        raise ProxyError(f"{line!r}: expected ASCII text") from None
    if fields[1] not in {"TCP4", "TCP6"}:
        raise ProxyError(f"{line!r}: expected TCP4, TCP6 or UNKNOWN behind PROXY")
    if len(fields) != 6:
        raise ProxyError(f"{line!r}: expected two addresses and two ports, one space between each")
    version = int(fields[1][3:])
    source, destination = (_parse_host(text, version) for text in fields[2:4])
    source_port, destination_port = (_parse_port(text) for text in fields[4:6])
    return ProxyHeader(
        source=ProxyAddress(source, source_port),
        destination=ProxyAddress(destination, destination_port),
    )


def _parse_host(text: str, version: int) -> IPAddress:
    try:
        if version == 4:
            return IPv4Address(text)
        if "%" not in text:
            return IPv6Address(text)
    except ValueError:
        pass  # said below
    raise ProxyError(f"address {text!r}: expected IPv{version}, as TCP{version} announces")


def _parse_port(text: str) -> int:
    if not _PORT.fullmatch(text) or int(text) > 65_535:
        raise ProxyError(f"port {text!r}: expected a number from 0 to 65535, no leading zero")
    return int(text)


# Version 2.


def _check_family(byte: int) -> None:
    if byte >> 4 > 3 or byte & 0xF > 2:
        raise ProxyError(
            f"family and transport {byte:#04x}: expected 0 to 3 for UNSPEC, INET, INET6 or UNIX "
            "and 0 to 2 for UNSPEC, STREAM or DGRAM"
        )


def _parse_binary(data: bytes) -> ProxyHeader:
    """A complete header, whose first 16 bytes are good."""
    if data[12] == 0x20:
        return ProxyHeader(command="local")
    family = data[13]
    if family not in _ADDRESS_BYTES:
        return ProxyHeader()
    start = _FIXED + _ADDRESS_BYTES[family]
    if len(data) < start:
        raise ProxyError(
            f"{len(data) - _FIXED} bytes of addresses: "
            f"expected {_ADDRESS_BYTES[family]} for family and transport {family:#04x}"
        )
    source, destination = _parse_addresses(family, data[_FIXED:start])
    return ProxyHeader(source=source, destination=destination, tlvs=_parse_tlvs(data, start))


def _parse_addresses(
    family: int, block: bytes
) -> tuple[ProxyAddress, ProxyAddress] | tuple[bytes, bytes]:
    if family == _UNIX:
        return parse_path(block[:MAX_PATH]), parse_path(block[MAX_PATH:])
    size = len(block) // 2 - 2
    kind = IPv4Address if family == _INET else IPv6Address
    ports = struct.unpack("!HH", block[-4:])
    return (
        ProxyAddress(kind(block[:size]), ports[0]),
        ProxyAddress(kind(block[size : 2 * size]), ports[1]),
    )


def _parse_tlvs(data: bytes, place: int) -> TLVs:
    """The TLVs of a header from a place on, without the checksum, which is verified."""
    tlvs: list[tuple[int, bytes]] = []
    verified = False
    while place < len(data):
        kind, value = tlv_at(data, place)
        if kind != CRC32C:
            tlvs.append((kind, value))
        elif verified:
            raise ProxyError("a second checksum: expected one")
        else:
            _verify_checksum(data, place + 3, value)
            verified = True
        place += 3 + len(value)
    return tuple(tlvs)


def _verify_checksum(data: bytes, place: int, value: bytes) -> None:
    if len(value) != 4:
        raise ProxyError(f"checksum of {len(value)} bytes: expected 4")
    found = crc32c(data[:place] + bytes(4) + data[place + 4 :])
    if found != int.from_bytes(value, "big"):
        raise ProxyError(f"checksum {value.hex()}: the header's is {found:08x}")


def _encode_tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value
