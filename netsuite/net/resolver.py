"""Name resolution that lets through only addresses that a program may connect to.

A program that fetches what others name (a crawler, a webhook, a proxy) can be made to fetch
from its own machine and network: by ``http://127.0.0.1/`` in any notation, or by a name whose
owner lets it resolve to a private address, perhaps only the second time it is asked for (DNS
rebinding). Looking at the URL first does not help. :class:`GuardedResolver` looks at what a
name has resolved to, and :class:`~twisted.internet.endpoints.HostnameEndpoint` connects to
exactly those addresses, without asking again::

    agent = Agent(guarded_reactor(reactor))

It guards names and TCP. Proxies that are asked to connect, and other protocols' ways out
(``connectUNIX``, ``listenUDP``), are not its business.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address as StandardIPv6Address
from typing import Any, Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IHostnameResolver,
    IHostResolution,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
)
from twisted.logger import Logger
from zope.interface import alsoProvides, implementer, providedBy

from netsuite.ip import AddressError, IPAddress, is_global, parse_address, parse_lenient

#: The most addresses of one name that are looked at: who owns it chooses how many it has.
MAX_ADDRESSES = 64

#: The hosts whose refusal is remembered.
MAX_REFUSALS = 256

#: The most of a refused host's name that is kept, in characters.
MAX_HOST = 255

Policy = Callable[[IPAddress], bool]


class Addresses(Protocol):
    """Anything that addresses can be in: an ``IPSet``, a network, a tuple of addresses."""

    def __contains__(self, address: IPAddress, /) -> bool: ...


class AddressRefusedError(ConnectError):
    """A connection to an address that the guard does not allow."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the guard took from the answer for a host; ``str()`` is for people.

    :ivar host: the name, or the address in the notation it came in.
    :ivar addresses: what it resolved to and is not allowed.
    :ivar left: how many addresses were let through.
    """

    host: str
    addresses: tuple[str, ...]
    left: int = 0

    def __str__(self) -> str:
        return f"{self.host}: connecting to {', '.join(self.addresses)} is not allowed"


@implementer(IHostnameResolver)
class GuardedResolver:
    """A resolver of another one's answers, without the addresses that are not allowed.

    When none is left the resolution completes without any, as for a name that does not exist:
    :class:`~twisted.internet.endpoints.HostnameEndpoint` fails with
    :class:`~twisted.internet.error.DNSLookupError`. To tell the two apart, ask
    :meth:`refusal_of` for the host once it has failed.

    :param resolver: whom to ask.
    :param policy: whether an address may be connected to. IPv4-mapped IPv6 addresses
        (RFC 4291 section 2.5.5.2) are shown to it, and looked for in ``exceptions``, as IPv4,
        and addresses with a zone without it. An address for which it raises is refused.
        Behind a translator with a prefix of its own (RFC 6052 section 2.2) it has to know that:
        ``partial(is_global, nat64_prefixes=[...])``.
    :param exceptions: addresses that are allowed whatever the policy says.
    :ivar refused: how many resolutions had nothing left.
    :ivar last_refusal: what was taken from an answer last, all of it or some.
    """

    _log = Logger()

    def __init__(
        self,
        resolver: IHostnameResolver,
        *,
        policy: Policy = is_global,
        exceptions: Addresses = (),
    ) -> None:
        self._resolver = resolver
        self._policy = policy
        self._exceptions = exceptions
        self._refusals: dict[str, Refusal] = {}
        self.refused = 0
        self.last_refusal: Refusal | None = None

    def allows(self, address: IPAddress) -> bool:
        """Whether an address may be connected to."""
        if isinstance(address, StandardIPv6Address):
            address = address.ipv4_mapped or StandardIPv6Address(int(address))
        try:
            return address in self._exceptions or self._policy(address)
        except Exception:  # noqa: BLE001 - whatever it is, the resolution has to end, in a no
            self._log.failure("no answer on {address}: it is refused", address=str(address))
            return False

    def refusal_of(self, host: str) -> Refusal | None:
        """Why a host had no address left when it was last resolved, if that was the guard.

        The last :data:`MAX_REFUSALS` are remembered.
        """
        return self._refusals.get(_key(host))

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Resolve a name. A literal address that is not allowed goes to no resolver at all."""
        receiver = _Filter(self, resolutionReceiver, hostName)
        literal = _literal(hostName)
        if literal is not None and not self.allows(literal):
            resolution = _Refused(hostName)
            receiver.resolutionBegan(resolution)
            receiver.refuse(str(literal))
            receiver.resolutionComplete()
            return resolution
        return self._resolver.resolveHostName(
            receiver, hostName, portNumber, addressTypes, transportSemantics
        )

    def _completed(self, host: str, refused: Sequence[str], left: int) -> None:
        """Take note of what a resolution came to."""
        host = host[:MAX_HOST]
        self._refusals.pop(_key(host), None)
        if not refused:
            return
        refusal = self.last_refusal = Refusal(host, tuple(refused), left)
        if not left:
            self.refused += 1
            self._refusals[_key(host)] = refusal
            if len(self._refusals) > MAX_REFUSALS:
                del self._refusals[next(iter(self._refusals))]
        self._log.info(
            "{host}: connecting to {addresses} is not allowed, {left} addresses left",
            host=host,
            addresses=", ".join(refused),
            left=left,
        )


