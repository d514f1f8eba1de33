"""Logging in: passwords by Twisted's checkers, tokens, and roles.

::

    app.add(Authentication([FilePasswordDB("/etc/calc/users")], roles={"bob": ["math"]}))

Peers say ``AUTH PLAIN user password`` or ``AUTH TOKEN token``, ``WHOAMI`` and ``LOGOUT``. Who has
logged in has roles, of which a command may ask for one (``@app.command(roles=["math"])``).

Left out: mechanisms that never send the password (SCRAM, RFC 5802); TLS is there for that.
"""

import hmac
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from inspect import isawaitable
from types import MappingProxyType
from typing import Any
from weakref import WeakKeyDictionary

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import LoginFailed, UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from zope.interface import Attribute, Interface, implementer

from netsuite.line._commands import names_of
from netsuite.line._errors import RAISED, CommandError
from netsuite.line._failures import Delay, Guard, name_key, network_key
from netsuite.line._session import Session
from netsuite.line._tokens import Token, TokenError, Tokens, new_token
from netsuite.line._wire import quote
from netsuite.line.app import LineApp

#: How many attempts a connection has.
ATTEMPTS = 5

#: How long a checker may take, in seconds.
CHECK_SECONDS = 30.0

#: The roles of a user.
Roles = (
    Mapping[str, Collection[str]]
    | Callable[[str], Collection[str]]
    | Callable[[str], Awaitable[Collection[str]]]
)


class IUser(Interface):
    """What a realm gives for a login here: an avatar that has a name and roles."""

    name = Attribute("Who it is: a text.")
    roles = Attribute("What it may do: a collection of texts.")


@implementer(IUsernamePassword)
class Password:
    """A name and a password, which takes as long to compare whatever is wrong with it."""

    def __init__(self, username: bytes, password: bytes) -> None:
        self.username = username
        self.password = password

    def checkPassword(self, password: bytes) -> bool:
        """Whether it is this one."""
        return hmac.compare_digest(sha256(self.password).digest(), sha256(password).digest())


@dataclass(frozen=True, slots=True)
class _Login:
    """Who it is.

    :ivar leave: tells a realm that it is over.
    """

    user: str
    roles: frozenset[str]
    leave: Callable[[], object] | None = None


