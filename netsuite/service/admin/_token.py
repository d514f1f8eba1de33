"""Who may change something: the admin token, and how often it may be guessed."""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable, Hashable
from http import HTTPStatus
from ipaddress import ip_address
from math import ceil
from pathlib import Path

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from netsuite.ip import rate_key
from netsuite.net.endpoints import address_text
from netsuite.service._errors import ConfigError
from netsuite.service.admin._http import AdminRequest, Refusal

#: Characters of a token in a file.
LEAST_TOKEN = 16
MOST_TOKEN = 1024
#: Wrong tokens that a client may send in :data:`FAILURE_PERIOD` seconds.
MAX_FAILURES = 10
FAILURE_PERIOD = 60.0
#: Clients whose wrong tokens are counted; the one seen least recently is forgotten first.
MAX_CLIENTS = 1024


def make_token() -> str:
    """A new token, for who gave none."""
    return secrets.token_urlsafe(24)


def read_token(path: Path) -> str:
    """The token in a file: its only line.

    :raises ConfigError: for a file that cannot be read or has no token in it.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_TOKEN + 2)
    except OSError as error:
        raise ConfigError(f"cannot read admin token file {path}: {error.strerror}") from error
    token = data.decode("ascii", "replace").strip()
    if not (LEAST_TOKEN <= len(token) <= MOST_TOKEN and token.isascii() and _is_visible(token)):
        raise ConfigError(
            f"admin token file {path}: expected one line of "
            f"{LEAST_TOKEN} to {MOST_TOKEN} ASCII characters without spaces"
        )
    return token


def _is_visible(token: str) -> bool:
    return token.isprintable() and " " not in token


class TokenGuard:
    """Lets a request through if it has the token (RFC 6750 section 2.1).

    A client that was wrong too often is not even asked for a while: with no right answer to
    be had, guessing is no use. Its address counts as in :func:`netsuite.ip.rate_key`.

    :param monotonic: a clock that never jumps.
    """

    _log = Logger()

    def __init__(self, token: str, monotonic: Callable[[], float]) -> None:
        self._token = token.encode()
        self._monotonic = monotonic
        self._failures: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def check(self, request: AdminRequest) -> None:
        """Return if the request has the token.

        :raises Refusal: if not.
        """
        client = request.getClientAddress()
        key = _client_key(client)
        now = self._monotonic()
        count, since = self._failures.get(key, (0, now))
        if now - since >= FAILURE_PERIOD:
            count, since = 0, now
        if count >= MAX_FAILURES:
            wait = ceil(since + FAILURE_PERIOD - now)
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"too many wrong tokens: expected a pause of {wait} s",
                {"Retry-After": str(wait)},
            )
        given = request.header("Authorization")
        scheme, _, token = given.partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(
            token.strip().encode("latin-1"), self._token
        ):
            return
        if not given:  # a client that asks whether it needs one is not guessing
            raise Refusal(
                HTTPStatus.UNAUTHORIZED,
                "expected the admin token: Authorization: Bearer TOKEN",
                {"WWW-Authenticate": 'Bearer realm="netsuite admin"'},
            )
        self._failures[key] = (count + 1, since)
        self._failures.move_to_end(key)
        if len(self._failures) > MAX_CLIENTS:
            self._failures.popitem(last=False)
        self._log.warn("admin: {peer} sent a wrong token", peer=address_text(client))
        raise Refusal(
            HTTPStatus.UNAUTHORIZED,
            "that is not the admin token",
            {"WWW-Authenticate": 'Bearer realm="netsuite admin", error="invalid_token"'},
        )


def _client_key(client: IAddress) -> Hashable:
    host = getattr(client, "host", None)
    return rate_key(ip_address(host)) if isinstance(host, str) else None
