"""What a PROXY protocol header says, as data, and what its fields may hold.

Section numbers are those of HAProxy's ``proxy-protocol.txt``; see :mod:`netsuite.net.proxy`.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Literal

from netsuite.ip import IPAddress

#: The longest unique id, in bytes (section 2.2.5).
MAX_UNIQUE_ID = 128

#: The longest path of a UNIX socket, in bytes (section 2.2).
MAX_PATH = 108

# TLV types (section 2.2); 0xE0 to 0xEF are an application's own.
ALPN = 0x01
AUTHORITY = 0x02
CRC32C = 0x03
NOOP = 0x04
UNIQUE_ID = 0x05
SSL = 0x20
SSL_VERSION = 0x21
SSL_COMMON_NAME = 0x22
SSL_CIPHER = 0x23
SSL_SIGNATURE_ALGORITHM = 0x24
SSL_KEY_ALGORITHM = 0x25
NETNS = 0x30

_SSL_CLIENT, _SSL_CERTIFICATE = 0x01, 0x02 | 0x04
_SSL_TEXTS = (SSL_VERSION, SSL_COMMON_NAME, SSL_CIPHER, SSL_SIGNATURE_ALGORITHM, SSL_KEY_ALGORITHM)

TLVs = tuple[tuple[int, bytes], ...]


class ProxyError(ValueError):
    """Bytes that are no PROXY header; the message is one line and fit for a log."""


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """One end of a TCP connection; ``str()`` is ``192.0.2.1:7`` or ``[2001:db8::1]:7``.

    :raises ValueError: for a port that is none, or an address with a zone.
    """

    host: IPAddress
    port: int

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError(f"{self.port} is not a port: expected 0 to 65535")
        if isinstance(self.host, IPv6Address) and self.host.scope_id is not None:
            raise ValueError(f"{self.host}: a PROXY header has no room for a zone")

    def __str__(self) -> str:
        host = f"[{self.host}]" if self.host.version == 6 else str(self.host)
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ProxyTLS:
    """What the proxy says of the client's TLS (section 2.2.6).

    :ivar client: bits: 1 for TLS, 2 for a certificate on this connection, 4 for one in this
        TLS session.
    :ivar verify: what verifying the certificate came to; 0 is good.
    """

    client: int
    verify: int
    tlvs: TLVs = ()

    @property
    def verified(self) -> bool:
        """Whether the client has a certificate that the proxy has found good."""
        return bool(self.client & _SSL_CERTIFICATE) and self.verify == 0

    @property
    def version(self) -> str | None:
        """The TLS version, as ``TLSv1.3``."""
        return self._text(SSL_VERSION)

    @property
    def common_name(self) -> str | None:
        """Of the client's certificate; see :attr:`verified`."""
        return self._text(SSL_COMMON_NAME)

    @property
    def cipher(self) -> str | None:
        """The cipher's name."""
        return self._text(SSL_CIPHER)

    @property
    def signature_algorithm(self) -> str | None:
        """Of the proxy's certificate."""
        return self._text(SSL_SIGNATURE_ALGORITHM)

    @property
    def key_algorithm(self) -> str | None:
        """Of the proxy's certificate."""
        return self._text(SSL_KEY_ALGORITHM)

    def _text(self, kind: int) -> str | None:
        return _text(_first(self.tlvs, kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyHeader:
    """What a proxy says of the connection that it passes on.

    :ivar command: ``local`` for a connection of the proxy's own, as a health check.
    :ivar source: the client; None if the header does not say, and then the connection's own
        ends are the ones to use. Bytes are a UNIX socket's path, empty without a name, with a
        leading zero byte if it is abstract.
    :ivar destination: what the client has connected to, of the same kind.
    :ivar tlvs: types and values in the order sent, without the checksum.
    :raises ValueError: for what no header can say.
    """

    command: Literal["proxy", "local"] = "proxy"
    source: ProxyAddress | bytes | None = None
    destination: ProxyAddress | bytes | None = None
    tlvs: TLVs = ()

    def __post_init__(self) -> None:
        if self.command not in {"proxy", "local"}:
            raise ValueError(f"command {self.command!r}: expected 'proxy' or 'local'")
        if _family(self.source) != _family(self.destination):
            raise ValueError("source and destination are of two families")
        if self.source is None and self.tlvs:
            raise ValueError("TLVs come with addresses only")
        if self.command == "local" and self.source is not None:
            raise ValueError("a local connection has no addresses but its own")
        for path in (self.source, self.destination):
            if isinstance(path, bytes):
                _check_path(path)
        check_tlvs(self.tlvs)

    def tlv(self, kind: int) -> bytes | None:
        """The first value of a type; None if there is none."""
        return _first(self.tlvs, kind)

    @property
    def alpn(self) -> bytes | None:
        """The protocol that was negotiated for the client, as ``b"h2"`` (section 2.2.1)."""
        return self.tlv(ALPN)

    @property
    def authority(self) -> str | None:
        """The host name that the client asked for, SNI under TLS (section 2.2.2)."""
        return _text(self.tlv(AUTHORITY))

    @property
    def unique_id(self) -> bytes | None:
        """The proxy's name for the connection (section 2.2.5)."""
        return self.tlv(UNIQUE_ID)

    @property
    def namespace(self) -> str | None:
        """The network namespace (section 2.2.7)."""
        return _text(self.tlv(NETNS))

    @property
    def tls(self) -> ProxyTLS | None:
        """The client's TLS; None if it had none."""
        value = self.tlv(SSL)
        if value is None:
            return None
        tls = parse_tls(value)
        return tls if tls.client & _SSL_CLIENT else None


def _family(address: ProxyAddress | bytes | None) -> object:
    return address.host.version if isinstance(address, ProxyAddress) else type(address)


def _check_path(path: bytes) -> None:
    if len(path) > MAX_PATH or path != parse_path(path):
        raise ValueError(f"{path!r} is no path of a UNIX socket")


def check_tlvs(tlvs: TLVs) -> None:
    """Have every TLV hold what its type says.

    :raises ProxyError: naming the first that does not.
    """
    for kind, value in tlvs:
        if not 0 <= kind <= 255 or kind == CRC32C or len(value) > 65_535:
            raise ProxyError(f"TLV of type {kind}, {len(value)} bytes: it cannot be sent")
        if kind in {AUTHORITY, NETNS}:
            _check_text(kind, value)
        elif kind == UNIQUE_ID and len(value) > MAX_UNIQUE_ID:
            raise ProxyError(f"unique id of {len(value)} bytes: expected up to {MAX_UNIQUE_ID}")
        elif kind == SSL:
            parse_tls(value)


def _check_text(kind: int, value: bytes) -> None:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        raise ProxyError(f"TLV of type {kind:#04x}: expected UTF-8") from None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8")


def _first(tlvs: TLVs, kind: int) -> bytes | None:
    return next((value for each, value in tlvs if each == kind), None)


def parse_tls(value: bytes) -> ProxyTLS:
    """The value of a TLV of type :data:`SSL`.

    :raises ProxyError: if it is none.
    """
    if len(value) < 5:
        raise ProxyError(f"TLV of type {SSL:#04x}, {len(value)} bytes: expected at least 5")
    client, verify = struct.unpack("!BI", value[:5])
    tlvs: list[tuple[int, bytes]] = []
    place = 5
    while place < len(value):
        kind, inner = tlv_at(value, place)
        if kind in _SSL_TEXTS:
            _check_text(kind, inner)
        tlvs.append((kind, inner))
        place += 3 + len(inner)
    return ProxyTLS(client, verify, tuple(tlvs))


def parse_path(field: bytes) -> bytes:
    """A path ends before the first zero byte; an abstract name begins with one."""
    return field.rstrip(b"\0") if field.startswith(b"\0") else field.partition(b"\0")[0]


def tlv_at(data: bytes, place: int) -> tuple[int, bytes]:
    """The type and value of the TLV that begins at a place.

    :raises ProxyError: if it goes past the end of the data.
    """
    length = int.from_bytes(data[place + 1 : place + 3], "big")
    end = place + 3 + length
    if place + 3 > len(data) or end > len(data):
        raise ProxyError(f"TLV of type {data[place]:#04x}: it goes past its end")
    return data[place], data[place + 3 : end]
