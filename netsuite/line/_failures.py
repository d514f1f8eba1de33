"""How long those who guess passwords have to wait, for a bounded number of them."""

import math
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import TypeVar

from twisted.cred.error import LoginFailed
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from netsuite.ip import parse_address, rate_key

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """How attempts to log in are slowed down.

    After failures of a client network (IPv4 address, IPv6 /64) or for a user name the next attempt
    waits before anything is checked: :attr:`first` seconds after one failure, twice as long after
    each further one, up to :attr:`most`. Nobody is locked out.

    :ivar first: seconds after one failure. No failure is answered in less time than that, which
        hides how long the check took. 0 for no delay at all.
    :ivar most: seconds that an attempt may have to wait.
    :ivar forget: seconds after which one failure is forgotten, the next after as many again.
    :ivar keys: how many networks, and how many user names, are remembered; those that failed
        last.
    :ivar waiting: attempts of one network that wait, or are checked, at the same time. Further
        ones are refused.
    :raises ValueError: for numbers that make no sense.
    """

    first: float = 0.5
    most: float = 10.0
    forget: float = 60.0
    keys: int = 10_000
    waiting: int = 10

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if not (math.isfinite(value) and (value > 0 or (value == 0 and each.name == "first"))):
                raise ValueError(f"{each.name} {value}: expected more than 0")
        if self.most < self.first:
            raise ValueError(f"most {self.most:g}: expected {self.first:g} (first) or more")

    @property
    def worst(self) -> int:
        """How many failures are the most that counts."""
        return 1 + math.ceil(math.log2(self.most / self.first)) if self.first else 1

    def after(self, failures: float) -> float:
        """Seconds to wait after so many failures, some of them half forgotten."""
        count = min(math.ceil(failures), self.worst)
        return min(self.most, self.first * 2.0 ** (count - 1)) if count > 0 else 0.0


class Failures:
    """How often each key has failed lately; the least recently used are forgotten first."""

    def __init__(self, delay: Delay) -> None:
        self._delay = delay
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def level(self, key: Hashable, now: float) -> float:
        """How many failures of a key are remembered.

        :param now: seconds on a clock that does not jump.
        """
        level, then = self._levels.get(key, (0.0, now))
        return max(0.0, level - max(0.0, now - then) / self._delay.forget)

    def add(self, key: Hashable, amount: float, now: float) -> float:
        """Count a failure, or take some of it back.

        :returns: what it was counted as: less than a whole one where there are many.
        """
        before = self.level(key, now)
        after = min(max(0.0, before + amount), float(self._delay.worst))
        self._levels.pop(key, None)
        if after:
            self._levels[key] = (after, now)
            if len(self._levels) > self._delay.keys:
                self._levels.popitem(last=False)
        return after - before


class Attempt:
    """One attempt to log in, which has failed until somebody says that it has not.

    So attempts at the same time delay one another.

    :ivar wait: seconds before it may be checked.
    """

    def __init__(self, guard: "Guard", network: Hashable, name: Hashable, now: float) -> None:
        self._guard = guard
        self._network = network
        keys = ((guard.networks, network), (guard.names, name))
        self._counted = [(failures, key) for failures, key in keys if key is not None]
        levels = [failures.level(key, now) for failures, key in self._counted]
        self.wait = guard.delay.after(max(levels, default=0.0))
        self._added = [failures.add(key, 1.0, now) for failures, key in self._counted]

    def forgive(self, now: float) -> None:
        """It was no failure; those before it still are."""
        for (failures, key), added in zip(self._counted, self._added, strict=True):
            failures.add(key, -added, now)

    async def check(self, clock: IReactorTime, check: Callable[[], Awaitable[_T]]) -> _T:
        """What a check gives, once it may be made; a failure takes its time.

        :raises LoginFailed: as the check does.
        """
        try:
            try:
                await _pause(clock, self.wait)
            except CancelledError:
                self.forgive(clock.seconds())  # gone, and has learned nothing
                raise
            begun = clock.seconds()
            try:
                found = await check()
            except LoginFailed:
                await _pause(clock, begun + self._guard.delay.first - clock.seconds())
                raise
            self.forgive(clock.seconds())
            return found
        finally:
            self.end()

    def end(self) -> None:
        """It is over, one way or the other."""
        self._guard.ended(self._network)


class Guard:
    """Slows down those who fail.

    :ivar networks: their failures.
    :ivar names: failures by user name.
    """

    def __init__(self, delay: Delay) -> None:
        self.delay = delay
        self.networks = Failures(delay)
        self.names = Failures(delay)
        self._going_on: dict[Hashable, int] = {}

    def begin(self, network: Hashable, name: Hashable, now: float) -> Attempt | None:
        """An attempt to log in; None if there are too many of its network.

        :param network: None for clients that have none.
        :param name: of the user; None if none was given.
        """
        going_on = self._going_on.get(network, 0)
        if network is not None:
            if going_on >= self.delay.waiting:
                return None
            self._going_on[network] = going_on + 1
        return Attempt(self, network, name, now)

    def ended(self, network: Hashable) -> None:
        """An attempt is over."""
        left = self._going_on.get(network, 0) - 1
        if left > 0:
            self._going_on[network] = left
        else:
            self._going_on.pop(network, None)


def network_key(host: str) -> Hashable:
    """Whose failures count together; None for peers that have no address.

    :param host: a peer's IP address, or ``""``.
    """
    return rate_key(parse_address(host)) if host else None


def name_key(name: str) -> Hashable:
    """What is remembered of a user name: so much, however long it is."""
    return sha256(name.casefold().encode("utf-8", "surrogateescape")).digest()[:16]


async def _pause(clock: IReactorTime, seconds: float) -> None:
    """Wait, if there is anything to wait for."""
    if seconds > 0:
        await deferLater(clock, seconds)
