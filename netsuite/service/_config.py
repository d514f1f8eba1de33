"""What every daemon can be told, as data."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal, get_args

from twisted.python import usage

from netsuite.ip import AddressError, IPRange
from netsuite.net.endpoints import parse_port, tcp_description
from netsuite.service._errors import ConfigError

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warn", "error", "critical"]
TLSVersion = Literal["1.2", "1.3"]
TLSClient = Literal["required", "optional"]
WorkerSockets = Literal["auto", "shared", "reuseport"]

LOG_FORMATS: tuple[str, ...] = get_args(LogFormat)
LOG_LEVELS: tuple[str, ...] = get_args(LogLevel)
TLS_VERSIONS: tuple[str, ...] = get_args(TLSVersion)
TLS_CLIENTS: tuple[str, ...] = get_args(TLSClient)
WORKER_SOCKETS: tuple[str, ...] = get_args(WorkerSockets)

#: The most processes that one service runs in.
MOST_WORKERS = 1024

_HOST_AND_PORT = re.compile(r"(?P<host>localhost|[0-9.]+|\[[^]]*\]):(?P<port>[^:]*)\Z")
_WORDS = {"tls": "TLS", "ca": "CA", "alpn": "ALPN", "proxy": "PROXY", "ipv4": "IPv4"}
_WORDS |= {"ipv6": "IPv6", "udp": "UDP"}


class SettingError(ConfigError):
    """A value that a setting cannot have, before anybody said where it came from.

    :ivar field: the setting, as a field of the configuration.
    :ivar problem: the value and what was expected, without the setting's name.
    """

    def __init__(self, field: str, problem: str) -> None:
        words = " ".join(_WORDS.get(word, word) for word in field.split("_"))
        super().__init__(f"{words} {problem}")
        self.field = field
        self.problem = problem


class PlacedError(ConfigError, usage.UsageError):
    """A mistake that is shown where it was made: a flag, a variable, or a line of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """How a service runs, whatever it serves.

    :ivar drain_timeout: seconds that connections have to finish at shutdown, 0 or more.
    :ivar port_file: where to write the port numbers once everything listens.
    :ivar log_format: ``text``, or ``json`` for one object a line.
    :ivar log_level: the least level that is logged.
    :ivar access_log: where to write one line for each connection; ``-`` is the service's log.
    :ivar allow: who may connect: addresses, networks, ranges. With any, nobody else may.
    :ivar deny: who may not, whatever ``allow`` says.
    :ivar access_file: rules for :meth:`netsuite.ip.AccessList.from_text`.
    :ivar max_connections: open at the same time; None for what file descriptors allow.
    :ivar max_per_client: open at the same time by one client.
    :ivar client_prefix_ipv4: the length of the network that is one client, 0 to 32.
    :ivar client_prefix_ipv6: likewise, 0 to 128.
    :ivar accept_rate: new connections a second, of all clients together.
    :ivar client_accept_rate: new connections a second of each client.
    :ivar idle_timeout: seconds without a byte in either direction.
    :ivar total_timeout: seconds that a connection may last.
    :ivar stall_timeout: seconds that a peer may leave what was sent to it unread.
    :ivar rate: bytes a second in each direction, for each connection.
    :ivar client_rate: bytes a second in each direction, for all connections of a client.
    :ivar tls_cert: certificate, and those between it and the root (PEM).
    :ivar tls_key: its private key; None if that is in the same file.
    :ivar tls_directory: certificates by host name (SNI).
    :ivar tls_self_signed: make a certificate at the start, for a try.
    :ivar tls_min_version: the oldest version of TLS that is spoken.
    :ivar tls_alpn: protocol names to offer, the best one first.
    :ivar tls_client_ca: who signs the certificates of clients.
    :ivar tls_client: whether a client must show one or may; None for must.
    :ivar proxy_from: proxies that say in the PROXY protocol whom they speak for.
    :ivar proxy_timeout: seconds that they have to say it.
    :ivar admin: where metrics and the dashboard are: a port on loopback, ``host:port``, or an
        endpoint string.
    :ivar admin_token_file: the secret that changes need; None makes one at the start.
    :ivar workers: how many processes serve.
    :ivar worker_sockets: how they share the port.
    :raises ConfigError: for a value out of range.
    """

    drain_timeout: float = 10.0
    port_file: Path | None = None
    log_format: LogFormat = "text"
    log_level: LogLevel = "info"
    access_log: Path | None = None

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    access_file: Path | None = None
    max_connections: int | None = None
    max_per_client: int | None = None
    client_prefix_ipv4: int = 32
    client_prefix_ipv6: int = 64
    accept_rate: float | None = None
    client_accept_rate: float | None = None

    idle_timeout: float | None = None
    total_timeout: float | None = None
    stall_timeout: float | None = None
    rate: float | None = None
    client_rate: float | None = None

    tls_cert: Path | None = None
    tls_key: Path | None = None
    tls_directory: Path | None = None
    tls_self_signed: bool = False
    tls_min_version: TLSVersion = "1.2"
    tls_alpn: tuple[str, ...] = ()
    tls_client_ca: Path | None = None
    tls_client: TLSClient | None = None

    proxy_from: tuple[str, ...] = ()
    proxy_timeout: float = 5.0

    admin: str | None = None
    admin_token_file: Path | None = None
    workers: int = 1
    worker_sockets: WorkerSockets = "auto"

    def __post_init__(self) -> None:
        for field, check in _CHECKS.items():
            value = getattr(self, field)
            if value is not None:
                check(field, value)
        self._check_tls()

    @property
    def tls(self) -> bool:
        """Whether there is a certificate to speak TLS with."""
        return bool(self.tls_cert or self.tls_directory or self.tls_self_signed)

    def _check_tls(self) -> None:
        if self.tls_key and not self.tls_cert:
            raise SettingError(
                "tls_key", f"{self.tls_key}: expected its certificate, tls-cert, too"
            )
        if self.tls_self_signed and self.tls_cert:
            raise SettingError(
                "tls_self_signed", f"and a TLS certificate {self.tls_cert}: expected one of the two"
            )
        if self.tls_self_signed and self.workers > 1:
            raise SettingError(
                "tls_self_signed",
                "would be another one in each worker (a self-signed certificate is made at the "
                "start): expected tls-cert, or one worker",
            )
        if self.tls_client_ca and not self.tls:
            raise SettingError(
                "tls_client_ca",
                f"{self.tls_client_ca}: expected tls-cert, tls-directory or tls-self-signed too",
            )

        if self.tls_client and not self.tls_client_ca:
            raise SettingError("tls_client", f"{self.tls_client}: expected tls-client-ca too")

    @property
    def admin_endpoint(self) -> str | None:
        """The endpoint string that :attr:`admin` stands for."""
        return None if self.admin is None else admin_endpoint(self.admin)