class Authentication:
    """Lets peers log in, by password or by token.

    A checker is asked what Twisted's own would be (:mod:`twisted.cred`): each one in turn, until
    one knows the user and the password. What it gives is the user's name.

    Wrong passwords are answered slowly, and the more slowly the more there are of a network or for
    a user name; see :class:`Delay`. After ``attempts`` of them the connection closes.

    :param checkers: each for :class:`~twisted.cred.credentials.IUsernamePassword`.
    :param portal: instead of checkers. Its realm is asked for an :class:`IUser`, with the session
        for a mind, and hears when the user has left.
    :param tokens: who may come by token; each token has its own roles.
    :param roles: of those who come by password: by name, or called with the name.
    :param required: whether peers have to log in before they may give commands that are not
        ``open``.
    :param plain_over_plaintext: whether passwords are taken over connections that somebody on
        the way can read.
    :param delay: for those who fail.
    :param attempts: how many failures end a connection.
    :param timeout: seconds that a check may take.
    :raises ValueError: if there is no way to log in, or a checker is not for passwords.
    """

    _log = Logger()

    def __init__(
        self,
        checkers: Iterable[ICredentialsChecker] = (),
        *,
        portal: Portal | None = None,
        tokens: Tokens | None = None,
        roles: Roles = MappingProxyType({}),
        required: bool = True,
        plain_over_plaintext: bool = False,
        delay: Delay | None = None,
        attempts: int = ATTEMPTS,
        timeout: float = CHECK_SECONDS,
    ) -> None:
        self._checkers = tuple(checkers)
        if self._checkers and portal is not None:
            raise ValueError("checkers and a portal: expected one of the two")
        if not self._checkers and portal is None and tokens is None:
            raise ValueError("nobody could log in: expected checkers, a portal or tokens")
        for each in self._checkers:
            _for_passwords(each, each.credentialInterfaces)
        if portal is not None:
            _for_passwords(portal, portal.listCredentialsInterfaces())
        if isinstance(roles, Mapping):
            for of_one in roles.values():
                _roles(of_one)
        if attempts < 1:
            raise ValueError(f"attempts {attempts}: expected 1 or more")
        self._portal = portal
        self._tokens = tokens
        self._roles = roles
        self._required = required
        self._plain_over_plaintext = plain_over_plaintext
        self._guard = Guard(delay or Delay())
        self._attempts = attempts
        self._timeout = timeout
        self._failed: WeakKeyDictionary[Session, int] = WeakKeyDictionary()
        self._passwords = bool(self._checkers) or portal is not None

    def install(self, app: LineApp) -> None:
        """Add the commands."""
        if self._required:
            app.login_required = True

        async def auth(session: Session, mechanism: str, *credentials: str) -> None:
            await self._log_in(session, mechanism.upper(), credentials)

        auth.__doc__ = (
            f"Log in: {', or '.join(self._ways)}.\n\nA word with spaces is put in quotes."
        )
        app.command("AUTH", open=True, secret=True)(auth)

        @app.command("WHOAMI")
        def whoami(session: Session) -> str:
            """Say who has logged in."""
            return quote(_somebody(session, "WHOAMI"))

        @app.command("LOGOUT")
        def logout(session: Session) -> None:
            """Be nobody again."""
            _somebody(session, "LOGOUT")
            session.logout()

    # An attempt.

    async def _log_in(self, session: Session, mechanism: str, words: tuple[str, ...]) -> None:
        if session.user is not None:
            raise CommandError("not-allowed", "AUTH: expected LOGOUT first")
        name, check = self._meant(session, mechanism, words)
        now = session.clock.seconds()
        key = None if name is None else name_key(name)
        attempt = self._guard.begin(network_key(session.host), key, now)
        if attempt is None:
            most = self._guard.delay.waiting
            text = f"AUTH: expected at most {most} attempts at the same time from one network"
            raise self._failure(session, CommandError("rate-limit", text))
        try:
            login = await attempt.check(session.clock, check)
        except LoginFailed:
            text = "AUTH: no such user, password or token"
            raise self._failure(session, CommandError("login-failed", text)) from None
        session.login(login.user, login.roles)
        if login.leave is not None:
            session.on_logout(partial(self._left, login.leave))
        user = quote(login.user)
        self._log.info("{user} has logged in from {peer}", user=user, peer=session.peer)

    def _meant(
        self, session: Session, mechanism: str, words: tuple[str, ...]
    ) -> tuple[str | None, Callable[[], Awaitable[_Login]]]:
        """The user name, and what checks the rest. No word is repeated: it may be a secret."""
        if mechanism == "PLAIN" and self._passwords and len(words) == 2:
            if not (session.secure or self._plain_over_plaintext):
                raise CommandError("not-allowed", "AUTH PLAIN: expected TLS")
            return words[0], partial(self._by_password, session, *words)
        if mechanism == "TOKEN" and self._tokens is not None and len(words) == 1:
            return None, partial(self._by_token, self._tokens, words[0])
        raise CommandError("bad-argument", f"AUTH: expected {' or '.join(self._ways)}")

    @property
    def _ways(self) -> Iterator[str]:
        """How one logs in."""
        if self._passwords:
            yield "AUTH PLAIN user password"
        if self._tokens is not None:
            yield "AUTH TOKEN token"

    def _failure(self, session: Session, error: CommandError) -> CommandError:
        """Count a failure, which may have been the last one."""
        count = self._failed[session] = self._failed.get(session, 0) + 1
        self._log.info(
            "{peer}: login failed ({count} of {most}: {reason})",
            peer=session.peer,
            count=count,
            most=self._attempts,
            reason=error.code,
        )
        if count < self._attempts:
            return error
        session.close()
        return CommandError("login-failed", f"AUTH: {count} attempts have failed; goodbye")

    def _left(self, leave: Callable[[], object]) -> None:
        try:
            leave()
        except RAISED:  # the realm's
            self._log.failure("a realm's logout failed")

    # Checks.

    async def _by_token(self, tokens: Tokens, token: str) -> _Login:
        found = tokens.find(token)
        if found is None:
            raise UnauthorizedLogin
        return _Login(found.user, found.roles)

    async def _by_password(self, session: Session, user: str, password: str) -> _Login:
        credentials = Password(_bytes(user), _bytes(password))
        if self._portal is not None:
            given = maybeDeferred(self._portal.login, credentials, session, IUser)
            _, avatar, leave = await self._in_time(session, given)
            return _Login(avatar.name, _roles(avatar.roles), leave)
        for checker in self._checkers:
            answer = maybeDeferred(checker.requestAvatarId, credentials)
            try:
                avatar_id = await self._in_time(session, answer)
            except LoginFailed:
                continue
            name = _name(avatar_id)
            return _Login(name, await self._roles_of(session, name))
        raise UnauthorizedLogin

    async def _roles_of(self, session: Session, name: str) -> frozenset[str]:
        if isinstance(self._roles, Mapping):
            return _roles(self._roles.get(name, ()))
        roles: Any = self._roles(name)
        if isawaitable(roles):
            roles = await self._in_time(session, maybeDeferred(lambda: roles))
        return _roles(roles)

    def _in_time(self, session: Session, answer: "Deferred[Any]") -> "Deferred[Any]":
        return answer.addTimeout(self._timeout, session.clock)


def _somebody(session: Session, command: str) -> str:
    if session.user is None:
        raise CommandError("not-allowed", f"{command}: expected AUTH first")
    return session.user


def _for_passwords(what: object, interfaces: Iterable[Any]) -> None:
    if not any(IUsernamePassword.isOrExtends(each) for each in interfaces):
        raise ValueError(f"{what!r} is not for passwords: expected IUsernamePassword of it")


def _roles(roles: object) -> frozenset[str]:
    return frozenset(names_of("roles", roles))


def _name(avatar_id: object) -> str:
    """What a checker calls a user, as text."""
    if isinstance(avatar_id, bytes):
        return avatar_id.decode("utf-8", "backslashreplace")
    if isinstance(avatar_id, str) and avatar_id:
        return avatar_id
    raise TypeError(f"{avatar_id!r}: expected the name of a user from a checker")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


__all__ = [
    "ATTEMPTS",
    "CHECK_SECONDS",
    "Authentication",
    "Delay",
    "IUser",
    "Password",
    "Token",
    "TokenError",
    "Tokens",
    "new_token",
]
