"""Tokens: secrets that stand for a user and some roles, kept as digests."""

import hmac
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from hashlib import sha256
from os import PathLike
from pathlib import Path

from netsuite.line._commands import names_of

_PREFIX = "sha256:"
_EXPECTED = "expected sha256:DIGEST USER [ROLE,ROLE...]"
_TOKEN_BYTES = 32


class TokenError(ValueError):
    """A file of tokens that cannot be used: one line for people, without any secret."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a token stands for.

    :ivar digest: of the token (SHA-256).
    """

    digest: bytes
    user: str
    roles: frozenset[str] = frozenset()

    @property
    def line(self) -> str:
        """As a file of tokens has it."""
        return f"{_PREFIX}{self.digest.hex()} {self.user} {','.join(sorted(self.roles))}".rstrip()


def new_token() -> str:
    """A token that nobody guesses: 256 random bits, in letters, digits, ``-`` and ``_``."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


class Tokens:
    """Those who may log in by ``AUTH TOKEN``.

    A file of them has a line for each: the token's SHA-256, its user, and the roles separated
    by commas. Blank lines and those that begin with ``#`` mean nothing. Digests protect tokens
    that are random, as :func:`new_token` makes them: not passwords that people choose. In a
    shell the first word of a line is ``echo sha256:$(printf %s "$TOKEN" | sha256sum)``, without
    the ``-`` behind it.
    """

    def __init__(self) -> None:
        self._tokens: dict[bytes, Token] = {}
        self._path: Path | None = None

    def __len__(self) -> int:
        return len(self._tokens)

    def __repr__(self) -> str:
        return f"<Tokens: {len(self)}>"

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> "Tokens":
        """Those in a file.

        :raises TokenError: for a file that cannot be read, or a line that cannot be used.
        """
        tokens = cls()
        tokens._path = Path(path)
        tokens.reload()
        return tokens

    def add(self, token: str, user: str, roles: Collection[str] = ()) -> Token:
        """Let whoever has a token log in.

        :param token: in plain text; only its digest is kept.
        :returns: what it stands for; its ``line`` is for a file.
        :raises ValueError: for a token that is there already, and names that a file cannot have.
        """
        names_of("roles", roles)
        for name in (user, *roles):
            if not name or not name.isprintable() or " " in name:
                raise ValueError(f"{name!r}: expected a name without spaces")
        if any("," in each for each in roles):
            raise ValueError(f"roles {', '.join(roles)}: expected names without commas")
        if not token:
            raise ValueError("expected a token that is not empty")
        added = Token(digest_of(token), user, frozenset(roles))
        if added.digest in self._tokens:
            raise ValueError(f"a token of {user}: there is the same one already")
        self._tokens[added.digest] = added
        return added

    def reload(self) -> None:
        """Read the file again; sessions that have begun stay as they are.

        :raises TokenError: if it cannot be used; what there was is still there.
        """
        self.prepare()()

    def prepare(self) -> Callable[[], None]:
        """Read the file again, and change nothing yet.

        :returns: what makes it so.
        :raises TokenError: if it cannot be used.
        """
        if self._path is None:
            raise TokenError("these tokens are of no file")
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise TokenError(f"{self._path}: {error.strerror}: expected a file of tokens") from None
        tokens = _parsed(self._path, data)

        def commit() -> None:
            self._tokens = tokens

        return commit

    def find(self, token: str) -> Token | None:
        """What a token stands for.

        How long it takes says nothing about the tokens that there are.
        """
        given = digest_of(token)
        found = None
        for each in self._tokens.values():
            if hmac.compare_digest(each.digest, given):
                found = each
        return found


def digest_of(token: str) -> bytes:
    """What is kept of a token."""
    return sha256(token.encode("utf-8", "surrogateescape")).digest()


def _parsed(path: Path, data: bytes) -> dict[bytes, Token]:
    found: dict[bytes, Token] = {}
    lines: dict[bytes, int] = {}
    for number, line in enumerate(data.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith(b"#"):
            continue
        try:
            token = _token_of(words)
        except ValueError as error:
            raise TokenError(f"{path}, line {number}: {error}") from None
        if token.digest in found:
            same = lines[token.digest]
            raise TokenError(f"{path}, line {number}: the same token as in line {same}")
        found[token.digest] = token
        lines[token.digest] = number
    return found


def _token_of(words: list[bytes]) -> Token:
    """What a line says; whatever is wrong with it, no word of it is repeated."""
    if not 2 <= len(words) <= 3:
        raise ValueError(f"{_words(len(words))}: {_EXPECTED}")
    try:
        first, user, *rest = (each.decode() for each in words)
    except UnicodeDecodeError:
        raise ValueError("no UTF-8: expected a text file") from None
    digits = first.removeprefix(_PREFIX)
    try:
        digest = bytes.fromhex(digits)
    except ValueError:
        digest = b""
    if digits == first or len(digest) != sha256().digest_size:
        raise ValueError(f"no SHA-256 in 64 hexadecimal digits: {_EXPECTED}")
    roles = _roles(rest[0]) if rest else ()
    return Token(digest, user, frozenset(roles))


def _roles(text: str) -> Iterable[str]:
    roles = text.split(",")
    if not all(roles):
        raise ValueError("a role without a name: expected ROLE,ROLE without spaces")
    return roles


def _words(count: int) -> str:
    return "1 word" if count == 1 else f"{count} words"
