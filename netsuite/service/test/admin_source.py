"""A service that only says how it is, for tests of the admin site."""

from ipaddress import ip_network

from twisted.internet.defer import Deferred, succeed

from netsuite.ip import parse_network
from netsuite.service._stats import ListenerStats, ServiceStats


class FakeSource:
    """An :class:`~netsuite.service.admin.AdminSource` with numbers that a test sets.

    :ivar current: what it says.
    :ivar pending: what it answers with instead, if set.
    :ivar now: when bans begin, in seconds since 1970-01-01 00:00 UTC.
    """

    def __init__(self) -> None:
        self.current = ServiceStats(
            service="echo",
            version="0.1.0",
            pids=[4711],
            started=1_795_000_000.0,
            listeners=[ListenerStats(name="echo", addresses=["127.0.0.1:9000"])],
        )
        self.pending: Deferred[ServiceStats] | None = None
        self.asked = 0
        self.now = 1_795_000_000.0
        self.drained = 0

    @property
    def ready(self) -> bool:
        return not self.current.draining

    @property
    def listener(self) -> ListenerStats:
        return self.current.listeners[0]

    def stats(self) -> Deferred[ServiceStats]:
        self.asked += 1
        return succeed(self.current) if self.pending is None else self.pending

    def drain(self) -> None:
        self.drained += 1
        self.current.draining = True

    def ban(self, network: str, seconds: float | None) -> None:
        until = None if seconds is None else self.now + seconds
        self.current.banned[str(parse_network(network))] = until

    def unban(self, network: str) -> bool:
        return self.current.banned.pop(str(ip_network(network)), "none") != "none"
