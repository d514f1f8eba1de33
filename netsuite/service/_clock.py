"""Time that does not jump."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer


@implementer(IReactorTime)
class SteadyClock:
    """A reactor's delayed calls, with the seconds of another clock.

    A reactor's own seconds are those of the wall clock, which people and NTP set: a limit
    measured by them could end everything at once, or never.

    :param reactor: makes the delayed calls.
    :param monotonic: seconds that do not jump.
    """

    def __init__(self, reactor: IReactorTime, monotonic: Callable[[], float]) -> None:
        self._reactor = reactor
        self._monotonic = monotonic

    def seconds(self) -> float:
        """Seconds that do not jump."""
        return self._monotonic()

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002 - the interface's name
        *args: object,
        **kwargs: object,
    ) -> IDelayedCall:
        """Call something later."""
        call: IDelayedCall = self._reactor.callLater(delay, callable, *args, **kwargs)
        return call

    def getDelayedCalls(self) -> Any:
        """What is yet to be called."""
        return self._reactor.getDelayedCalls()
