"""An echo service, and an ASGI application beside it that says how many are connected."""

import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from twisted.application.service import Service
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.logger import Logger, globalLogBeginner

from netsuite.echo import EchoFactory
from netsuite.net.aio import as_deferred, as_future
from netsuite.net.reactor import install
from netsuite.service import Daemon, DaemonConfig, Listener, file_observer


class Server(uvicorn.Server):
    """uvicorn, which leaves SIGINT and SIGTERM to the reactor."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class ASGIService(Service):
    """An ASGI application as a Twisted service.

    :param listening: a listening socket; it is closed in the end.
    """

    _log = Logger()

    def __init__(self, application: Any, listening: socket.socket, reactor: object) -> None:
        # The loop is there already; so is the log.
        config = uvicorn.Config(application, log_config=None, timeout_graceful_shutdown=5)
        self._server = Server(config)
        self._listening = listening
        self._reactor = reactor

    def startService(self) -> None:
        """Serve."""
        super().startService()
        serving = self._server.serve(sockets=[self._listening])
        self._serving = as_deferred(serving, reactor=self._reactor)
        self._serving.addErrback(lambda failure: self._log.failure("uvicorn failed", failure))

    def stopService(self) -> Deferred[None]:
        """Finish what was begun."""
        super().stopService()
        self._server.should_exit = True
        return self._serving


async def main(reactor: IReactorCore, echo: str = "tcp:9000", port: str = "8000") -> None:
    """Serve both until the process is told to stop."""
    globalLogBeginner.beginLoggingTo([file_observer(sys.stdout, "text")])
    listener = Listener(name="echo", factory=EchoFactory(), endpoints=(echo,))
    daemon = Daemon(DaemonConfig(drain_timeout=5), [listener], reactor)

    async def application(
        scope: Any, receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        stats = await as_future(daemon.stats())  # a Deferred, in a task of asyncio's
        body = f"{stats.active} connected\n".encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    # Opened here, so that a port in use is an error here.
    listening = socket.create_server(("127.0.0.1", int(port)))
    for service in daemon, ASGIService(application, listening, reactor):
        service.startService()
        reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    await Deferred()


if __name__ == "__main__":
    install()
    task.react(main, sys.argv[1:])