def admin_endpoint(text: str) -> str:
    """The endpoint string for ``9100``, ``192.0.2.1:9100``, ``[::1]:9100`` or itself.

    :raises ConfigError: for a port number or an address that is none.
    """
    match = _HOST_AND_PORT.match(text)
    if ":" in text and match is None:
        return text
    host, port = (match["host"], match["port"]) if match else ("localhost", text)
    host = "127.0.0.1" if host == "localhost" else host.strip("[]")
    try:
        return tcp_description(parse_port(port), str(ip_address(host)))
    except ValueError as error:
        raise SettingError("admin", f"{text!r}: {error}") from None


_Check = Callable[[str, Any], None]


def _between(least: float, most: float, expected: str) -> _Check:
    """A check for numbers from ``least`` to ``most``."""

    def check(field: str, value: float) -> None:
        if not (least <= value <= most and isfinite(value)):
            raise SettingError(field, f"{value}: expected {expected}")

    return check


def _above_zero(unit: str) -> _Check:
    """A check for finite numbers above 0."""

    def check(field: str, value: float) -> None:
        if not 0 < value < inf:
            raise SettingError(field, f"{value}: expected more than 0 {unit}")

    return check


def _one_of(choices: tuple[str, ...]) -> _Check:
    """A check for words."""
    few = " or ".join(choices) if len(choices) == 2 else f"one of {', '.join(choices)}"

    def check(field: str, value: str) -> None:
        if value not in choices:
            raise SettingError(field, f"{value!r}: expected {few}")

    return check


def _networks(field: str, values: tuple[str, ...]) -> None:
    for value in values:
        try:
            IPRange.parse(value)
        except AddressError as error:
            raise SettingError(field, str(error)) from None


def _protocol_names(field: str, values: tuple[str, ...]) -> None:
    for value in values:  # RFC 7301 section 3.1: 1 to 255 bytes
        if not 1 <= len(value.encode()) <= 255:
            raise SettingError(field, f"{value!r}: expected 1 to 255 bytes, such as h2 or http/1.1")


def _admin(field: str, value: str) -> None:
    admin_endpoint(value)


_CHECKS: dict[str, _Check] = {
    "drain_timeout": _between(0, inf, "0 seconds or more"),
    "log_format": _one_of(LOG_FORMATS),
    "log_level": _one_of(LOG_LEVELS),
    "allow": _networks,
    "deny": _networks,
    "max_connections": _between(1, inf, "1 or more"),
    "max_per_client": _between(1, inf, "1 or more"),
    "client_prefix_ipv4": _between(0, 32, "0 to 32"),
    "client_prefix_ipv6": _between(0, 128, "0 to 128"),
    "accept_rate": _above_zero("connections a second"),
    "client_accept_rate": _above_zero("connections a second"),
    "idle_timeout": _above_zero("seconds"),
    "total_timeout": _above_zero("seconds"),
    "stall_timeout": _above_zero("seconds"),
    "rate": _above_zero("bytes a second"),
    "client_rate": _above_zero("bytes a second"),
    "tls_min_version": _one_of(TLS_VERSIONS),
    "tls_alpn": _protocol_names,
    "tls_client": _one_of(TLS_CLIENTS),
    "proxy_from": _networks,
    "proxy_timeout": _above_zero("seconds"),
    "admin": _admin,
    "workers": _between(1, MOST_WORKERS, f"1 to {MOST_WORKERS}"),
    "worker_sockets": _one_of(WORKER_SOCKETS),
}
