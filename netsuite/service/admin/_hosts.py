"""By which names the admin site may be called.

A page of another site can make its own name point here and then read and post as if it were
ours (DNS rebinding). It cannot choose what ``Host`` says then: its own name.
"""

import re
from collections.abc import Iterable
from http import HTTPStatus
from ipaddress import ip_address

from netsuite.ip import AddressError, parse_host_port
from netsuite.service.admin._http import AdminRequest, Refusal

_LOCAL_ENDPOINT = re.compile(r"interface=(?:localhost|127\.[0-9.]+|\\:\\:1|::1)(?::|$)")


class HostCheck:
    """Refuses requests that call us by a name which is not ours.

    Addresses, ``localhost`` and names below it always are.

    :param names: others that are.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {_canonical(name) for name in names}

    def check(self, request: AdminRequest) -> None:
        """Return if the request is for us, and from a page of ours if from any.

        :raises Refusal: if not.
        """
        hosts = request.headers("Host")
        if len(hosts) > 1 or (not hosts and request.clientproto != b"HTTP/1.0"):
            raise Refusal(HTTPStatus.BAD_REQUEST, "expected one Host header")
        host = hosts[0] if hosts else ""
        if hosts and not self._is_ours(host):
            raise Refusal(
                HTTPStatus.FORBIDDEN,
                f"{host[:200]!r} is no name of this service: expected an address, localhost "
                "or the name of this machine",
            )
        origin = request.header("Origin")
        if origin and origin.lower().rpartition("://")[2] != host.lower():
            raise Refusal(
                HTTPStatus.FORBIDDEN, f"{origin[:200]!r} is another site: expected {host!r}"
            )

    def _is_ours(self, host: str) -> bool:
        try:
            name = parse_host_port(host).host
        except AddressError:
            return False
        if not isinstance(name, str):
            return True
        name = _canonical(name)
        return name == "localhost" or name.endswith(".localhost") or name in self._names


def over_network(request: AdminRequest) -> bool:
    """Whether a request came in on an address that other machines reach."""
    host = getattr(request.getHost(), "host", None)
    return isinstance(host, str) and not ip_address(host).is_loopback


def exposure_warning(endpoint: str) -> str | None:
    """What to tell an operator whose admin endpoint other machines reach without TLS.

    :param endpoint: an endpoint string.
    :returns: one line, or None if all is well as far as the string tells.
    """
    kind, _, _ = endpoint.partition(":")
    if kind not in {"tcp", "tcp6", "dualstack"} or _LOCAL_ENDPOINT.search(endpoint):
        return None
    return (
        f"admin on {endpoint} is open to other machines and not encrypted: "
        "the token can be read on the way"
    )


def _canonical(name: str) -> str:
    return name.lower().removesuffix(".")
