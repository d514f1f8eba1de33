"""What a transport is that counts its bytes and keeps to rates."""

from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from netsuite.net._shaping import RateBucket

#: Those of the transports are their own: no dictionary comes from here.
_NO_SLOTS: tuple[str, ...] = ()


class Meter:
    """The contract of metered transports, whoever moves their bytes.

    :ivar bytes_received: from the socket, which under TLS is ciphertext.
    :ivar on_lost: called with the reason when the connection is gone, after the protocol
        has heard of it.
    """

    __slots__ = _NO_SLOTS

    bytes_received: int
    on_lost: Callable[[Failure], object] | None

    @property
    def bytes_sent(self) -> int:
        """To the socket."""
        raise NotImplementedError

    @property
    def throttled(self) -> bool:
        """Whether a direction waits for a rate rather than for the peer."""
        raise NotImplementedError

    @property
    def unsent(self) -> bool:
        """Whether bytes wait here for the peer to read, rather than for a rate."""
        raise NotImplementedError

    def shape(
        self, reading: Sequence[RateBucket], writing: Sequence[RateBucket], clock: IReactorTime
    ) -> None:
        """Keep to rates from now on, instead of those given before.

        :param reading: each of them pays for every byte that is read; none for no rate.
        :param writing: likewise for what is written.
        """
        raise NotImplementedError
