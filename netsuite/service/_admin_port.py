"""The admin site of a daemon: where it listens, and for how long."""

import socket
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from netsuite.net.endpoints import EndpointError, address_text, server_endpoint
from netsuite.service._admission import Admission, AdmissionRules
from netsuite.service._config import DaemonConfig, admin_endpoint
from netsuite.service._drain import DrainingService
from netsuite.service._errors import ConfigError, StartError, reason_of
from netsuite.service.admin import (
    AdminSource,
    build_admin_site,
    exposure_warning,
    make_token,
    read_token,
)

#: Clients of the admin site at the same time.
MOST_CLIENTS = 64

#: How long an answer may take to be read once all else is over, in seconds.
LAST_ANSWER_SECONDS = 1.0


class AdminPort(Service):
    """Serves the admin site; it is stopped last, so that a drain can be watched.

    :param address: as ``--admin`` says it.
    :raises ConfigError: for an address or a token file that cannot work.
    """

    _log = Logger()

    def __init__(
        self,
        config: DaemonConfig,
        address: str,
        source: AdminSource,
        reactor: Any,
        clock: IReactorTime,
        monotonic: Callable[[], float],
    ) -> None:
        self._description = admin_endpoint(address)
        self._made_token = config.admin_token_file is None
        self._token = (
            make_token() if config.admin_token_file is None else read_token(config.admin_token_file)
        )
        try:
            endpoint = server_endpoint(reactor, self._description)
            self._is_encrypted = endpoint.certificates is not None
        except EndpointError as error:
            raise ConfigError(f"admin: cannot listen on {error}") from error
        names = (socket.gethostname(),)
        site: Any = build_admin_site(source, self._token, clock, monotonic, names)
        rules = AdmissionRules(max_connections=MOST_CLIENTS)
        self._service = DrainingService(
            endpoint, site, clock, LAST_ANSWER_SECONDS, admission=Admission(rules, monotonic)
        )

    def privilegedStartService(self) -> None:
        """Listen.

        :raises StartError: if that fails.
        """
        try:
            self._service.privilegedStartService()
        except Exception as error:
            raise StartError(
                f"admin: cannot listen on {self._description}: {reason_of(error)}"
            ) from error

    def announce(self) -> None:
        """Say where it is, and how to get in."""
        if self._service.port is None:
            return
        host = self._service.port.getHost()
        warning = None if self._is_encrypted else exposure_warning(self._description)
        if warning:
            self._log.warn("{warning}", warning=warning)
        scheme = "https" if self._is_encrypted else "http"
        self._log.info("admin: {scheme}://{address}/", scheme=scheme, address=address_text(host))
        if self._made_token:
            self._log.info("admin token: {token}", token=self._token)

    def stopService(self) -> Deferred[None]:
        """Close it; fires when nothing is left of it."""
        super().stopService()
        return self._service.stopService()
