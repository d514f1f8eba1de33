"""Applications that ask for a login, and their peers, in memory."""

from typing import Any

from twisted.cred.checkers import (
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from netsuite.line import Limits, LineApp, LineFactory, LineProtocol
from netsuite.line._password_file import PasswordFile
from netsuite.line.auth import (
    Authentication,
    Delay,
    Password,
    Tokens,
)

NO_DELAY = Delay(first=0)


class PasswordFileCase(SynchronousTestCase):
    """A file of passwords, asked for one and the other."""

    file: PasswordFile

    def login(self, name: str, password: str) -> object:
        return self.successResultOf(
            self.file.requestAvatarId(Password(name.encode(), password.encode()))
        )

    def refused(self, name: str, password: str) -> None:
        credentials = Password(name.encode(), password.encode())
        self.failureResultOf(self.file.requestAvatarId(credentials), UnauthorizedLogin)


#: What a checker gives.
AvatarId = bytes | tuple[()]

FAILED = b"ERR login-failed AUTH: no such user, password or token\r\n"
GOODBYE = b"ERR login-failed AUTH: %d attempts have failed; goodbye\r\n"


def users(**passwords: str) -> InMemoryUsernamePasswordDatabaseDontUse:
    return InMemoryUsernamePasswordDatabaseDontUse(
        **{name: password.encode() for name, password in passwords.items()}
    )


@implementer(ICredentialsChecker)
class Asked:
    """A checker that a test answers.

    :ivar waiting: what it has been asked, and where the answer goes.
    """

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, Deferred[AvatarId]]] = []
        self.cancelled = 0

    def requestAvatarId(self, credentials: Password) -> Deferred[AvatarId]:
        answer: Deferred[AvatarId] = Deferred(self._cancel)
        self.waiting.append((credentials.username, answer))
        return answer

    def _cancel(self, answer: Deferred[AvatarId]) -> None:
        self.cancelled += 1


def tokens() -> Tokens:
    found = Tokens()
    found.add("t0p", "ci", ["math", "deploy"])
    found.add("t1p", "guest")
    return found


class Serving:
    """An application that asks for a login, and its peers."""

    def __init__(
        self,
        authentication: Authentication,
        *,
        secure: bool = True,
        login: float | None = None,
    ) -> None:
        self.clock = Clock()
        self.app = LineApp("calc", limits=Limits(idle=None, login=login))
        self.app.add(authentication)
        self.secure = secure

        @self.app.command()
        def add(a: int, b: int) -> int:
            return a + b

        @self.app.command(roles=["admin", "math"])
        def halt() -> str:
            return "halted"

        @self.app.command(open=True)
        def ping() -> str:
            return "PONG"

        self.factory = LineFactory(self.app, self.clock)

    def peer(self, host: str = "192.0.2.1") -> "Peer":
        return Peer(self, host)


class Peer:
    """One of them."""

    def __init__(self, serving: Serving, host: str = "192.0.2.1") -> None:
        self.clock = serving.clock
        kind: Any = IPv6Address if ":" in host else IPv4Address
        address = kind("TCP", host, 5000) if host else None
        self.transport = StringTransport(peerAddress=address)
        self.protocol = serving.factory.buildProtocol(None)
        assert isinstance(self.protocol, LineProtocol)
        self.protocol.makeConnection(self.transport)
        self.session = self.protocol.session
        self.session.secure = serving.secure
        if not host:
            self.session.host = ""

    def say(self, line: str) -> bytes:
        """Send a line; what is answered at once."""
        self.protocol.dataReceived(line.encode("utf-8", "surrogateescape") + b"\r\n")
        return self.heard()

    def heard(self) -> bytes:
        """What has been answered since."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def after(self, line: str, most: float = 60.0) -> tuple[float, bytes]:
        """Send a line; how many seconds the answer takes, and the answer."""
        answer = self.say(line)
        seconds = 0.0
        while not answer:
            assert seconds < most, "no answer"
            self.clock.advance(0.125)
            seconds += 0.125
            answer = self.heard()
        return seconds, answer

    @property
    def closing(self) -> bool:
        return bool(self.transport.disconnecting)

    def go(self) -> None:
        """The connection is gone."""
        self.protocol.connectionLost()
