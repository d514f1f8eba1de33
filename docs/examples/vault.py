"""A line service whose peers begin TLS, log in, and are put on record."""

import sys

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore, IReactorTime
from twisted.logger import globalLogBeginner

from netsuite.line import LineApp, LineFactory, Session
from netsuite.line.auth import Authentication, Tokens
from netsuite.line.starttls import StartTLS
from netsuite.line.transcript import Transcript
from netsuite.net.certificates import ServerCertificates, TLSConfig
from netsuite.service import Daemon, DaemonConfig, Listener, file_observer

endpoints = ("tcp:9000",)

app = LineApp("vault", greeting="vault ready")
doors: set[int] = set()


@app.command("OPEN", roles=["keeper"])
def open_(session: Session, door: int) -> str:
    """Open a door."""
    doors.add(door)
    return f"{session.user} has opened door {door}"


@app.command()
def look() -> str:
    """Say which doors are open."""
    return ", ".join(map(str, sorted(doors))) or "all are closed"


def secure(app: LineApp) -> None:
    """TLS first, then a login, and all of it written down."""
    users = InMemoryUsernamePasswordDatabaseDontUse(ann=b"sesame", bob=b"hunter2")
    tokens = Tokens()
    tokens.add("bzWjTYmjSAlq", "robot", ["keeper"])
    app.add(StartTLS(ServerCertificates(TLSConfig(self_signed=True)), required=True))
    app.add(Authentication([users], tokens=tokens, roles={"ann": ["keeper"]}))
    app.add(Transcript("vault.jsonl"))


async def main(reactor: IReactorCore, *descriptions: str) -> None:
    """Serve until the process is told to stop, then drain."""
    globalLogBeginner.beginLoggingTo([file_observer(sys.stdout, "text")])
    secure(app)
    factory = LineFactory(app, IReactorTime(reactor))
    vault = Listener(name="vault", factory=factory, endpoints=descriptions or endpoints)
    daemon = Daemon(DaemonConfig(drain_timeout=5), [vault], reactor)
    daemon.startService()
    reactor.addSystemEventTrigger("before", "shutdown", daemon.stopService)
    await Deferred()


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
