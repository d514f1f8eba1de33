"""The reactor: uvloop's loop under Twisted's timers, threads, signals and descriptors."""

import asyncio
import math
import os
import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

from twisted.internet import main, process
from twisted.internet._signals import _MultiSignalHandling
from twisted.internet.base import DelayedCall, ReactorBase
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IConnector, IListeningPort, IReadDescriptor
from twisted.logger import Logger, LogLevel
from twisted.python import context
from twisted.python.failure import Failure
from twisted.python.log import ILogContext
from zope.interface import implementer

from netsuite.net.reactor._connection import Connection
from netsuite.net.reactor._errors import ReactorUnavailable
from netsuite.net.reactor._tcp import Connector, Port, Server

#: Cancelled calls that Twisted does not sweep out yet.
_MANY = 50

_logged = Logger().failuresHandled("while handling timed call")

#: Of an asyncio loop's timer, in seconds.
_RESOLUTION = 0.001


class UVReactor(EPollReactor):
    """A reactor on uvloop.

    TCP connections, listening or connecting, are uvloop's transports once they are made.
    Everything else that has a descriptor (UDP, UNIX sockets, pipes of processes, descriptors
    of the program's own) is watched by an epoll instance of Twisted's, which is in turn one
    descriptor of the loop.

    :param loop: a loop of uvloop; by default a new one. It becomes the current loop of the
        thread, as asyncio has it.
    :raises ReactorUnavailable: without uvloop.
    :ivar loop: the loop, for asyncio code.
    """

    #: Where its ``install`` is: programs ask a reactor's class.
    __module__ = "netsuite.net.reactor"
    _log = Logger()

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = _new_loop() if loop is None else loop
        asyncio.set_event_loop(self.loop)
        #: The connection whose protocol is being called, for the log.
        self.speaker: Connection | None = None
        self.connections: set[Connection] = set()
        self._parked: dict[int, Connection] = {}
        self._parking = select.epoll()
        #: What is to be called without delay, in the order of asking.
        self._at_once: list[DelayedCall] = []
        self._wake_at = math.inf
        self._wake: asyncio.Handle | None = None
        super().__init__()
        if loop is None:
            self.loop.set_exception_handler(self._loop_error)
        self.loop.add_reader(self._poller.fileno(), self._descriptors_ready)
        self.loop.add_reader(self._parking.fileno(), self._parked_ready)

    def dispose(self) -> None:
        """Give back the loop and the descriptors of a reactor that will not run again."""
        if self.loop.is_closed():
            return
        self.loop.remove_reader(self._poller.fileno())
        self.loop.remove_reader(self._parking.fileno())
        self.loop.close()
        self._parking.close()
        for each in self._internalReaders:
            each.connectionLost(Failure(main.CONNECTION_DONE))
        self._poller.close()

    # Running.

    def startRunning(self, installSignalHandlers: bool = True) -> None:
        """Begin to run; see :meth:`run`.

        :raises RuntimeError: within a running asyncio loop, where another cannot run.
        """
        fresh = not self._started and not self._startedBefore
        if fresh and asyncio._get_running_loop() is not None:
            raise RuntimeError("run() within a running asyncio loop: expected none to run")
        super().startRunning(installSignalHandlers)

    def mainLoop(self) -> None:
        """Run until the reactor is stopped."""
        context.call({ILogContext: _LogContext(self)}, self._main_loop)

    def _main_loop(self) -> None:
        self._turn_soon()  # for what startup has left to do
        while self._started:
            with self._log.failuresHandled("in the main loop"):
                self.loop.run_forever()
        self._log.info("Main loop terminated.")

    def iterate(self, delay: float = 0.0) -> None:
        """Do what is due, and what comes within a delay.

        :param delay: seconds to wait for something to happen.
        :raises RuntimeError: within a call of :meth:`run`, which uvloop does not allow.
        """
        self._run_once()
        if delay > 0:
            due = self.timeout()
            wait = delay if due is None else min(delay, due)
            # The descriptor of libuv's own epoll instance.
            watch = select.poll()
            watch.register(self.loop._get_backend_id(), select.POLLIN)  # type: ignore[attr-defined]  # uvloop's
            watch.poll(math.ceil(wait * 1000))
            self._run_once()

    doIteration = iterate

    def _run_once(self) -> None:
        if self.loop.is_running():
            raise RuntimeError("iterate() within run(): uvloop cannot; return, and be called later")
        self.runUntilCurrent()
        self._arm()
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def stop(self) -> None:
        """End :meth:`run`, in order."""
        super().stop()
        self._turn_soon()

    def crash(self) -> None:
        """End :meth:`run` at once."""
        super().crash()
        if self.loop.is_running():
            self.loop.stop()

    def _descriptors_ready(self) -> None:
        self.doPoll(0)

    def _loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What nobody has caught in asyncio's part of the program."""
        failure = context.get("exception")
        self._log.emit(
            LogLevel.critical,
            "{message}",
            message=context.get("message") or "unhandled error in the asyncio loop",
            log_failure=None if failure is None else Failure(failure),
        )

    # Time.

    def callLater(
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002 - Twisted's interface
        *args: object,
        **kw: object,
    ) -> Any:
        """Call later; see :class:`~twisted.internet.interfaces.IReactorTime`."""
        # What a call from another thread asks for is Twisted's to order beside further ones.
        if delay == 0 and not self.threadCallQueue and not DelayedCall.debug:
            call = DelayedCall(
                self.seconds(),
                callable,
                args,
                kw,
                self._cancelCallLater,
                self._moveCallLaterSooner,
                self.seconds,
            )
            self._at_once.append(call)
        else:
            call = super().callLater(delay, callable, *args, **kw)
        if call.time < self._wake_at:
            self._wake_for(call.time)
        return call

    def getDelayedCalls(self) -> list[Any]:
        """What is still to be called."""
        return [*super().getDelayedCalls(), *(each for each in self._at_once if not each.cancelled)]

    def timeout(self) -> float | None:
        """Seconds until there is something to call; None without end."""
        return 0 if self._at_once else super().timeout()

    def runUntilCurrent(self) -> None:
        """Call what is due."""
        calls = self._at_once
        if calls:
            self._at_once = []
            self._insertNewDelayedCalls()
            due = self._pendingTimedCalls
            if self.threadCallQueue or (due and due[0].time <= calls[0].time):
                self._newTimedCalls.extend(calls)  # others come before them
            else:
                self._call(calls)
                if not self._justStopped and self._cancellations <= _MANY:
                    return  # what these have asked for is for the next turn
        super().runUntilCurrent()

    def _call(self, calls: list[DelayedCall]) -> None:
        """Call, in this order; Twisted's heap is for those that have to wait."""
        for call in calls:
            if call.cancelled:
                self._cancellations -= 1
            elif call.delayed_time > 0:
                self._newTimedCalls.append(call)
            else:
                with _logged:
                    call.called = 1
                    call.func(*call.args, **call.kw)

    def _moveCallLaterSooner(self, delayedCall: Any) -> None:
        super()._moveCallLaterSooner(delayedCall)
        if delayedCall.time < self._wake_at:
            self._wake_for(delayedCall.time)

    def _wake_for(self, time: float) -> None:
        if self._wake is not None:
            self._wake.cancel()
        self._wake_at = time
        wait = time - self.seconds()
        if wait <= 0:
            self._wake = self.loop.call_soon(self._turn)
        else:
            # Not a moment too early: there would be nothing to do yet.
            rounded = math.ceil(wait / _RESOLUTION) * _RESOLUTION
            self._wake = self.loop.call_later(rounded, self._turn)

    def _turn_soon(self) -> None:
        self._wake_for(-math.inf)

    def _turn(self) -> None:
        """Call what is due."""
        self._wake = None
        self._wake_at = -math.inf  # nothing that is called needs to set the timer
        try:
            self.runUntilCurrent()
        finally:
            self._arm()

    def _arm(self) -> None:
        self._wake_at = math.inf
        if self.threadCallQueue or self._justStopped:
            self._turn_soon()
            return
        wait = self.timeout()
        if wait is not None:
            self._wake_for(self.seconds() + wait)

    # Threads and signals.

    def wakeUp(self) -> None:
        """Have a call from another thread, or from a signal's handler, noticed."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self._turn)

    def _signalsFactory(self) -> Any:
        return _MultiSignalHandling((ReactorBase._signalsFactory(self), _ChildSignals(self)))

    def spawnProcess(self, *arguments: Any, **options: Any) -> Any:
        """Start a process; see :class:`~twisted.internet.interfaces.IReactorProcess`."""
        spawned: Any = super().spawnProcess(*arguments, **options)
        if hasattr(os, "pidfd_open") and spawned.pid is not None:
            with suppress(OSError):  # an old kernel, or it is over already: there is SIGCHLD
                _ChildWatch(self, spawned)
        return spawned

    # TCP.

    def listenTCP(
        self, port: Any, factory: Any, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """Listen; see :class:`~twisted.internet.interfaces.IReactorTCP`."""
        listening = Port(port, factory, backlog, interface, self)
        listening.startListening()
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float = 30.0,
        bindAddress: Any = None,
    ) -> IConnector:
        """Connect; see :class:`~twisted.internet.interfaces.IReactorTCP`."""
        connector = Connector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def adoptStreamPort(
        self, fileDescriptor: int, addressFamily: int, factory: Any
    ) -> IListeningPort:
        """Listen on a socket; see :class:`~twisted.internet.interfaces.IReactorSocket`."""
        if addressFamily not in (socket.AF_INET, socket.AF_INET6):
            port: IListeningPort = super().adoptStreamPort(fileDescriptor, addressFamily, factory)
            return port
        adopted: Any = Port._fromListeningDescriptor
        listening: IListeningPort = adopted(self, fileDescriptor, addressFamily, factory)
        listening.startListening()
        return listening

    def adoptStreamConnection(self, fileDescriptor: int, addressFamily: int, factory: Any) -> Any:
        """Take a connection; see :class:`~twisted.internet.interfaces.IReactorSocket`."""
        if addressFamily not in (socket.AF_INET, socket.AF_INET6):
            return super().adoptStreamConnection(fileDescriptor, addressFamily, factory)
        return Server.adopt(fileDescriptor, addressFamily, factory, self)

    def park(self, connection: Connection, descriptor: int) -> None:
        """Watch for the first that happens on a new connection, before uvloop does."""
        self.connections.add(connection)
        self._parked[descriptor] = connection
        self._parking.register(descriptor, select.EPOLLIN | select.EPOLLONESHOT)

    def unpark(self, descriptor: int) -> None:
        """Watch it no more; it is left to the kernel to take it out when it is closed."""
        self._parked.pop(descriptor, None)

    def _parked_ready(self) -> None:
        for descriptor, _ in self._parking.poll(0):
            connection = self._parked.get(descriptor)
            if connection is not None:
                connection.take()

    # Everything that is watched.

    def removeReader(self, reader: Any) -> None:
        """Read no more from it."""
        if isinstance(reader, Connection):
            reader.stopReading()
        else:
            super().removeReader(reader)

    def removeWriter(self, writer: Any) -> None:
        """Write no more to it; what a connection has been given is uvloop's to write."""
        if not isinstance(writer, Connection):
            super().removeWriter(writer)

    def getReaders(self) -> list[Any]:
        """What is read from."""
        reading = [each for each in self.connections if each.reading]
        return [*super().getReaders(), *reading]

    def getWriters(self) -> list[Any]:
        """What waits to be written to."""
        writing = [each for each in self.connections if each.buffered]
        return [*super().getWriters(), *writing]

    def removeAll(self) -> list[Any]:
        """Watch nothing of it any more; returns what was watched."""
        connections = [each for each in self.connections if each.reading or each.buffered]
        for each in connections:
            each.stopReading()
        return [*super().removeAll(), *connections]


