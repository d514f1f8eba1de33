"""One endpoint and its factory, from listening to the last byte."""

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import (
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IReactorTime,
    IReadDescriptor,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from netsuite.net import Drainable
from netsuite.net.endpoints import listening_ports, stop_port
from netsuite.service._connections import TrackingFactory

_ACCEPT_TURNS = 16


class DrainingService(Service):
    """Serves a factory on an endpoint; stopping it finishes what was begun.

    ``stopService`` takes the connections that are already made but not yet accepted, stops
    listening, asks each protocol that provides :class:`~netsuite.net.Drainable` to finish,
    waits for the others to close, aborts what is left after ``drain_timeout``, and returns
    a Deferred that fires when nothing is left.

    :param endpoint: where to listen.
    :param factory: what to serve; it may refuse a peer by building None.
    :param clock: usually the reactor.
    :param drain_timeout: seconds, 0 to abort at once.
    """

    _log = Logger()

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        factory: IProtocolFactory,
        clock: IReactorTime,
        drain_timeout: float = 10.0,
    ) -> None:
        self._endpoint = endpoint
        self._factory = TrackingFactory(factory, self._finish_if_empty)
        self._clock = clock
        self._drain_timeout = drain_timeout
        self._listening: Deferred[Any] | None = None
        self._deadline: IDelayedCall | None = None
        self._waiters: list[Deferred[None]] = []
        self._port_closed = False
        #: What it listens on, once it does.
        self.port: IListeningPort | None = None
        #: Connections that were cut by :meth:`abort` since the service was made.
        self.aborted = 0

    @property
    def active(self) -> int:
        """Connections open now."""
        return len(self._factory.connections)

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

        self._factory.refusing = False
        self._listening = self._listen().addCallbacks(self._listens, failed)
        starting = False
        if at_once:
            self._listening = None
            at_once[0].raiseException()

    def _listen(self) -> Deferred[Any]:
        factory: Any = self._factory  # provides what the wrapped one does
        return maybeDeferred(self._endpoint.listen, factory)

    def _listens(self, port: IListeningPort) -> IListeningPort:
        self.port = port
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
            self._factory.refusing = True
            self._stop_listening().addBoth(self._listening_stopped)
            self._drain_connections()
        return waiter

    def abort(self) -> None:
        """Cut every connection that is open; what was not sent is lost."""
        connections = list(self._factory.connections)
        self.aborted += len(connections)
        for connection in connections:
            connection.abort()

    def _accept_pending(self) -> None:
        """Take connections that the kernel has made for us: closing would reset them."""
        if self.port is None:
            return
        for port in listening_ports(self.port):
            if not IReadDescriptor.providedBy(port):
                continue
            for _ in range(_ACCEPT_TURNS):
                before = self.active
                port.doRead()
                if self.active <= before:
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
        connections = list(self._factory.connections)
        if not connections:
            return
        self._log.info(
            "draining: {count} open, up to {seconds:g} s",
            count=len(connections),
            seconds=self._drain_timeout,
        )
        self._deadline = self._clock.callLater(self._drain_timeout, self._time_is_up)
        for connection in connections:
            if isinstance(connection.protocol, Drainable):
                try:
                    connection.protocol.drain(self._clock, self._drain_timeout)
                except Exception:  # noqa: BLE001 - one protocol's bug must not stop the others
                    self._log.failure("drain failed")
                    connection.abort()

    def _time_is_up(self) -> None:
        self._deadline = None
        self._log.warn(
            "aborted: {count} still busy after {seconds:g} s",
            count=self.active,
            seconds=self._drain_timeout,
        )
        self.abort()

    def _finish_if_empty(self) -> None:
        if not (self._waiters and self._port_closed) or self._factory.connections:
            return
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._port_closed = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)
