"""Counting connections, and saying in the log what became of them."""

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from netsuite.net import TokenBuckets
from netsuite.net.endpoints import address_text
from netsuite.service._admission import Refusal
from netsuite.service._connections import Connection, Gate
from netsuite.service._stats import Histogram, ListenerStats

#: Lines about refused connections that are written at once, and a second after those, for each
#: reason. The others are counted.
REFUSAL_LINES = 5
REFUSAL_LINES_A_SECOND = 1.0


class Totals:
    """What became of the connections of one listener.

    :param durations: where the length of each connection is counted.
    :param clock: seconds that do not jump.
    :param counts: what the service itself counts.
    """

    def __init__(
        self,
        name: str,
        durations: Histogram,
        clock: Callable[[], float],
        counts: Callable[[], Mapping[str, int]] | None = None,
    ) -> None:
        self._name = name
        self._durations = durations
        self._clock = clock
        self._counts = counts
        self._gates: list[Gate] = []
        self._accepted = 0
        self._closed = 0
        self._received = 0
        self._sent = 0
        self._refused: dict[str, int] = {}
        self._cut: dict[str, int] = {}

    def watch(self, gate: Gate) -> None:
        """Count what is open behind a gate too."""
        self._gates.append(gate)

    def opened(self, connection: Connection) -> None:
        """Count a connection that is in."""
        self._accepted += 1

    def closed(self, connection: Connection, reason: Failure) -> None:
        """Count one that is gone."""
        self._received += connection.bytes_received
        self._sent += connection.bytes_sent
        if not connection.entered:
            return
        self._closed += 1
        self._durations.observe(self._clock() - connection.opened)
        if connection.ended is not None:
            self._cut[connection.ended] = self._cut.get(connection.ended, 0) + 1

    def refused(self, peer: IAddress, refusal: Refusal) -> None:
        """Count one that was not let in."""
        self._refused[refusal] = self._refused.get(refusal, 0) + 1

    def stats(self, addresses: list[str]) -> ListenerStats:
        """This moment."""
        connections = [each for gate in self._gates for each in gate.connections]
        return ListenerStats(
            name=self._name,
            addresses=addresses,
            accepted=self._accepted,
            active=self._accepted - self._closed,
            refused={str(reason): count for reason, count in self._refused.items()},
            cut=dict(self._cut),
            bytes_received=self._received + sum(each.bytes_received for each in connections),
            bytes_sent=self._sent + sum(each.bytes_sent for each in connections),
            counts={} if self._counts is None else dict(self._counts()),
        )


class RefusalLog:
    """Logs refused connections, so many lines for each reason and no more.

    :param name: the listener's.
    :param clock: seconds that do not jump.
    """

    _log = Logger()

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._lines = TokenBuckets(REFUSAL_LINES_A_SECOND, REFUSAL_LINES)
        self._silent: dict[Refusal, int] = {}

    def opened(self, connection: Connection) -> None:
        """Nothing to say."""

    def closed(self, connection: Connection, reason: Failure) -> None:
        """Nothing to say."""

    def refused(self, peer: IAddress, refusal: Refusal) -> None:
        """Say it, or count it for the next time."""
        if not self._lines.take(refusal, self._clock()):
            self._silent[refusal] = self._silent.get(refusal, 0) + 1
            return
        more = self._silent.pop(refusal, 0)
        self._log.info(
            "{peer} refused: {reason}" + (" ({more} more before)" if more else ""),
            peer=address_text(peer),
            reason=str(refusal),
            service=self._name,
            more=more,
        )
