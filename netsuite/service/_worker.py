"""A process that works for a supervisor: what it is asked, and what it answers."""

import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.logger import Logger

from netsuite.service._daemon import Daemon
from netsuite.service._snapshot import FILES
from netsuite.service._worker_link import ANSWERS, MessageProtocol, WorkerPlace


class WorkerLink(Service):
    """Listens to the supervisor.

    :param daemons: what this process runs.
    :param process: how it reloads, drains and ends.
    """

    _log = Logger()

    def __init__(self, daemons: Sequence[Daemon], process: Any, reactor: Any) -> None:
        self._daemons = daemons
        self._process = process
        self._reactor = reactor
        self._said: Deferred[None] = Deferred()
        self._messages = MessageProtocol(self._asked, self._supervisor_lost)
        self._requests: dict[str, Callable[..., Any]] = {
            "stats": self._stats,
            "drain": process.drain,
            "abort": process.abort,
            "reload": self._reload,
            "reopen": process.reopen_logs,
            "ban": self._ban,
            "unban": self._unban,
        }

    def startService(self) -> None:
        """Begin to listen, and say that this worker is ready."""
        super().startService()
        standard: Any = StandardIO  # for types that of another system
        standard(self._messages, stdin=0, stdout=ANSWERS, reactor=self._reactor)
        self._reactor.callWhenRunning(self._messages.send, {"ready": True})

    def say_goodbye(self) -> Deferred[None]:
        """Say what was done, now that all is done; fires when the supervisor can know."""
        self.running = False
        if not self._said.called:
            self._messages.send({"stats": self._stats()})
            transport: Any = self._messages.transport
            transport.loseConnection()
        return self._said

    def _asked(self, message: dict[str, Any]) -> None:
        number, what = message.pop("id"), message.pop("do")
        try:
            answer = {"id": number, "result": self._requests[what](**message)}
        except Exception as error:  # noqa: BLE001 - the supervisor logs it
            answer = {"id": number, "error": str(error)}
        self._messages.send(answer)

    def _supervisor_lost(self) -> None:
        if self.running:
            self.running = False
            self._log.warn("the supervisor is gone: draining")
            self._process.drain()
        self._said.callback(None)

    def _reload(self) -> None:
        FILES.begin()
        self._process.reload()

    def _stats(self) -> list[str]:
        return [daemon.stats_now().to_json() for daemon in self._daemons]

    def _ban(self, daemon: int, network: str, seconds: float | None) -> None:
        self._daemons[daemon].ban(network, seconds)

    def _unban(self, daemon: int, network: str) -> bool:
        return self._daemons[daemon].unban(network)


def take_place(place: WorkerPlace, daemons: Sequence[Daemon]) -> None:
    """Have daemons listen on the sockets that a worker inherits."""
    for daemon, parts in zip(daemons, place.sockets, strict=True):
        daemon.inherit(
            [
                [socket.socket(family, socket.SOCK_STREAM, fileno=number) for number, family in row]
                for row in parts
            ]
        )
