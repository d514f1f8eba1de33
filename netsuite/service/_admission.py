"""Who may come in, and how many: asked once, when a connection is accepted."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from math import inf

from netsuite.ip import AccessList, IPAddress, IPNetwork, PrefixMap
from netsuite.net import TokenBuckets

#: The most networks that can be banned at the same time.
MOST_BANS = 65_536


Client = int
"""Stands for a client: the bits of its network, the length of it, and its family."""

_IPV6 = 100  # is added to the length: no IPv4 network's is so long
_MAPPED, _LOW_32 = 0xFFFF, 0xFFFF_FFFF  # RFC 4291 section 2.5.5.2


class Refusal(StrEnum):
    """Why a connection was not let in: the names in logs and metrics."""

    ACCESS = "access"
    BANNED = "banned"
    CONNECTIONS = "connections"
    CLIENT_CONNECTIONS = "client_connections"
    ACCEPT_RATE = "accept_rate"
    CLIENT_ACCEPT_RATE = "client_accept_rate"
    PROXY_SOURCE = "proxy_source"
    PROXY_HEADER = "proxy_header"
    PROXY_TIMEOUT = "proxy_timeout"
    PROTOCOL = "protocol"


def unmapped(network: IPNetwork) -> IPNetwork:
    """A network of IPv4-mapped addresses as the IPv4 network that it is, as peers are.

    RFC 4291 section 2.5.5.2: ``::ffff:192.0.2.0/120`` is 192.0.2.0/24.
    """
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        first = network.network_address.ipv4_mapped
        if first is not None:
            return IPv4Network((int(first), network.prefixlen - 96))
    return network


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionRules:
    """What an :class:`Admission` goes by.

    :ivar access: who may come in; None lets everybody in.
    :ivar max_connections: open at the same time.
    :ivar max_per_client: open at the same time by one client.
    :ivar client_prefix_ipv4: the length of the network that is one client, 0 to 32.
    :ivar client_prefix_ipv6: likewise, 0 to 128.
    :ivar accept_rate: new connections a second, of all clients together; as many may come at
        once as in one second, and at least one.
    :ivar client_accept_rate: the same for each client.
    """

    access: AccessList | None = None
    max_connections: int | None = None
    max_per_client: int | None = None
    client_prefix_ipv4: int = 32
    client_prefix_ipv6: int = 64
    accept_rate: float | None = None
    client_accept_rate: float | None = None


class BanList:
    """Networks that may not come in for a while.

    :param clock: seconds that do not jump.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: PrefixMap[float] = PrefixMap()

    def __len__(self) -> int:
        self._forget_the_past()
        return len(self._until)

    def ban(self, network: IPNetwork, seconds: float | None = None) -> None:
        """Keep a network out, longer or shorter than it was before.

        :param seconds: None for as long as the process runs.
        :raises ValueError: if so many are banned that no more can be.
        """
        if seconds is not None and not seconds > 0:
            raise ValueError(f"{seconds:g} seconds: expected more than 0")
        network = unmapped(network)
        full = len(self._until) >= MOST_BANS  # asked first: to forget the past takes a while
        if full and network not in self._until and len(self) >= MOST_BANS:
            raise ValueError(f"{MOST_BANS} networks are banned: expected no more")
        self._until[network] = inf if seconds is None else self._clock() + seconds

    def unban(self, network: IPNetwork) -> bool:
        """Let a network in again; returns whether it was banned."""
        self._forget_the_past()
        return self._until.pop(unmapped(network), None) is not None

    def covers(self, address: IPAddress) -> bool:
        """Whether an address is in a network that is banned now."""
        if not self._until:
            return False
        now = self._clock()
        return any(until > now for _, until in self._until.covering(address))

    def networks(self) -> Iterator[tuple[IPNetwork, float | None]]:
        """What is banned now, with the seconds that are left; None for no end."""
        self._forget_the_past()
        now = self._clock()
        for network, until in self._until.items():
            yield network, None if until == inf else until - now

    def _forget_the_past(self) -> None:
        now = self._clock()
        for network in [network for network, until in self._until.items() if until <= now]:
            del self._until[network]


class Admission:
    """Says of each connection whether it may come in, and counts those that did.

    One serves all listeners of a program, so that a client's connections are counted over
    all of them. Peers without an IP address (UNIX sockets) count in the totals alone.

    :param clock: seconds that do not jump.
    """

    def __init__(self, rules: AdmissionRules, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._clients: dict[Client, int] = {}
        self.bans = BanList(clock)
        #: Connections that are in now.
        self.active = 0
        self.rules = rules
        self.change(rules)

    def change(self, rules: AdmissionRules) -> None:
        """Go by other rules from now on; who is in stays in."""
        before, self.rules = self.rules, rules
        if before is rules or before.accept_rate != rules.accept_rate:
            self._rate = _buckets(rules.accept_rate, 1)
        if before is rules or before.client_accept_rate != rules.client_accept_rate:
            self._client_rate = _buckets(rules.client_accept_rate)

    def client_of(self, address: IPAddress) -> Client:
        """The client that an address belongs to; the same number for all addresses of it."""
        value = int(address)
        if address.version == 6 and value >> 32 != _MAPPED:
            length = self.rules.client_prefix_ipv6
            return value >> (128 - length) << 8 | length + _IPV6
        length = self.rules.client_prefix_ipv4
        return (value & _LOW_32) >> (32 - length) << 8 | length

    def is_full(self, waiting: int = 0) -> bool:
        """Whether there can be no more connections.

        :param waiting: how many have yet to say who they are.
        """
        most = self.rules.max_connections
        return most is not None and self.active + waiting >= most

    def refusal(self, address: IPAddress | None) -> Refusal | None:
        """Why a peer may not come in now; None if it may."""
        rules = self.rules
        client = None
        if address is not None:
            if self.bans.covers(address):
                return Refusal.BANNED
            if rules.access is not None and not rules.access.decide(address).allowed:
                return Refusal.ACCESS
            client = self.client_of(address)
        if self.is_full():
            return Refusal.CONNECTIONS
        if (
            rules.max_per_client is not None
            and client is not None
            and self._clients.get(client, 0) >= rules.max_per_client
        ):
            return Refusal.CLIENT_CONNECTIONS
        now = self._clock()
        # The client's own limit comes first: what it is refused costs the others nothing.
        if (
            client is not None
            and self._client_rate is not None
            and not self._client_rate.take(client, now)
        ):
            return Refusal.CLIENT_ACCEPT_RATE
        if self._rate is not None and not self._rate.take(None, now):
            return Refusal.ACCEPT_RATE
        return None

    def enter(self, client: Client | None) -> None:
        """Count a connection that has come in."""
        self.active += 1
        if client is not None:
            self._clients[client] = self._clients.get(client, 0) + 1

    def leave(self, client: Client | None) -> None:
        """Count a connection that is gone."""
        self.active -= 1
        if client is not None:
            left = self._clients.pop(client) - 1
            if left:
                self._clients[client] = left


def _buckets(rate: float | None, max_keys: int = 65_536) -> TokenBuckets | None:
    return None if rate is None else TokenBuckets(rate, max(1.0, rate), max_keys)
