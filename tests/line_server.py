"""A server of lines for the tests: ``python -m tests.line_server CERTIFICATES PORT_FILE``.

It listens on 127.0.0.1; the file has the ports (:class:`Ports`).
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.defer import Deferred

from netsuite.line import Block, LineApp, LineFactory, Session
from netsuite.line.auth import Authentication, Tokens
from netsuite.line.channels import Channels
from netsuite.line.starttls import StartTLS
from tests.forking import Forked
from tests.running import ROOT, environment, install_reactor, wait_for

TOKEN = "the token of the tests"


def make_app() -> LineApp:
    """The application."""
    app = LineApp("calc", greeting="calc ready")
    app.add(Channels())

    @app.command(aliases=["PLUS"])
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    @app.command()
    def count(upto: int) -> Iterator[str]:
        """Count."""
        return map(str, range(upto))

    @app.command()
    def mode(how: Literal["fast", "slow"]) -> str:
        """Choose how."""
        return f"it is {how}"

    @app.command()
    def escape() -> str:
        """Try to clear the screen."""
        return "\x1b[2J\x1b[Hgone"

    @app.command()
    def hang(session: Session) -> Deferred[None]:
        """Never answer."""
        session.send("it hangs")
        return Deferred()

    @app.command()
    def store(key: str, data: Block) -> str:
        """Say what there is to store."""
        return f"{key}: {data!r}"

    @app.command()
    def tell(session: Session, text: str) -> None:
        """Say something that answers nothing."""
        session.send(text)

    @app.command()
    def vanish(session: Session) -> None:
        """Be gone."""
        session.abort()

    return app


def main() -> None:
    """Serve."""
    reactor = install_reactor()
    from twisted.internet.ssl import DefaultOpenSSLContextFactory

    certificate, port_file = map(Path, sys.argv[1:])
    context = DefaultOpenSSLContextFactory(
        str(certificate / "key.pem"), str(certificate / "cert.pem")
    )
    for_all, for_some = make_app(), make_app()
    for_all.add(StartTLS(context))
    checker = InMemoryUsernamePasswordDatabaseDontUse()
    checker.addUser(b"me", b"open sesame")
    tokens = Tokens()
    tokens.add(TOKEN, "robot")
    for_some.add(Authentication([checker], tokens=tokens, plain_over_plaintext=True))
    here = {"interface": "127.0.0.1"}
    ports = [
        reactor.listenTCP(0, LineFactory(for_all, reactor), **here),
        reactor.listenTCP(0, LineFactory(for_some, reactor), **here),
        reactor.listenSSL(0, LineFactory(for_some, reactor), context, **here),
    ]
    numbers = " ".join(str(each.getHost().port) for each in ports)
    # Whoever sees the file sees all of it.
    port_file.with_suffix(".new").write_text(numbers)
    port_file.with_suffix(".new").rename(port_file)
    reactor.run()


@dataclass(frozen=True)
class Ports:
    """Where it listens: for all, STARTTLS included; for those who log in; and these with TLS."""

    plain: int
    login: int
    tls: int


@contextmanager
def line_server(directory: Path, certificate: Path) -> Iterator[Ports]:
    """The server as a process, until the block ends."""
    port_file = directory / "ports"
    command = [sys.executable, "-m", "tests.line_server", str(certificate), str(port_file)]
    with Forked(command, cwd=ROOT, env=environment()) as process:
        try:
            wait_for(port_file.exists, "the ports")
            yield Ports(*map(int, port_file.read_text().split()))
        finally:
            process.kill()


if __name__ == "__main__":
    main()
