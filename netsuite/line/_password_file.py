"""A file of users with their passwords and roles."""

from collections.abc import Callable
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

_EXPECTED = "expected USER:PASSWORD or USER:PASSWORD:ROLE,ROLE"


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
    with ``#`` mean nothing. Passwords stand there as they are, so the file is nobody's business
    but the service's; tokens are kept as digests (:class:`netsuite.line.auth.Tokens`).

    :raises PasswordFileError: for a file that cannot be read, or a line that cannot be used.
    """

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, path: str | PathLike[str]) -> None:
        self._path = Path(path)
        self._entries = _read(self._path)

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
        """The name of a user whose password this is; it takes as long for one who is unknown."""
        name: bytes = credentials.username
        entry = self._entries.get(name, _NOBODY)

        def known(matches: object) -> bytes:
            if not matches or entry is _NOBODY:
                raise UnauthorizedLogin
            return name

        checked: Deferred[Any] = maybeDeferred(credentials.checkPassword, entry.password)
        return checked.addCallback(known)

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
    return name, _Entry(rest[0], frozenset(roles))
