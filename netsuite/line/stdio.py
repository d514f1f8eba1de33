"""A line application on the standard input and output: ``netsuite line stdio``.

For ``ForceCommand`` of sshd, for inetd, for ``Accept=yes`` of systemd, and for pipes. It ends at
the end of its input, once all is answered::

    from twisted.internet import reactor
    from netsuite.line.stdio import serve

    serve(app, reactor).addErrback(lambda _: None).addCallback(lambda _: reactor.stop())
    reactor.run()
"""

import argparse
import errno
import os
import socket
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet._posixstdio import StandardIO
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ReactorNotRunning
from twisted.internet.interfaces import IAddress
from twisted.internet.main import CONNECTION_LOST
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from netsuite._command_line import EXIT_OUTPUT_GONE, EXIT_TROUBLE, CommandParser
from netsuite.line._machine import Conversation
from netsuite.line.app import LineApp
from netsuite.line.apps import APPS, AppError, load_app
from netsuite.line.protocol import LineFactory, LineProtocol, shown_address
from netsuite.net import StreamTransport

__all__ = ["main", "serve"]

_PROGRAM = "netsuite line stdio"
_EXIT_FAILED = 1

#: What writing ends with when whoever reads has gone, which is no trouble.
_GONE = {errno.EPIPE, errno.ECONNRESET}

#: Seconds that a session has to finish, once a signal asks for it.
_GRACE_SECONDS = 10.0


@implementer(IAddress)
class PipeAddress:
    """The other end of what is no socket."""

    def __str__(self) -> str:
        return "standard input"


def address_of(descriptor: int) -> IAddress:
    """The address of the other end of a descriptor: a socket's, if it is one."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as its:
            name = its.getpeername()
            family = its.family
    except OSError:
        return PipeAddress()
    if family == socket.AF_INET:
        return IPv4Address("TCP", *name)
    if family == socket.AF_INET6:
        return IPv6Address("TCP", *name)
    return UNIXAddress(name or None)


class StandardStream(StandardIO):
    """Standard input and output as one stream, which ends when its output does.

    :ivar ended: why it has, once it has.
    :ivar trouble: what kept the output from being written, if it was not that its reader is gone.
    """

    ended: Failure | None = None
    trouble: OSError | None = None

    def __init__(
        self, protocol: LineProtocol, stdin: int, stdout: int, reactor: Any, peer: IAddress
    ) -> None:
        self._peer = peer
        self._waiting: list[Deferred[None]] = []
        super().__init__(protocol, stdin, stdout, reactor)
        writer: Any = self._writer
        writer.writeSomeData = partial(self._write_some, writer)  # Twisted's forgets the error

    def _write_some(self, writer: Any, data: bytes) -> int | Exception:
        try:
            sent = os.write(writer.fd, data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            if error.errno not in _GONE:
                self.trouble = error
            return CONNECTION_LOST
        if sent == len(data) and writer.enableReadHack:
            writer.startReading()  # to see its other end close
        return sent

    def childConnectionLost(self, fd: str, reason: Failure) -> None:
        """The input has ended, or nobody takes the output any more."""
        if fd == "write":
            self.connectionLost(reason)
        else:
            super().childConnectionLost(fd, reason)

    def connectionLost(self, reason: Failure) -> None:
        """It is over."""
        if not self.disconnected:
            super().connectionLost(reason)
            self.ended = reason
            for each in self._waiting:
                each.callback(None)

    def when_ended(self) -> Deferred[None]:
        """Fires when it has ended."""
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def abortConnection(self) -> None:
        """Close at once; what was not sent is lost."""
        self.connectionLost(Failure(ConnectionDone()))

    def getPeer(self) -> IAddress:
        """The other end's address."""
        return self._peer


class StandardFactory(LineFactory):
    """Makes the one line protocol that there is."""

    user: str | None = None
    roles: Collection[str] = ()

    def converse(self, protocol: LineProtocol, transport: StreamTransport) -> Conversation:
        """Begin the conversation, with whoever is said to be there."""
        peer = transport.getPeer()
        return self.app.converse(
            protocol,
            peer=shown_address(peer),
            host=getattr(peer, "host", ""),
            secure=not isinstance(peer, IPv4Address | IPv6Address),
            clock=self.clock,
            user=self.user,
            roles=self.roles,
        )