@implementer(IResolutionReceiver)
class _Filter:
    """Between a resolver and who asked: lets through what is allowed."""

    def __init__(self, guard: GuardedResolver, receiver: IResolutionReceiver, host: str) -> None:
        self._guard = guard
        self._receiver = receiver
        self._host = host
        self._refused: list[str] = []
        self._left = 0

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self._receiver.resolutionBegan(resolutionInProgress)

    def addressResolved(self, address: IAddress) -> None:
        if self._left + len(self._refused) >= MAX_ADDRESSES:
            return
        found = _address(address)
        if found is not None and self._guard.allows(found):
            self._left += 1
            self._receiver.addressResolved(address)
        else:
            self.refuse(str(address if found is None else found))

    def refuse(self, address: str) -> None:
        self._refused.append(address)

    def resolutionComplete(self) -> None:
        self._guard._completed(self._host, self._refused, self._left)
        self._receiver.resolutionComplete()


@implementer(IHostResolution)
class _Refused:
    """A resolution that was over when it began."""

    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """There is nothing to cancel."""


@implementer(IReactorPluggableNameResolver)
class GuardedReactor:
    """A reactor that connects only to allowed addresses, for endpoints and agents.

    All else is the reactor's own. ``connectTCP`` and ``connectSSL`` take addresses in standard
    notation only: what anything else would resolve to is not known beforehand.
    :class:`~twisted.internet.endpoints.HostnameEndpoint` asks first.

    :ivar nameResolver: the guard.
    """

    def __init__(self, reactor: Any, policy: Policy, exceptions: Addresses) -> None:
        self._reactor = reactor
        self._policy = policy
        self._exceptions = exceptions
        self.nameResolver = self._guarded(reactor.nameResolver)
        alsoProvides(self, *providedBy(reactor))

    def _guarded(self, resolver: IHostnameResolver) -> GuardedResolver:
        return GuardedResolver(resolver, policy=self._policy, exceptions=self._exceptions)

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """Ask another resolver from now on, guarded by the same policy; for this view only."""
        previous, self.nameResolver = self.nameResolver, self._guarded(resolver)
        return previous

    def connectTCP(self, host: str, port: int, *arguments: Any, **keywords: Any) -> IConnector:
        """Connect to an address.

        :raises AddressRefusedError: for an address that is not allowed, and for a name.
        """
        self._check(host)
        connector: IConnector = self._reactor.connectTCP(host, port, *arguments, **keywords)
        return connector

    def connectSSL(self, host: str, port: int, *arguments: Any, **keywords: Any) -> IConnector:
        """Connect to an address and speak TLS.

        :raises AddressRefusedError: for an address that is not allowed, and for a name.
        """
        self._check(host)
        connector: IConnector = self._reactor.connectSSL(host, port, *arguments, **keywords)
        return connector

    def _check(self, host: str) -> None:
        address = _standard(host)
        if address is None or not self.nameResolver.allows(address):
            raise AddressRefusedError(string=f"connecting to {host} is not allowed")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)


def guarded_reactor(
    reactor: Any, *, policy: Policy = is_global, exceptions: Addresses = ()
) -> GuardedReactor:
    """A view of a reactor that connects only where a policy allows.

    Its ``nameResolver`` is a :class:`GuardedResolver` over the reactor's own, as that is now.

    :param reactor: the reactor, with ``IReactorPluggableNameResolver``.
    :param policy: as for :class:`GuardedResolver`: by default the public Internet.
    :param exceptions: as for :class:`GuardedResolver`.
    """
    return GuardedReactor(reactor, policy, exceptions)


def _literal(host: str) -> IPAddress | None:
    """The address that a system reads in a host, in any notation; None for a name."""
    try:
        return parse_lenient(host).address
    except AddressError:
        return None


def _address(address: IAddress) -> IPAddress | None:
    """The address that a resolver found; None if it is not one, or not clearly one."""
    return _standard(address.host) if isinstance(address, IPv4Address | IPv6Address) else None


def _standard(host: str) -> IPAddress | None:
    """The address in a host; None for a name, and for an unusual notation."""
    try:
        return parse_address(host)
    except AddressError:
        return None


def _key(host: str) -> str:
    return host[:MAX_HOST].lower()
