from collections.abc import Sequence
from ipaddress import IPv4Network, ip_address

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from netsuite.ip import IPAddress, IPSet
from netsuite.net.resolver import (
    MAX_ADDRESSES,
    MAX_HOST,
    MAX_REFUSALS,
    AddressRefusedError,
    GuardedResolver,
    Refusal,
    guarded_reactor,
)

PUBLIC, PUBLIC6 = "8.8.8.8", "2600::8"


def tcp(host: str) -> IPv4Address | IPv6Address:
    return IPv6Address("TCP", host, 80) if ":" in host else IPv4Address("TCP", host, 80)


@implementer(IHostResolution)
class Resolution:
    def __init__(self, name: str) -> None:
        self.name = name
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


@implementer(IHostnameResolver)
class FakeResolver:
    """Knows some names, and what it was asked for."""

    def __init__(self, **names: Sequence[IAddress | str]) -> None:
        self.names = names
        self.asked: list[tuple[object, ...]] = []

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        self.asked.append((hostName, portNumber, addressTypes, transportSemantics))
        resolution = Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        for address in self.names.get(hostName, ()):
            resolutionReceiver.addressResolved(
                tcp(address) if isinstance(address, str) else address
            )
        resolutionReceiver.resolutionComplete()
        return resolution


@implementer(IResolutionReceiver)
class Receiver:
    def __init__(self) -> None:
        self.began: list[IHostResolution] = []
        self.found: list[IAddress] = []
        self.complete = 0

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self.began.append(resolutionInProgress)

    def addressResolved(self, address: IAddress) -> None:
        self.found.append(address)

    def resolutionComplete(self) -> None:
        self.complete += 1


