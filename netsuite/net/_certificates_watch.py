"""Certificates that are replaced while they are in use: looked at again and again."""

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from netsuite.net._certificates_config import CertificateError
from netsuite.net._certificates_files import Stamps

#: How often files are looked at, in seconds.
WATCH_SECONDS = 10.0

#: For how long files must have been as they are before they are read, in seconds.
SETTLE_SECONDS = 1.0

#: After so many looks at files that change all the time they are read as they are.
SETTLE_LOOKS = 10

#: For how long tickets are encrypted with one key, in seconds: one who learns it can read the
#: TLS 1.2 connections that were resumed with it.
TICKET_KEY_SECONDS = 24 * 3600.0


class _Watched(Protocol):
    def look(self) -> Stamps: ...

    def changed(self) -> bool: ...

    def reload(self) -> bool: ...

    def renew_ticket_keys(self) -> None: ...


class CertificateWatch:
    """Reloads certificates when their files have changed, and have come to rest.

    Files that cannot be used are reported once; they are tried again when they change.
    Ticket keys are renewed once a day.
    """

    _log = Logger()

    def __init__(
        self,
        certificates: _Watched,
        clock: IReactorTime,
        interval: float,
        on_reload: Callable[[], object],
        on_error: Callable[[CertificateError], object],
    ) -> None:
        self._certificates = certificates
        self._clock = clock
        self._interval = interval
        self._on_reload = on_reload
        self._on_error = on_error
        self._pending: Stamps | None = None
        self._refused: Stamps | None = None
        self._looks = 0
        self._renewed = clock.seconds()
        self._call: IDelayedCall | None = clock.callLater(interval, self._poll)

    def stop(self) -> None:
        """Look no more. To call it twice does nothing."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _poll(self) -> None:
        self._call = self._clock.callLater(self._interval, self._poll)
        try:
            if not self._look():
                self._call.reset(min(SETTLE_SECONDS, self._interval))
        except Exception:  # noqa: BLE001 - a bug, ours or a callback's, ends no watch
            self._log.failure("certificates could not be looked at")

    def _look(self) -> bool:
        """Look once, and act on it; False if that is to be done again soon."""
        stamps = self._certificates.look()
        if stamps == self._refused or not self._certificates.changed():
            self._pending, self._looks = None, 0
            self._renew()
            return True
        self._refused = None
        if stamps != self._pending and self._looks < SETTLE_LOOKS:
            self._pending = stamps
            self._looks += 1
            return False
        self._pending, self._looks = None, 0
        self._reload(stamps)
        return True

    def _reload(self, stamps: Stamps) -> None:
        try:
            reloaded = self._certificates.reload()
        except CertificateError as error:
            self._refused = stamps
            self._on_error(error)
        else:
            if reloaded:
                self._renewed = self._clock.seconds()
                self._on_reload()

    def _renew(self) -> None:
        if self._clock.seconds() - self._renewed >= TICKET_KEY_SECONDS:
            self._renewed = self._clock.seconds()
            self._certificates.renew_ticket_keys()
