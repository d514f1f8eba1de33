"""Who comes in: the server's side of RFC 4252, one request at a time and not for ever."""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.conch.error import ConchError, IgnoreAuthentication
from twisted.conch.interfaces import IConchUser
from twisted.conch.ssh.transport import DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE
from twisted.conch.ssh.userauth import SSHUserAuthServer
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from netsuite.line._failures import Attempt, Guard, name_key, network_key
from netsuite.line._ssh_error import SSHError
from netsuite.line._ssh_log import PeersLogger

#: Requests for each attempt: to ask whether a key would do is one too.
_REQUESTS_AN_ATTEMPT = 4
_LONGEST_NAME = 256

Roles = Mapping[str, Collection[str]] | Callable[[str], Collection[str]]


class User:
    """Somebody who has come in; what else a user of conch can be asked, the connection knows."""

    def __init__(self, name: str, roles: Collection[str]) -> None:
        self.name = name
        self.roles = frozenset(roles)
        self.conn: Any = None


@implementer(IRealm)
class Realm:
    """Knows what users may do."""

    def __init__(self, roles: Sequence[Roles]) -> None:
        self._roles = roles

    def requestAvatar(
        self, avatarId: bytes | tuple[()], mind: object, *interfaces: Any
    ) -> tuple[Any, User, Callable[[], None]]:
        """A user whose checker is content.

        :raises UnauthorizedLogin: for somebody without a name.
        """
        if not avatarId:
            raise UnauthorizedLogin("expected a user with a name")
        name = avatarId.decode()
        roles = {role for says in self._roles for role in _roles_of(name, says)}
        return IConchUser, User(name, roles), lambda: None


def _roles_of(name: str, says: Roles) -> Collection[str]:
    return says(name) if callable(says) else says.get(name, ())


class UserAuth(SSHUserAuthServer):
    """One peer's attempts to come in."""

    _log = PeersLogger()
    _ours = Logger()
    transport: Any

    def serviceStarted(self) -> None:
        """Begin."""
        factory = self.transport.factory
        self.clock = factory.clock
        self.loginTimeout = factory.login_time
        self.attemptsBeforeDisconnect = factory.attempts - 1
        self._most = factory.attempts * _REQUESTS_AN_ATTEMPT
        self._requests: deque[bytes] = deque()
        self._asked = 0
        self._busy = False
        self._checking: Deferred[Any] | None = None
        super().serviceStarted()

    def serviceStopped(self) -> None:
        """The peer has come in, or is gone."""
        super().serviceStopped()
        if self._checking is not None:
            self._checking.cancel()

    def ssh_USERAUTH_REQUEST(self, packet: bytes) -> None:
        """The peer wants to come in: one request after the other (section 5.1)."""
        self._asked += 1
        if self._asked > self._most:
            self.transport.sendDisconnect(
                DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE, b"too many requests"
            )
            return
        self._requests.append(packet)
        self._next()

    def _next(self) -> None:
        while self._requests and not self._busy and self._goes_on:
            self._busy = True
            try:
                answered = super().ssh_USERAUTH_REQUEST(self._requests.popleft())
            except Exception as error:  # noqa: BLE001 - a packet that is none
                self.transport.broken(error)
                return
            if answered is None:
                self._busy = False
            else:
                answered.addBoth(self._answered)

    def _answered(self, result: object) -> None:
        self._busy = False
        if isinstance(result, Failure):
            self._ours.failure("authentication failed", failure=result)
            self.transport.abort()
        else:
            self._next()

    @property
    def _goes_on(self) -> bool:
        """Whether the peer is still to come in."""
        return self.transport.service is self and not self.transport.is_over

    def tryAuth(self, kind: bytes, user: bytes, data: bytes) -> Deferred[Any]:
        """Try one method, for a user whose name can be one."""
        if self.nextService != b"ssh-connection" or not _is_name(user):
            return fail(UnauthorizedLogin("no such user"))
        return super().tryAuth(kind, user, data)

    def auth_password(self, packet: bytes) -> Deferred[Any]:
        """Check a password; those who have failed before wait first (section 8)."""
        guard: Guard = self.transport.factory.guard
        key = name_key((self.user or b"").decode())
        attempt = guard.begin(network_key(self.transport.host), key, self.clock.seconds())
        if attempt is None:
            return fail(UnauthorizedLogin("too many attempts at the same time"))
        checked: Deferred[Any] = Deferred.fromCoroutine(self._password(packet, attempt))
        self._checking = checked
        return checked.addBoth(self._checked)

    async def _password(self, packet: bytes, attempt: Attempt) -> Any:
        try:
            return await attempt.check(self.clock, partial(super().auth_password, packet))
        except UnauthorizedLogin:
            raise UnauthorizedLogin("no such user or password") from None

    def _checked(self, result: Any) -> Any:
        self._checking = None
        return result

    def _ebPassword(self, f: Failure) -> Failure:
        return f  # it has waited for less

    def _cbFinishedAuth(self, result: Any) -> None:
        if self.transport.is_over:
            return
        super()._cbFinishedAuth(result)
        self._ours.info(
            "{peer} is {user}, by {method}",
            peer=self.transport.peer,
            user=self.transport.avatar.name,
            method=self.method.decode("ascii"),
        )

    def _ebBadAuth(self, reason: Failure) -> None:
        if self.transport.is_over:
            return
        if reason.check(UnauthorizedLogin):
            self._ours.info(
                "{peer} refused: {reason}: {user}",
                peer=self.transport.peer,
                reason=reason.getErrorMessage(),
                user=repr(self.user)[1:80],
            )
        elif reason.check(SSHError):
            self._ours.error("{error}", error=str(reason.value))
        elif not reason.check(ConchError, IgnoreAuthentication):
            self._ours.failure("authentication failed", failure=reason)
        super()._ebBadAuth(reason)


def _is_name(user: bytes) -> bool:
    try:
        return 0 < len(user) <= _LONGEST_NAME and user.decode().isprintable()
    except UnicodeDecodeError:
        return False
