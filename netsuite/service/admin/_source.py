"""What the admin site asks of whoever it speaks for."""

from typing import Protocol

from twisted.internet.defer import Deferred

from netsuite.service._stats import ServiceStats


class AdminSource(Protocol):
    """A service that can be looked at and told what to do: one process, or its supervisor."""

    @property
    def ready(self) -> bool:
        """Whether it takes connections: false before it listens and while it drains."""

    def stats(self) -> Deferred[ServiceStats]:
        """This moment. The admin site waits a few seconds, then cancels."""

    def drain(self) -> None:
        """Finish and end, as on SIGTERM; again changes nothing. Returns at once."""

    def ban(self, network: str, seconds: float | None) -> None:
        """Refuse a network and cut what it has open.

        :param network: an address or a network, as a person wrote it.
        :param seconds: how long, above 0; None for until the process ends.
        :raises ValueError: for what is no network, with one line that says so.
        """

    def unban(self, network: str) -> bool:
        """Take a ban back.

        :returns: whether there was one.
        :raises ValueError: for what is no network, with one line that says so.
        """
