"""How long a connection may take, and how fast it may be: what is watched while it is open."""

from collections.abc import Hashable
from dataclasses import dataclass

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from netsuite.net.metered import ClientBuckets, Meter, RateBucket, stream_bucket
from netsuite.service._admission import Refusal
from netsuite.service._connections import Connection

#: How long a connection has to close after it was told to, in seconds.
CLOSE_SECONDS = 5.0

_PARTS = 8
# Looks at a connection within the shortest timeout. It takes one to see that bytes have moved,
# and another to see that none have since: a timeout is noticed two looks late at most.
_LOOKS = 16
_SHORTEST_PERIOD, _LONGEST_PERIOD = 0.05, 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRules:
    """What :class:`StreamLimits` goes by: seconds, and bytes a second. None is no limit.

    :ivar idle_timeout: without a byte in either direction.
    :ivar total_timeout: that a connection may last.
    :ivar stall_timeout: that a peer may leave what was sent to it unread.
    :ivar rate: in each direction, for each connection.
    :ivar client_rate: in each direction, for all connections of a client together. Peers
        without an IP address (UNIX sockets) are no clients.
    """

    idle_timeout: float | None = None
    total_timeout: float | None = None
    stall_timeout: float | None = None
    rate: float | None = None
    client_rate: float | None = None

    @property
    def shortest_timeout(self) -> float | None:
        """The least of the timeouts; None if there is none."""
        timeouts = (self.idle_timeout, self.total_timeout, self.stall_timeout)
        return min((each for each in timeouts if each is not None), default=None)


class StreamLimits:
    """Holds open connections to :class:`StreamRules`.

    Connections are looked at in turns, several times within the shortest timeout, rather
    than having timers that each byte resets: a timeout may be noticed an eighth of the
    shortest one late (or 0.1 s), and never early. A connection whose time is up is closed, and
    aborted if it is still there :data:`CLOSE_SECONDS` later.

    :param clock: for delayed calls and time.
    """

    _log = Logger()

    def __init__(self, rules: StreamRules, clock: IReactorTime) -> None:
        self._clock = clock
        self._parts: list[set[Connection]] = [set() for _ in range(_PARTS)]
        self._told: set[Connection] = set()
        self._next_part = 0
        self._turn: IDelayedCall | None = None
        self._client_reads: ClientBuckets | None = None
        self._client_writes: ClientBuckets | None = None
        self.rules = StreamRules()
        self.change(rules)

    def change(self, rules: StreamRules) -> None:
        """Go by other rules from now on, for the connections that are open too."""
        before, self.rules = self.rules, rules
        if before.client_rate != rules.client_rate:
            made = rules.client_rate
            self._client_reads = None if made is None else ClientBuckets(made)
            self._client_writes = None if made is None else ClientBuckets(made)
        if (before.rate, before.client_rate) != (rules.rate, rules.client_rate):
            for part in self._parts:
                for connection in part:
                    self._shape(connection)
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self._schedule()

    def opened(self, connection: Connection) -> None:
        """Watch a connection."""
        connection.looked(self._clock.seconds())
        if self.rules.rate is not None or self.rules.client_rate is not None:
            self._shape(connection)
        self._parts[connection.number % _PARTS].add(connection)
        if self._turn is None:
            self._schedule()

    def closed(self, connection: Connection, reason: Failure) -> None:
        """Watch it no more."""
        self._parts[connection.number % _PARTS].discard(connection)
        self._told.discard(connection)
        if self._turn is not None and not any(self._parts):
            self._turn.cancel()
            self._turn = None

    def refused(self, peer: IAddress, refusal: Refusal) -> None:
        """Nothing to watch."""

    # Rates.

    def _shape(self, connection: Connection) -> None:
        if isinstance(connection.meter, Meter):
            connection.meter.shape(
                self._buckets(self._client_reads, connection.client),
                self._buckets(self._client_writes, connection.client),
                self._clock,
            )

    def _buckets(self, clients: ClientBuckets | None, client: Hashable) -> tuple[RateBucket, ...]:
        rate = self.rules.rate
        own = () if rate is None else (stream_bucket(rate),)
        if clients is None or client is None:
            return own
        return (*own, clients.join(client))

    # Timeouts.

    def _schedule(self) -> None:
        shortest = self.rules.shortest_timeout
        if shortest is None and self._told:
            shortest = CLOSE_SECONDS  # they are cut, though the timeout is no more
        if shortest is None or not any(self._parts):
            return
        period = min(max(shortest / _LOOKS, _SHORTEST_PERIOD), _LONGEST_PERIOD)
        self._turn = self._clock.callLater(period / _PARTS, self._look)

    def _look(self) -> None:
        self._turn = None
        now = self._clock.seconds()
        self._next_part = (self._next_part + 1) % _PARTS
        for connection in list(self._parts[self._next_part]):
            try:
                self._look_at(connection, now)
            except Exception:  # noqa: BLE001 - one protocol's bug must not spare the others
                self._log.failure("a connection could not be told to close")
                connection.abort()
        self._schedule()

    def _look_at(self, connection: Connection, now: float) -> None:
        rules = self.rules
        if connection.told is not None:
            if now - connection.told >= CLOSE_SECONDS:
                connection.abort()
            return
        connection.looked(now)
        if rules.stall_timeout is not None and now - connection.reads >= rules.stall_timeout:
            connection.cut("stall")
        elif rules.total_timeout is not None and now - connection.opened >= rules.total_timeout:
            self._tell(connection, "total", now)
        elif rules.idle_timeout is not None and now - connection.moved >= rules.idle_timeout:
            self._tell(connection, "idle", now)

    def _tell(self, connection: Connection, reason: str, now: float) -> None:
        self._told.add(connection)
        connection.close(reason, now)