def serve(
    app: LineApp,
    reactor: Any,
    *,
    user: str | None = None,
    roles: Collection[str] = (),
    stdin: int = 0,
    stdout: int = 1,
) -> Deferred[None]:
    """Serve an application on two descriptors until the session ends.

    When the reactor is stopped the session has 10 seconds to finish what was begun.

    :param user: who is there, if that is known.
    :param roles: what that user may do.
    :returns: fires when it has ended; fails with
        :class:`~twisted.internet.error.ConnectionLost` if nobody took the output, and with
        OSError if it could not be written for another reason, such as a disk that is full.
    """
    factory = StandardFactory(app, reactor)
    factory.user, factory.roles = user, roles
    protocol = factory.buildProtocol(None)
    stream = StandardStream(protocol, stdin, stdout, reactor, address_of(stdin))

    def finish() -> Deferred[None] | None:
        if stream.ended is not None:
            return None
        protocol.drain(reactor, _GRACE_SECONDS)
        reactor.callLater(_GRACE_SECONDS, stream.abortConnection)
        return stream.when_ended()

    def check(_: None) -> None:
        if stream.trouble is not None:
            raise stream.trouble
        if stream.ended is not None and not stream.ended.check(ConnectionDone):
            stream.ended.raiseException()

    reactor.addSystemEventTrigger("before", "shutdown", finish)
    return stream.when_ended().addCallback(check)


def main(arguments: Sequence[str]) -> int:
    """Run the tool.

    :param arguments: without ``netsuite line stdio``.
    :returns: the exit status.
    """
    options = _options_of(arguments)
    try:
        app = load_app(options.app)
        for descriptor in (0, 1):
            os.fstat(descriptor)
    except AppError as error:
        return _complain(str(error))
    except OSError:
        return _complain("expected a standard input and output that are open")
    _begin_log()
    from twisted.internet import reactor

    running: Any = reactor
    lost: list[Failure] = []

    def begin() -> None:
        served = serve(app, running, user=options.user, roles=options.role)
        served.addErrback(lost.append).addCallback(lambda _: stop())

    def stop() -> None:
        with suppress(ReactorNotRunning):  # a signal was quicker
            running.stop()

    running.callWhenRunning(begin)
    try:
        running.run()
    finally:
        # What they are shared with, a shell for example, expects that.
        for descriptor in (0, 1):
            with suppress(OSError):
                os.set_blocking(descriptor, True)
    return _status_of(lost[0].value) if lost else 0


def _status_of(error: BaseException | None) -> int:
    """How to end with an error; all but a reader who has gone get a line."""
    if not isinstance(error, OSError):
        return EXIT_OUTPUT_GONE
    if not _is_peer_s(2):
        _complain(f"standard output: {error.strerror}")
    return _EXIT_FAILED


def _options_of(arguments: Sequence[str]) -> argparse.Namespace:
    parser = CommandParser(
        prog=_PROGRAM,
        description="Serves an application of lines on the standard input and output.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--app",
        default="echo",
        metavar="APP",
        help=f"serve this: {', '.join(APPS)}, or MODULE:APP for one of your own (default: echo)",
    )
    parser.add_argument("--user", metavar="NAME", help="who is there, and has logged in elsewhere")
    parser.add_argument(
        "--role",
        action="append",
        default=[],
        metavar="ROLE",
        help="what that user may do; may be given again",
    )
    options = parser.parse_args(arguments)
    if options.role and options.user is None:
        parser.error("--role: expected --user NAME too")
    return options


def _begin_log() -> None:
    """Log what an operator has to know on standard error, unless that is the peer's too."""
    if _is_peer_s(2):
        globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)
        return
    observer = FilteringLogObserver(
        textFileLogObserver(sys.stderr), [LogLevelFilterPredicate(LogLevel.warn)]
    )
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


def _is_peer_s(descriptor: int) -> bool:
    """Whether what is written there goes to the peer, and not to a terminal."""
    with suppress(OSError):
        if not os.isatty(descriptor):
            return any(os.path.sameopenfile(descriptor, each) for each in (0, 1))
    return False


def _complain(text: str) -> int:
    sys.stderr.write(f"{_PROGRAM}: {text}\n")
    return EXIT_TROUBLE
