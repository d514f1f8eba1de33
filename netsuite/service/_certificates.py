"""The certificates of a daemon, which may become others while it runs."""

from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime
from zope.interface import implementer

from netsuite.net.certificates import CertificateError, ServerCertificates, TLSConfig
from netsuite.service._errors import ConfigError


@implementer(IOpenSSLServerConnectionCreator)
class DaemonCertificates:
    """Certificates for the endpoints that have none of their own, and a list of all.

    :param config: None for no TLS.
    :raises ConfigError: for a file that cannot be used.
    """

    def __init__(self, config: TLSConfig | None) -> None:
        self._current = None if config is None else _load(config)
        self._others: list[ServerCertificates] = []
        self._clock: IReactorTime | None = None
        self._watches: list[Any] = []

    def add(self, certificates: ServerCertificates) -> None:
        """Watch those of an endpoint too."""
        self._others.append(certificates)

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """A connection with the certificates of now; it keeps them if they are replaced."""
        if self._current is None:
            raise ConfigError("there are no certificates")
        return self._current.serverConnectionForTLS(tlsProtocol)

    @property
    def _all(self) -> list[ServerCertificates]:
        return [*([] if self._current is None else [self._current]), *self._others]

    @property
    def expiries(self) -> dict[str, float]:
        """By file when its certificate ends, in seconds since 1970-01-01 00:00 UTC."""
        return {file: end for each in self._all for file, end in each.expiries.items()}

    def prepare(self, config: TLSConfig | None) -> Callable[[], None]:
        """Load all files anew; what that leads to is served once the result is called.

        Whether there is TLS at all is decided at the start.

        :raises ConfigError: for a file that cannot be used; nothing has changed then.
        """
        if (config is None) != (self._current is None):
            raise ConfigError("TLS: expected a restart, to begin with it or to end it")
        current = self._current
        if current is not None and config is not None and config != current.config:
            current = _load(config)
        kept = [each for each in self._all if each is current or each in self._others]
        reloads = [_prepare(each) for each in kept]

        def commit() -> None:
            for reload in reloads:
                reload()
            if current is not self._current:
                self._current = current
                self._watch_again()

        return commit

    def watch(self, clock: IReactorTime) -> None:
        """Reload when files change, from now on."""
        self._clock = clock
        self._watch_again()

    def _watch_again(self) -> None:
        self._end_watches()
        if self._clock is not None:
            self._watches = [each.watch(self._clock) for each in self._all]

    def stop(self) -> None:
        """Watch no more."""
        self._clock = None
        self._end_watches()

    def _end_watches(self) -> None:
        for watch in self._watches:
            watch.stop()
        self._watches = []


def _load(config: TLSConfig) -> ServerCertificates:
    try:
        return ServerCertificates(config)
    except CertificateError as error:
        raise ConfigError(str(error)) from None


def _prepare(certificates: ServerCertificates) -> Callable[[], object]:
    try:
        return certificates.prepare()
    except CertificateError as error:
        raise ConfigError(str(error)) from None
