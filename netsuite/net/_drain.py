"""The promise that a protocol makes about shutting down."""

from typing import Protocol, runtime_checkable

from twisted.internet.interfaces import IReactorTime


@runtime_checkable
class Drainable(Protocol):
    """A protocol that can finish what was begun and then close by itself."""

    def drain(self, clock: IReactorTime, grace: float) -> None:
        """Finish what the peer has begun, begin nothing new, then close the connection.

        Returns at once. A connection that is still open when ``grace`` is over is aborted
        by whoever asked.

        :param clock: for delayed calls.
        :param grace: seconds until the connection will be aborted.
        """
