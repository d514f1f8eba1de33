"""What a daemon is to serve, and where it does."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IProtocolFactory


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One thing to serve, and where.

    :ivar name: what it is called in log lines and messages.
    :ivar factory: builds the protocols.
    :ivar endpoints: endpoint strings (:func:`netsuite.net.endpoints.server_endpoint`).
    :ivar datagrams: builds a protocol for UDP on the same addresses; None for no UDP.
        See :class:`netsuite.net.datagram.DatagramReceiver`.
    :ivar counts: the service's own totals since it started, for metrics: ``line_replies`` is
        ``netsuite_line_replies_total``. None for none.
    :ivar starttls: whether its connections begin in plain text where TLS is configured, and may
        go on with it, by :attr:`netsuite.service.Daemon.certificates`. Endpoints with TLS of
        their own have it from the start all the same.
    """

    name: str
    factory: IProtocolFactory
    endpoints: tuple[str, ...]
    datagrams: Callable[[], Any] | None = None
    counts: Callable[[], Mapping[str, int]] | None = None
    starttls: bool = False


@dataclass(frozen=True, slots=True)
class Listening:
    """One address that takes connections.

    :ivar name: the listener's.
    :ivar endpoint: the endpoint string that it comes from.
    :ivar tls: whether it speaks TLS.
    """

    name: str
    endpoint: str
    address: IAddress
    tls: bool = False

    @property
    def command(self) -> str | None:
        """What a person types to talk to it; None for what has no port."""
        if not isinstance(self.address, IPv4Address | IPv6Address):
            return None
        host, port = self.address.host, self.address.port
        shown = "localhost" if host in {"0.0.0.0", "::"} else host
        if not self.tls:
            return f"nc {shown} {port}"
        shown = f"[{shown}]" if ":" in shown else shown
        return f"openssl s_client -quiet -connect {shown}:{port}"
