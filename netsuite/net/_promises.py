"""What a protocol or its factory can promise to the daemon above."""

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


@runtime_checkable
class Expirable(Protocol):
    """A protocol that has words of its own for a peer whose time is up."""

    def expire(self, reason: str) -> None:
        """Tell the peer, and close the connection.

        Returns at once. A connection that does not close soon is aborted by whoever asked.

        :param reason: ``idle`` for a peer that has been silent too long, ``total`` for a
            connection that has lasted too long.
        """


@runtime_checkable
class Refusing(Protocol):
    """A factory that has words for a peer that is not let in."""

    def refusal(self, reason: str) -> bytes | None:
        """What such a peer is told before its connection is closed; None for nothing.

        :param reason: as in metrics, for example ``access`` or ``client_connections``.
        """