class GuardedResolverTests(SynchronousTestCase):
    def resolve(self, guard: GuardedResolver, host: str) -> list[str]:
        """What a host resolves to."""
        receiver = Receiver()
        resolution = guard.resolveHostName(receiver, host, 80)
        self.assertEqual(receiver.complete, 1)
        self.assertEqual(receiver.began, [resolution])
        self.assertEqual(resolution.name, host)
        return [getattr(address, "host", str(address)) for address in receiver.found]

    def test_interface(self) -> None:
        verifyObject(IHostnameResolver, GuardedResolver(FakeResolver()))

    def test_what_is_allowed_comes_through_as_it_was(self) -> None:
        known = [tcp(PUBLIC), tcp(PUBLIC6), IPv6Address("TCP", PUBLIC6, 80, 1, 2)]
        receiver = Receiver()
        GuardedResolver(FakeResolver(a=known)).resolveHostName(receiver, "a", 80)
        self.assertEqual([id(each) for each in receiver.found], [id(each) for each in known])

    def test_questions_come_through_as_they_were(self) -> None:
        fake = FakeResolver()
        guard = GuardedResolver(fake)
        guard.resolveHostName(Receiver(), "a", 25, [IPv6Address], "UDP")
        guard.resolveHostName(Receiver(), "b")
        self.assertEqual(fake.asked, [("a", 25, [IPv6Address], "UDP"), ("b", 0, None, "TCP")])

    def test_what_is_not_allowed_does_not(self) -> None:
        refused = (
            *("127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "224.0.0.1", "::", "::1"),
            *("fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::1"),
        )
        for host in refused:
            guard = GuardedResolver(FakeResolver(a=[host]))
            self.assertEqual(self.resolve(guard, "a"), [], host)
            self.assertEqual(guard.refused, 1)

    def test_some_of_both(self) -> None:
        guard = GuardedResolver(FakeResolver(a=["10.0.0.1", PUBLIC, "::1", PUBLIC6]))
        self.assertEqual(self.resolve(guard, "a"), [PUBLIC, PUBLIC6])
        self.assertEqual(guard.last_refusal, Refusal("a", ("10.0.0.1", "::1"), 2))
        self.assertEqual(guard.refused, 0)
        self.assertIs(guard.refusal_of("a"), None)

    def test_nothing_known_is_no_refusal(self) -> None:
        guard = GuardedResolver(FakeResolver())
        self.assertEqual(self.resolve(guard, "a"), [])
        self.assertEqual((guard.refused, guard.last_refusal), (0, None))
        self.assertIs(guard.refusal_of("a"), None)

    def test_a_refusal_and_who_it_was(self) -> None:
        guard = GuardedResolver(FakeResolver(**{"Inner.example": ["10.0.0.1"]}))
        self.resolve(guard, "Inner.example")
        refusal = guard.refusal_of("inner.EXAMPLE")
        self.assertEqual(refusal, Refusal("Inner.example", ("10.0.0.1",), 0))
        self.assertEqual(str(refusal), "Inner.example: connecting to 10.0.0.1 is not allowed")
        self.assertIs(guard.refusal_of("other.example"), None)

    def test_a_refusal_is_over_when_the_name_has_another_address(self) -> None:
        fake = FakeResolver(a=["10.0.0.1"])
        guard = GuardedResolver(fake)
        self.resolve(guard, "a")
        fake.names["a"] = [PUBLIC]
        self.assertEqual(self.resolve(guard, "a"), [PUBLIC])
        self.assertIs(guard.refusal_of("a"), None)
        self.assertEqual(guard.refused, 1)

    def test_literals_in_every_notation_are_refused_unasked(self) -> None:
        fake = FakeResolver()
        guard = GuardedResolver(fake)
        literals = (
            *("127.0.0.1", "127.1", "0x7f.1", "0177.1", "2130706433", "::1", "[::1]", "0"),
            *("::ffff:127.0.0.1", "\uff11\uff12\uff17.\uff10.\uff10.\uff11", "fe80::1%eth0"),
            "127\u30020\u30020\u30021",
        )
        for count, literal in enumerate(literals, 1):
            self.assertEqual(self.resolve(guard, literal), [])
            self.assertEqual(guard.refused, count)
            refusal = guard.refusal_of(literal)
            assert refusal is not None
            self.assertEqual(refusal.host, literal)
        self.assertEqual(fake.asked, [])

    def test_cancelling_what_is_over(self) -> None:
        GuardedResolver(FakeResolver()).resolveHostName(Receiver(), "127.1").cancel()

    def test_allowed_literals_are_asked_for(self) -> None:
        guard = GuardedResolver(FakeResolver(**{PUBLIC: [PUBLIC], "134744072": [PUBLIC]}))
        self.assertEqual(self.resolve(guard, PUBLIC), [PUBLIC])
        self.assertEqual(self.resolve(guard, "134744072"), [PUBLIC])

    def test_a_literal_that_resolves_to_something_else(self) -> None:
        guard = GuardedResolver(FakeResolver(**{PUBLIC: ["127.0.0.1"]}))
        self.assertEqual(self.resolve(guard, PUBLIC), [])

    def test_what_is_no_clear_address_is_refused(self) -> None:
        strange = [
            UNIXAddress("/run/socket"),
            IPv4Address("TCP", "134744072", 80),
            IPv4Address("TCP", "public.example", 80),
            IPv4Address("TCP", "", 80),
        ]
        guard = GuardedResolver(FakeResolver(a=strange), policy=lambda address: True)
        self.assertEqual(self.resolve(guard, "a"), [])
        self.assertEqual(guard.refused, 1)

    def test_exceptions(self) -> None:
        for exceptions in (
            (ip_address("127.0.0.1"),),
            frozenset([ip_address("127.0.0.1")]),
            IPv4Network("127.0.0.0/8"),
            IPSet(["127.0.0.0/8"]),
        ):
            fake = FakeResolver(a=["127.0.0.1", "10.0.0.1", "::ffff:127.0.0.1", "::1"])
            guard = GuardedResolver(fake, exceptions=exceptions)
            self.assertEqual(self.resolve(guard, "a"), ["127.0.0.1", "::ffff:127.0.0.1"])

    def test_an_exception_has_no_zone(self) -> None:
        fake = FakeResolver(**{"fe80::1%eth0": ["fe80::1%eth0", "fe80::2%eth0"]})
        guard = GuardedResolver(fake, exceptions=[ip_address("fe80::1")])
        self.assertEqual(self.resolve(guard, "fe80::1%eth0"), ["fe80::1%eth0"])

    def test_policy(self) -> None:
        seen: list[IPAddress] = []

        def policy(address: IPAddress) -> bool:
            seen.append(address)
            return address == ip_address("10.0.0.1")

        fake = FakeResolver(a=["10.0.0.1", PUBLIC, "::ffff:10.0.0.1"])
        self.assertEqual(
            self.resolve(GuardedResolver(fake, policy=policy), "a"),
            ["10.0.0.1", "::ffff:10.0.0.1"],
        )
        self.assertEqual([str(each) for each in seen], ["10.0.0.1", PUBLIC, "10.0.0.1"])

    def test_a_policy_that_fails_says_no(self) -> None:
        def policy(address: IPAddress) -> bool:
            raise ZeroDivisionError(str(address))

        guard = GuardedResolver(FakeResolver(a=[PUBLIC]), policy=policy)
        self.assertEqual(self.resolve(guard, "a"), [])
        self.assertEqual(self.resolve(guard, PUBLIC), [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(guard.refused, 2)

    def test_most_addresses(self) -> None:
        for first in (PUBLIC, "10.0.0.1"):
            most = FakeResolver(a=[first] + [PUBLIC] * (MAX_ADDRESSES - 1))
            more = FakeResolver(a=[first] + [PUBLIC] * MAX_ADDRESSES)
            left = MAX_ADDRESSES - (first != PUBLIC)
            self.assertEqual(len(self.resolve(GuardedResolver(most), "a")), left)
            self.assertEqual(len(self.resolve(GuardedResolver(more), "a")), left)

    def test_most_refusals(self) -> None:
        guard = GuardedResolver(FakeResolver())
        hosts = [f"127.0.{number >> 8}.{number & 255}" for number in range(MAX_REFUSALS + 1)]
        for host in hosts[:MAX_REFUSALS]:
            self.resolve(guard, host)
        self.assertIsNot(guard.refusal_of(hosts[0]), None)
        self.resolve(guard, hosts[0])  # the most recent once more
        self.resolve(guard, hosts[MAX_REFUSALS])
        self.assertIsNot(guard.refusal_of(hosts[0]), None)
        self.assertIs(guard.refusal_of(hosts[1]), None)
        self.assertIsNot(guard.refusal_of(hosts[2]), None)
        self.assertEqual(guard.refused, MAX_REFUSALS + 2)

    def test_longest_host(self) -> None:
        host = "a" * MAX_HOST + "b"
        guard = GuardedResolver(FakeResolver(**{host: ["10.0.0.1"]}))
        self.resolve(guard, host)
        assert guard.last_refusal is not None
        self.assertEqual(guard.last_refusal.host, "a" * MAX_HOST)
        self.assertIs(guard.refusal_of(host), guard.last_refusal)

    def test_a_refusal_is_logged(self) -> None:
        guard = GuardedResolver(FakeResolver(a=["10.0.0.1", "::1"], b=[PUBLIC]))
        with capturedLogs() as events:
            self.resolve(guard, "a")
            self.resolve(guard, "b")
        [event] = events
        self.assertEqual(event["log_level"].name, "info")
        self.assertEqual(
            (event["host"], event["addresses"], event["left"]), ("a", "10.0.0.1, ::1", 0)
        )


@implementer(IReactorPluggableNameResolver)
class FakeReactor(MemoryReactorClock):
    def __init__(self, **names: Sequence[IAddress | str]) -> None:
        super().__init__()
        self.fake = FakeResolver(**names)
        self.nameResolver: IHostnameResolver = self.fake

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        raise NotImplementedError


class GuardedReactorTests(SynchronousTestCase):
    def connect(self, endpoint: IStreamClientEndpoint) -> Deferred[IProtocol]:
        return endpoint.connect(Factory.forProtocol(Protocol))

    def test_interfaces(self) -> None:
        view = guarded_reactor(FakeReactor())
        verifyObject(IReactorPluggableNameResolver, view)
        for interface in (IReactorTCP, IReactorTime):
            self.assertTrue(interface.providedBy(view))

    def test_all_else_is_the_reactors_own(self) -> None:
        reactor = FakeReactor()
        called: list[int] = []
        guarded_reactor(reactor).callLater(1, called.append, 1)
        reactor.advance(1)
        self.assertEqual(called, [1])
        with self.assertRaises(AttributeError):
            _ = guarded_reactor(reactor).nothing

    def test_endpoint_connects_to_what_was_looked_at(self) -> None:
        reactor = FakeReactor(a=["127.0.0.1", PUBLIC])
        view = guarded_reactor(reactor)
        self.connect(HostnameEndpoint(view, "a", 80))
        reactor.advance(1)
        self.assertEqual([client[:2] for client in reactor.tcpClients], [(PUBLIC, 80)])
        self.assertEqual(len(reactor.fake.asked), 1)

    def test_endpoint_without_addresses(self) -> None:
        reactor = FakeReactor(a=["127.0.0.1"])
        view = guarded_reactor(reactor)
        for host in ("a", "127.0.0.1", "127.1"):
            self.failureResultOf(self.connect(HostnameEndpoint(view, host, 80)), DNSLookupError)
            self.assertIsNot(view.nameResolver.refusal_of(host), None)
        self.failureResultOf(self.connect(HostnameEndpoint(view, "b", 80)), DNSLookupError)
        self.assertIs(view.nameResolver.refusal_of("b"), None)
        self.assertEqual(reactor.tcpClients, [])

    def test_connecting_to_an_address(self) -> None:
        reactor = FakeReactor()
        view = guarded_reactor(reactor, exceptions=[ip_address("10.0.0.1")])
        for host in (PUBLIC, PUBLIC6, "10.0.0.1"):
            view.connectTCP(host, 80, ClientFactory(), timeout=7)
        view.connectSSL("10.0.0.1", 443, ClientFactory(), None)
        self.assertEqual([client[:2] for client in reactor.sslClients], [("10.0.0.1", 443)])
        self.assertEqual(
            [(host, timeout) for host, _, _, timeout, _ in reactor.tcpClients],
            [(PUBLIC, 7), (PUBLIC6, 7), ("10.0.0.1", 7)],
        )

    def test_connecting_to_what_is_not_allowed_or_not_clear(self) -> None:
        reactor = FakeReactor(a=[PUBLIC])
        view = guarded_reactor(reactor)
        for host in ("127.0.0.1", "::1", "::ffff:10.0.0.1", "a", "134744072", "8.8.8.8 x", ""):
            with self.assertRaises(AddressRefusedError) as caught:
                view.connectTCP(host, 80, ClientFactory())
            with self.assertRaises(AddressRefusedError):
                view.connectSSL(host, 443, ClientFactory(), None)
            self.assertIn(f"connecting to {host} is not allowed", str(caught.exception))
        self.failureResultOf(
            self.connect(TCP4ClientEndpoint(view, "127.0.0.1", 80)), AddressRefusedError
        )
        self.assertEqual(reactor.tcpClients + reactor.sslClients, [])

    def test_policy(self) -> None:
        view = guarded_reactor(FakeReactor(), policy=lambda address: address.version == 6)
        self.assertTrue(view.nameResolver.allows(ip_address("::1")))
        self.assertFalse(view.nameResolver.allows(ip_address(PUBLIC)))

    def test_another_resolver_is_guarded_too(self) -> None:
        reactor = FakeReactor(a=[PUBLIC])
        view = guarded_reactor(reactor, exceptions=[ip_address("10.0.0.9")])
        before = view.nameResolver
        self.assertIs(view.installNameResolver(FakeResolver(a=["10.0.0.1", "10.0.0.9"])), before)
        receiver = Receiver()
        view.nameResolver.resolveHostName(receiver, "a", 80)
        self.assertEqual(receiver.found, [tcp("10.0.0.9")])
        self.assertEqual(reactor.fake.asked, [])
