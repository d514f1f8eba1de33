"""A file of users with their passwords and roles."""

import hmac
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from zope.interface import implementer

_EXPECTED = "expected USER:PASSWORD or USER:PASSWORD:ROLE,ROLE"

#: What ``htpasswd -B`` and others make of a password, with its cost; and digests of other kinds,
#: which must not be taken for passwords.
_BCRYPT = re.compile(rb"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
_DIGEST = re.compile(rb"\$[0-9a-z-]+\$|\{[A-Z0-9]+\}")

#: Bytes of a password that bcrypt looks at.
_MOST_BYTES = 72

#: The logarithm of its rounds: less is no digest of its, more takes longer than a check may.
_LEAST_COST, _MOST_COST = 4, 14


class PasswordFileError(ValueError):
    """A file of passwords that cannot be used: one line for people, without any secret."""


@dataclass(frozen=True, slots=True)
class _Entry:
    password: bytes = field(repr=False)
    roles: frozenset[str] = frozenset()


_NOBODY = _Entry(b"")


@implementer(ICredentialsChecker)
class PasswordFile:
    """Users and passwords in a file that is read at the start and when somebody says so.

    A line is ``USER:PASSWORD``, or ``USER:PASSWORD:ROLE,ROLE``; blank lines and those that begin
    with ``#`` mean nothing. A password is what bcrypt has made of it (``$2y$``, as ``htpasswd -B``
    writes it; with the extra ``netsuite[passwords]``), or stands there as it is.

    :param in_thread: calls what takes its time, which is to check a digest, elsewhere.
    :raises PasswordFileError: for a file that cannot be read, or a line that cannot be used.
    """

    credentialInterfaces = (IUsernamePassword,)

    def __init__(
        self,
        path: str | PathLike[str],
        in_thread: Callable[[Callable[[], bool]], Awaitable[bool]] | None = None,
    ) -> None:
        self._in_thread = in_thread or _here
        self._path = Path(path)
        self._entries = _read(self._path)

    def __len__(self) -> int:
        return len(self._entries)

    def prepare(self) -> Callable[[], None]:
        """Read the file again, and change nothing yet; sessions that have begun stay as they are.

        :returns: what makes it so.
        :raises PasswordFileError: if it cannot be used.
        """
        entries = _read(self._path)

        def commit() -> None:
            self._entries = entries

        return commit

    def requestAvatarId(self, credentials: IUsernamePassword) -> Deferred[Any]:
        """The name of a user whose password this is."""
        return Deferred.fromCoroutine(self._check(credentials))

    async def _check(self, credentials: IUsernamePassword) -> bytes:
        name: bytes = credentials.username
        given: bytes = credentials.password
        entry = self._entries.get(name, _NOBODY)
        if _BCRYPT.fullmatch(entry.password):
            matches = await self._in_thread(lambda: _is_of(given, entry.password))
        else:
            matches = _is_same(given, entry.password)
        if not matches or entry is _NOBODY:
            raise UnauthorizedLogin
        return name

    def roles(self, name: str) -> frozenset[str]:
        """Those of a user."""
        return self._entries.get(name.encode("utf-8", "surrogateescape"), _NOBODY).roles


def _read(path: Path) -> dict[bytes, _Entry]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PasswordFileError(f"{path}: {error.strerror}") from None
    entries: dict[bytes, _Entry] = {}
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        try:
            name, entry = _entry(line)
            if name in entries:
                raise ValueError("the same user as in a line before")
        except ValueError as error:
            raise PasswordFileError(f"{path}, line {number}: {error}") from None
        entries[name] = entry
    return entries


async def _here(check: Callable[[], bool]) -> bool:
    return check()


def _is_same(given: bytes, password: bytes) -> bool:
    """In a time that says nothing about either."""
    return hmac.compare_digest(sha256(given).digest(), sha256(password).digest())


def _is_of(given: bytes, digest: bytes) -> bool:
    """Whether bcrypt makes this of a password."""
    if len(given) > _MOST_BYTES:
        return False
    matches: bool = import_module("bcrypt").checkpw(given, digest)
    return matches


def _look_at(password: bytes) -> None:
    """Refuse what cannot be checked.

    :raises ValueError: for that.
    """
    found = _BCRYPT.fullmatch(password)
    if found is None:
        if _DIGEST.match(password):
            raise ValueError("a digest that is not bcrypt's: expected $2y$..., as of htpasswd -B")
        return
    if not _LEAST_COST <= int(found[1]) <= _MOST_COST:
        raise ValueError(f"a digest's cost: expected {_LEAST_COST} to {_MOST_COST}")
    try:
        import_module("bcrypt")
    except ImportError:
        raise ValueError("a digest: install netsuite[passwords]") from None


def _entry(line: bytes) -> tuple[bytes, _Entry]:
    """What a line says; whatever is wrong with it, nothing of it is repeated."""
    name, *rest = line.split(b":")
    if not name or not 1 <= len(rest) <= 2 or not rest[0]:
        raise ValueError(_EXPECTED)
    try:
        name.decode()
        roles = rest[1].decode().strip().split(",") if len(rest) == 2 else []
    except UnicodeDecodeError:
        raise ValueError("expected UTF-8") from None
    if not all(roles):
        raise ValueError(_EXPECTED)
    _look_at(rest[0])
    return name, _Entry(rest[0], frozenset(roles))
