"""Reactors of a test's own: made, run until a scenario is over, and disposed of.

A scenario is a coroutine function whose first argument is a :class:`World`::

    @on_both
    async def test_something(world: World) -> None: ...

It runs on Twisted's epoll reactor and on ours, which are to behave alike. When it is over no
descriptor is left, no delayed call, and no logged error that the scenario has not
asked for (:meth:`World.logged`).
"""

import asyncio
import errno
import gc
import inspect
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest
from twisted.internet import process
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, globalLogBeginner, globalLogPublisher
from twisted.python import log
from twisted.python.failure import Failure

from netsuite.net.reactor import NAME, UVReactor
from twisted import internet

#: The longest that a scenario may take on a slow machine, in seconds.
PATIENCE = 60.0
#: What the log says of lines in nobody's turn.
_NOBODYS = {"system": "-", "isError": 0}

REACTORS: dict[str, type[EPollReactor]] = {"epoll": EPollReactor, NAME: UVReactor}

#: The signals that reactors take.
HANDLED = (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM)


class Recorder(Protocol):
    """Keeps what it hears; a test gives it what to do on top, by the name of a method."""

    def __init__(self, **doing: Callable[..., object]) -> None:
        self.doing = doing
        self.heard: list[str] = []
        self.received = bytearray()
        self.reasons: list[Failure] = []

    def _hear(self, name: str, *arguments: object) -> None:
        self.heard.append(name)
        if name in self.doing:
            self.doing[name](self, *arguments)

    def connectionMade(self) -> None:
        self._hear("connectionMade")

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self._hear("dataReceived", data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.reasons.append(reason)
        self._hear("connectionLost")

    @property
    def lost(self) -> list[type[BaseException] | None]:
        """Why it was lost, as often as it was told."""
        return [each.type for each in self.reasons]

    @property
    def wire(self) -> Any:
        """Its transport."""
        return self.transport


class Building(ClientFactory):
    """Builds what it is told to."""

    noisy = False

    def __init__(self, build: Callable[[], Any]) -> None:
        self._build = build

    def buildProtocol(self, addr: Any) -> Any:
        return self._build()


class Plain:
    """The other end of a connection, as a socket that does only what it is told."""

    def __init__(self, world: "World", sock: socket.socket) -> None:
        self._world = world
        self.socket = sock
        self.received = bytearray()
        self.ended = False
        self.error: str | None = None
        sock.setblocking(False)

    def take(self, most: int = 2**20) -> bool:
        """Read once; whether there was anything."""
        try:
            data = self.socket.recv(most)
        except BlockingIOError:
            return False
        except OSError as error:
            self.ended, self.error = True, errno.errorcode[error.errno or 0]
            return True
        self.received += data
        self.ended = not data
        return True

    def has(self, count: int = 1) -> bool:
        """Whether so much is there."""
        self.take()
        return len(self.received) >= count

    async def read(self, count: int) -> bytes:
        """Read until there is so much, and take that much."""
        while len(self.received) < count:
            assert not self.ended, f"{len(self.received)} of {count} bytes, {self.error}"
            if not self.take():
                await self._world.pause()
        data = bytes(self.received[:count])
        del self.received[:count]
        return data

    async def end(self) -> str | None:
        """Read until it ends; the name of the error that ends it."""
        while not self.ended:
            if not self.take():
                await self._world.pause()
        return self.error

    async def send(self, data: bytes) -> None:
        """Send all of it."""
        left = memoryview(data)
        while left:
            try:
                left = left[self.socket.send(left) :]
            except BlockingIOError:
                await self._world.pause()

    async def fill(self) -> int:
        """Send until nothing more is taken for a while; how much that was."""
        sent = quiet = 0
        while quiet < 20:
            try:
                sent += self.socket.send(bytes(65_536))
                quiet = 0
            except BlockingIOError:
                quiet += 1
                await self._world.pause()
        return sent

    def reset(self) -> None:
        """Close with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()


class World:
    """A reactor, what happens on it, and what is left to clean up."""

    #: For ``reactor.run``.
    signals = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.reactor: Any = REACTORS[name]()
        self.errors: list[tuple[type[BaseException] | None, str]] = []
        #: System and text of each.
        self.lines: list[tuple[str, str | None]] = []
        self._closing: list[Callable[[], object]] = []
        self._left_open: list[Callable[[], object]] = []
        self._failure: BaseException | None = None
        self._over = False
        self._waiting_for = ""

    @property
    def native(self) -> bool:
        """Whether it is ours."""
        return isinstance(self.reactor, UVReactor)

    # Running.

    def run(self, scenario: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run until the scenario is over, however it ends."""
        reactor = self.reactor
        ended: list[Failure] = []

        def start() -> None:
            deferred = Deferred.fromCoroutine(scenario())
            deferred.addErrback(ended.append)
            deferred.addBoth(lambda _: self._finish())

        def late() -> None:
            self._failure = AssertionError(f"waiting for {self._waiting_for or 'the end'}")
            self._over = True
            reactor.stop()

        patience = reactor.callLater(PATIENCE, late)
        reactor.callWhenRunning(start)
        reactor.run(installSignalHandlers=self.signals)
        if patience.active():
            patience.cancel()
        if ended:
            raise ended[0].value or AssertionError(ended[0])
        if self._failure is not None:
            raise self._failure
        assert self._over, "something has stopped the reactor"

    def _finish(self) -> None:
        """Close what is open, and stop when it is."""
        self._over = True
        self.reactor.callLater(0, self._stop)

    def _stop(self) -> None:
        while self._closing:
            self._closing.pop()()
        # Another turn for what that leads to.
        self.reactor.callLater(0, self._stop_now)

    def _stop_now(self) -> None:
        if self.reactor.running:
            self.reactor.stop()

    def closing(self, close: Callable[[], object]) -> None:
        """Call this when the scenario is over."""
        self._closing.append(close)

    def leave_open(self) -> None:
        """Close nothing: the end of the reactor is what this is about."""
        self._left_open, self._closing = self._closing, []

    def dispose(self) -> None:
        """Give back what the reactor has."""
        reactor = self.reactor
        for close in self._left_open:
            close()
        reactor.disconnectAll()
        for call in reactor.getDelayedCalls():
            call.cancel()
        if self.native:
            reactor.dispose()
            usual = getattr(sys.modules.get("twisted.internet.reactor"), "loop", None)
            asyncio.set_event_loop(None if usual is reactor.loop else usual)
        else:
            for each in reactor._internalReaders:
                each.connectionLost(None)
            reactor._poller.close()

    # Waiting.

    def pause(self, seconds: float = 0.001) -> Deferred[None]:
        """Let others have a turn."""
        return deferLater(self.reactor, seconds, lambda: None)

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until it is so; the patience of :meth:`run` is the limit."""
        code = getattr(condition, "__code__", None)
        self._waiting_for = what or str(code or condition)
        while not condition():
            await self.pause()
        self._waiting_for = ""

    async def turns(self, count: int = 20) -> None:
        """Let the reactor do what is due."""
        for _ in range(count):
            await self.pause(0)

    # Connections.

    async def listen(self, build: Callable[[], Any], interface: str = "127.0.0.1") -> Any:
        """Listen; ``build`` makes the protocols."""
        port = self.reactor.listenTCP(0, Building(build), interface=interface)
        self.closing(port.stopListening)
        return port

    async def serve(self, protocol: Any, receive_buffer: int = 0) -> Plain:
        """A plain socket that is connected to a protocol of ours."""
        port = await self.listen(lambda: protocol)
        return await self.connect(port, protocol, receive_buffer)

    async def connect(self, port: Any, protocol: Any, receive_buffer: int = 0) -> Plain:
        """A plain socket that is connected to a port, which then closes."""
        peer = socket.socket()
        if receive_buffer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        peer.setblocking(False)
        peer.connect_ex(("127.0.0.1", port.getHost().port))
        self.closing(peer.close)
        await self.until(lambda: protocol.transport is not None, "the connection")
        self.closing(partial(aborted, protocol))
        await stopped(port)
        return Plain(self, peer)

    async def dial(self, protocol: Any, **options: Any) -> Plain:
        """A plain socket to which a protocol of ours has connected."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            address = listener.getsockname()
            self.reactor.connectTCP(*address, Building(lambda: protocol), **options)
            await self.until(lambda: protocol.transport is not None, "the connection")
            peer, _ = listener.accept()
        self.closing(peer.close)
        self.closing(partial(aborted, protocol))
        return Plain(self, peer)

    async def pair(self, server: Any, client: Any) -> None:
        """Two protocols of ours, one connected to the other."""
        port = await self.listen(lambda: server)
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", port.getHost().port)
        await endpoint.connect(Building(lambda: client))
        await self.until(lambda: server.transport is not None, "the connection")
        for each in (server, client):
            self.closing(partial(aborted, each))
        await stopped(port)

    # The log.

    def logged(self, *kinds: type[BaseException]) -> None:
        """Assert that these errors have been logged, and no others, since the last time."""
        gc.collect()
        errors, self.errors = self.errors, []
        found = [kind for kind, _ in errors]
        assert found == list(kinds), errors

    def observe(self, event: LogEvent) -> None:
        """What has been logged."""
        self.lines.append((event.get("log_system", "-"), event.get("log_text")))
        failure = event.get("log_failure") or event.get("failure")
        if failure is not None:
            self.errors.append((failure.type, failure.getTraceback()))


def aborted(protocol: Any) -> None:
    """Close a connection, if it is not closed yet."""
    if protocol.transport is not None and not protocol.lost:
        protocol.transport.abortConnection()


async def stopped(port: Any) -> None:
    """Stop listening."""
    await port.stopListening()


def descriptors() -> dict[int, str]:
    """What this process has open, but for the one that Twisted holds in reserve."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the listing's own
            found[int(entry.name)] = str(entry.readlink())
    return {number: what for number, what in found.items() if what != os.devnull}


@cache
def warm_up() -> None:
    """Have libuv open what it has once in a process, and the log keep nothing alive."""
    World(NAME).dispose()
    globalLogBeginner.beginLoggingTo([], discardBuffer=True, redirectStandardIO=False)


def play(
    name: str, scenario: Callable[[World], Coroutine[Any, Any, object]], **options: Any
) -> None:
    """Run a scenario on a reactor of its own, and see that nothing is left."""
    warm_up()
    gc.collect()
    before = descriptors()
    handlers = {each: signal.getsignal(each) for each in HANDLED}
    world = World(name)
    for option, value in options.items():
        setattr(world, option, value)
    missing = object()
    modules: dict[str, Any] = sys.modules
    usual = modules.get("twisted.internet.reactor", missing)
    attribute = getattr(internet, "reactor", missing)
    # Twisted's TLS asks for the reactor of the process.
    modules["twisted.internet.reactor"] = world.reactor
    internet.reactor = world.reactor  # so does an import of it
    observer: Any = world.observe
    globalLogPublisher.addObserver(observer)
    try:
        # A test before it may have ended, by pytest-twisted, in the turn of one of its connections.
        log.callWithContext(dict(_NOBODYS), world.run, lambda: scenario(world))
        left = [each for each in world.reactor.getDelayedCalls() if each.active()]
        assert not left, left
        assert not getattr(world.reactor, "connections", None), "connections are kept"
        gc.collect()
        world.logged()
    finally:
        globalLogPublisher.removeObserver(observer)
        for each, handler in handlers.items():
            signal.signal(each, handler)
        for holder, key, value in (
            (modules, "twisted.internet.reactor", usual),
            (vars(internet), "reactor", attribute),
        ):
            if value is missing:
                holder.pop(key, None)
            else:
                holder[key] = value
        world.dispose()
    gc.collect()
    open_still = {n: what for n, what in descriptors().items() if before.get(n) != what}
    assert not open_still, open_still
    assert not process.reapProcessHandlers


def on(*names: str, **options: Any) -> Callable[[Callable[..., Coroutine[Any, Any, object]]], Any]:
    """Make a test of a scenario, for each of these reactors."""

    def decorate(scenario: Callable[..., Coroutine[Any, Any, object]]) -> Any:
        @pytest.mark.parametrize("reactor_name", names)
        def test(reactor_name: str, **arguments: Any) -> None:
            play(reactor_name, lambda world: scenario(world, **arguments), **options)

        own = list(inspect.signature(scenario).parameters.values())[1:]
        kind = inspect.Parameter.KEYWORD_ONLY
        name = inspect.Parameter("reactor_name", kind)
        test.__signature__ = inspect.Signature([name, *(p.replace(kind=kind) for p in own)])
        test.__name__ = scenario.__name__
        test.__doc__ = scenario.__doc__
        test.__module__ = scenario.__module__
        return test

    return decorate


on_both = on(*REACTORS)
on_ours = on(NAME)
