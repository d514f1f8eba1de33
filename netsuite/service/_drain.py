"""One endpoint and its factory, from listening to the last byte."""

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IReactorTime,
    IReadDescriptor,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from netsuite.ip import IPSet
from netsuite.net import Drainable
from netsuite.net.endpoints import (
    LayeredServerEndpoint,
    ServerReactor,
    leave_to_others,
    listening_ports,
    stop_port,
)
from netsuite.net.metered import meter
from netsuite.net.tls import TLSFactory
from netsuite.service._admission import Admission, Refusal
from netsuite.service._connections import Connection, Gate, Observer

_ACCEPT_TURNS = 16


class DrainingService(Service):
    """Serves a factory on an endpoint; stopping it finishes what was begun.

    ``stopService`` takes the connections that are already made but not yet accepted, stops
    listening, asks each protocol that provides :class:`~netsuite.net.Drainable` to finish,
    waits for the others to close, aborts what is left after ``drain_timeout``, and returns
    a Deferred that fires when nothing is left.

    Its connections count their bytes (:mod:`netsuite.net.metered`) where they come from a
    socket; protocols stay as they are.

    :param endpoint: where to listen. The PROXY protocol and TLS of one that
        :func:`netsuite.net.endpoints.server_endpoint` made come before and after admission.
    :param factory: what to serve; it may refuse a peer by building None.
    :param clock: usually the reactor.
    :param drain_timeout: seconds, 0 to abort at once.
    :param admission: says who may come in.
    :param observers: hear of each connection, in this order.
    :param certificates: TLS for an endpoint that has none of its own.
    :param proxies: likewise for the PROXY protocol: who must speak it.
    :param proxy_timeout: seconds that they have.
    """

    _log = Logger()

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        factory: IProtocolFactory,
        clock: IReactorTime,
        drain_timeout: float = 10.0,
        *,
        admission: Admission | None = None,
        observers: tuple[Observer, ...] = (),
        certificates: Any = None,
        proxies: IPSet | None = None,
        proxy_timeout: float = 5.0,
    ) -> None:
        self._has_own_proxies = False
        server_reactor: ServerReactor | None = None
        if isinstance(endpoint, LayeredServerEndpoint):
            certificates = endpoint.certificates or certificates
            if endpoint.proxies is not None:
                self._has_own_proxies = True
                proxies, proxy_timeout = endpoint.proxies, endpoint.proxy_timeout
            server_reactor = endpoint.reactor
            endpoint = endpoint.plain
        if certificates is not None:
            factory = TLSFactory(certificates, False, factory, clock)
        #: What listens for the endpoint; None for one that is not ours.
        self.server_reactor = server_reactor
        self._endpoint = endpoint
        #: What stands before the factory.
        self.gate = Gate(
            factory,
            clock,
            admission=admission,
            observers=(*observers, self),
            proxies=proxies,
            proxy_timeout=proxy_timeout,
        )
        self._clock = clock
        #: Seconds that connections have to finish.
        self.drain_timeout = drain_timeout
        self._listening: Deferred[Any] | None = None
        self._deadline: IDelayedCall | None = None
        self._waiters: list[Deferred[None]] = []
        self._port_closed = False
        #: Whether it leaves its connections to others who have the same socket.
        self.idle = False
        #: What it listens on, once it does.
        self.port: IListeningPort | None = None
        #: Connections that were cut by :meth:`abort` since the service was made.
        self.aborted = 0

    @property
    def active(self) -> int:
        """Connections open now."""
        return len(self.gate.connections)

    def privilegedStartService(self) -> None:
        """Listen, before privileges are given up.

        :raises Exception: what the endpoint failed with, if it failed at once.
        """
        super().privilegedStartService()
        at_once: list[Failure] = []
        starting = True

        def failed(failure: Failure) -> None:
            if starting:
                at_once.append(failure)
            elif not failure.check(CancelledError):
                self._log.failure("cannot listen", failure=failure)

        self.gate.refusing = False
        self._listening = self._listen().addCallbacks(self._listens, failed)
        starting = False
        if at_once:
            self._listening = None
            at_once[0].raiseException()

    def _listen(self) -> Deferred[Any]:
        factory: Any = self.gate  # provides what the wrapped one does
        return maybeDeferred(self._endpoint.listen, factory)

    def _listens(self, port: IListeningPort) -> IListeningPort:
        self.port = port
        if self.idle:
            leave_to_others(port)
        else:
            meter(port)
        return port

    def startService(self) -> None:
        """Listen, unless :meth:`privilegedStartService` did."""
        super().startService()
        if self._listening is None:
            self.privilegedStartService()

    def stopService(self) -> Deferred[None]:
        """Drain; see the class. Fires when the port is closed and no connection is left."""
        super().stopService()
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        if len(self._waiters) == 1:
            self._accept_pending()
            self.gate.refusing = True
            self._stop_listening().addBoth(self._listening_stopped)
            self._drain_connections()
        return waiter

    def change_proxies(self, proxies: IPSet | None, timeout: float) -> None:
        """Have others speak the PROXY protocol from now on, unless the endpoint says who."""
        if not self._has_own_proxies:
            self.gate.proxies, self.gate.proxy_timeout = proxies, timeout

    def abort(self) -> None:
        """Cut every connection that is open; what was not sent is lost."""
        connections = list(self.gate.connections)
        self.aborted += len(connections)
        for connection in connections:
            connection.cut("drain")

    # As an observer of its own gate.

    def opened(self, connection: Connection) -> None:
        """One that comes in while the others finish, from behind a proxy, finishes too."""
        if self.gate.refusing:
            self._clock.callLater(0, self._drain_one, connection)

    def closed(self, connection: Connection, reason: Failure) -> None:
        """Maybe it was the last one."""
        self._finish_if_empty()

    def refused(self, peer: IAddress, refusal: Refusal) -> None:
        """Nothing to do with us."""

    def _accept_pending(self) -> None:
        """Take connections that the kernel has made for us: closing would reset them."""
        if self.port is None or self.idle:
            return
        for port in listening_ports(self.port):
            if not IReadDescriptor.providedBy(port):
                continue
            for _ in range(_ACCEPT_TURNS):
                before = self.gate.asked
                port.doRead()
                if self.gate.asked == before:
                    break

    def _stop_listening(self) -> Deferred[None]:
        listening, self._listening = self._listening, None
        port, self.port = self.port, None
        if port is not None:
            return stop_port(port)
        if listening is None:
            return succeed(None)
        listening.cancel()
        return listening.addCallback(lambda late: None if late is None else stop_port(late))

    def _listening_stopped(self, result: object) -> None:
        if isinstance(result, Failure):
            self._log.failure("cannot stop listening", failure=result)
        self._port_closed = True
        self._finish_if_empty()

    def _drain_connections(self) -> None:
        connections = list(self.gate.connections)
        if not connections:
            return
        self._log.info(
            "draining: {count} open, up to {seconds:g} s",
            count=len(connections),
            seconds=self.drain_timeout,
        )
        self._deadline = self._clock.callLater(self.drain_timeout, self._time_is_up)
        for connection in connections:
            self._drain_one(connection)

    def _drain_one(self, connection: Connection) -> None:
        protocol = connection.application
        if connection in self.gate.connections and isinstance(protocol, Drainable):
            try:
                protocol.drain(self._clock, self.drain_timeout)
            except Exception:  # noqa: BLE001 - one protocol's bug must not stop the others
                self._log.failure("drain failed")
                connection.cut("drain")

    def _time_is_up(self) -> None:
        self._deadline = None
        self._log.warn(
            "aborted: {count} still busy after {seconds:g} s",
            count=self.active,
            seconds=self.drain_timeout,
        )
        self.abort()

    def _finish_if_empty(self) -> None:
        if not (self._waiters and self._port_closed) or self.gate.connections:
            return
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._port_closed = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)