class _ChildSignals:
    """SIGCHLD for Twisted's processes.

    Twisted has the signal written to a pipe by :func:`signal.set_wakeup_fd`, which a running
    loop of uvloop has put to a use of its own.
    """

    def __init__(self, reactor: UVReactor) -> None:
        self._reactor = reactor

    def install(self) -> None:
        """Reap processes when they end, and those that have ended already."""
        signal.signal(signal.SIGCHLD, self._child_ended)
        signal.siginterrupt(signal.SIGCHLD, False)
        process.reapAllProcesses()

    def uninstall(self) -> None:
        """Leave them alone."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def _child_ended(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(process.reapAllProcesses)


@implementer(IReadDescriptor)
class _ChildWatch:
    """The end of a process by its descriptor (pidfd_open(2)), whoever has the signal.

    libuv takes SIGCHLD for itself when asyncio code starts a process.
    """

    def __init__(self, reactor: UVReactor, spawned: Any) -> None:
        self._reactor = reactor
        self._spawned = spawned
        self._descriptor = os.pidfd_open(spawned.pid)
        reactor._addInternalReader(self)

    def fileno(self) -> int:
        """The process's descriptor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """What the log calls it."""
        return "child process"

    def doRead(self) -> None:
        """It has ended."""
        self._reactor._removeInternalReader(self)
        self.connectionLost()
        if self._spawned.pid is not None:
            self._spawned.reapProcess()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Watch no more."""
        os.close(self._descriptor)


class _LogContext(dict[str, object]):
    """Whose turn it is, for lines of Twisted's older log: asked for when there is a line."""

    def __init__(self, reactor: UVReactor) -> None:
        super().__init__(isError=0, system="-")
        self._reactor = reactor

    def __getitem__(self, key: str) -> object:
        speaker = self._reactor.speaker
        if key == "system" and speaker is not None:
            return speaker.logPrefix()
        return super().__getitem__(key)

    def copy(self) -> dict[str, object]:
        """What a line is to have."""
        return {key: self[key] for key in self}


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - an extra
    except ImportError as missing:
        raise ReactorUnavailable(
            "the reactor netsuite-uv needs uvloop: pip install netsuite[fast]"
        ) from missing
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
