"""The same with ready lines, and with a shutdown that finishes what was begun."""

import sys

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.logger import globalLogBeginner

from netsuite.echo import EchoFactory
from netsuite.service import Daemon, DaemonConfig, Listener, file_observer

endpoints = ("tcp:9000",)


async def main(reactor: IReactorCore, *descriptions: str) -> None:
    """Serve until the process is told to stop, then drain."""
    globalLogBeginner.beginLoggingTo([file_observer(sys.stdout, "text")])
    echo = Listener(
        name="echo",
        factory=EchoFactory(),
        endpoints=descriptions or endpoints,
    )
    daemon = Daemon(DaemonConfig(drain_timeout=5), [echo], reactor)
    daemon.startService()
    reactor.addSystemEventTrigger("before", "shutdown", daemon.stopService)
    await Deferred()


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
