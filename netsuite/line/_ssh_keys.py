"""Keys: a server's own, and those that let people in."""

import os
import pwd
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from twisted.conch.error import ValidPublicKey
from twisted.conch.ssh.common import getNS
from twisted.conch.ssh.keys import BadKeyError, EncryptedKeyError, Key
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ISSHPrivateKey, SSHPrivateKey
from twisted.cred.error import UnauthorizedLogin
from zope.interface import implementer

from netsuite.line._ssh_error import SSHError

#: Signatures of people. Not ssh-rsa, which is SHA-1, and not ssh-dss.
SIGNATURES = (
    b"ssh-ed25519",
    b"sk-ssh-ed25519@openssh.com",
    b"ecdsa-sha2-nistp256",
    b"ecdsa-sha2-nistp384",
    b"ecdsa-sha2-nistp521",
    b"sk-ecdsa-sha2-nistp256@openssh.com",
    b"rsa-sha2-512",
    b"rsa-sha2-256",
)

_KEY_TYPES = frozenset({each for each in SIGNATURES if not each.startswith(b"rsa-")} | {b"ssh-rsa"})
_HOST_KEY_TYPES = frozenset(each for each in _KEY_TYPES if not each.startswith(b"sk-"))
_LEAST_RSA = 2048
_MOST_READ = 1024 * 1024
_USER_PRESENT = 1

#: What can be in a user's name, where it is part of a path.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_OPTION = re.compile(rb'([A-Za-z0-9-]+)(?:="((?:[^"\\]|\\.)*)")?(?:,|[ \t]+|\Z)')
#: Options of OpenSSH that forbid what there is not.
_NEEDLESS = frozenset(
    {
        b"restrict",
        b"no-agent-forwarding",
        b"no-port-forwarding",
        b"no-user-rc",
        b"no-x11-forwarding",
    }
)


def host_key(path: str | os.PathLike[str], *, generate: bool = False) -> Key:
    """A server's own key, from a file as ssh-keygen writes it.

    :param generate: whether one is made (Ed25519) where there is no file.
    :raises SSHError: for what is no such key.
    """
    file = Path(path)
    if generate and not file.exists():
        _generate(file)
    try:
        key: Key = Key.fromString(_read(file))
    except EncryptedKeyError:
        raise SSHError(f"host key {file}: expected a key without a passphrase") from None
    except (BadKeyError, UnsupportedAlgorithm, ValueError, TypeError, IndexError, KeyError):
        raise SSHError(f"host key {file}: expected a private key as ssh-keygen writes it") from None
    if key.isPublic():
        raise SSHError(f"host key {file}: this is the public key: expected the private one")
    if key.sshType() not in _HOST_KEY_TYPES or (key.type() == "RSA" and key.size() < _LEAST_RSA):
        raise SSHError(
            f"host key {file}: {key.type()} of {key.size()} bits: expected Ed25519, ECDSA, "
            f"or RSA of {_LEAST_RSA} bits or more"
        )
    return key


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_MOST_READ)
    except OSError as error:
        raise SSHError(f"{file}: {error.strerror}") from None


def _generate(file: Path) -> None:
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as opened:  # noqa: PTH123 - a descriptor
            opened.write(pem)
        file.with_name(f"{file.name}.pub").write_bytes(public + b"\n")
    except FileExistsError:
        return  # somebody else was quicker, another worker for example
    except OSError as error:
        raise SSHError(f"host key {file}: {error.strerror}") from None


# People's.


def parse_authorized_keys(data: bytes, where: str, owner: str | None) -> dict[str, set[bytes]]:
    """Whom the lines of a file let in: keys by user.

    :param where: the file's name, for errors.
    :param owner: the user of lines without the option ``user="name"``.
    :raises SSHError: for a line that says something else, naming it: what is not understood
        could be a restriction.
    """
    found: dict[str, set[bytes]] = {}
    for number, line in enumerate(data.splitlines(), 1):
        line = line.strip()  # noqa: PLW2901 - the same line
        if line and not line.startswith(b"#"):
            try:
                users, key = _parse_line(line, owner)
            except ValueError as error:
                raise SSHError(f"{where}, line {number}: {error}") from None
            for user in users:
                found.setdefault(user, set()).add(key)
    return found


def _parse_line(line: bytes, owner: str | None) -> tuple[list[str], bytes]:
    users = [] if owner is None else [owner]
    if line.split(None, 1)[0] not in _KEY_TYPES:
        line, named = _parse_options(line)
        users = named or users
    if not users:
        raise ValueError('expected user="name" before the key: the file has no owner by name')
    words = line.split()
    if len(words) < 2 or words[0] not in _KEY_TYPES:
        raise ValueError("expected a public key as in a .pub file of ssh-keygen")
    try:
        key = Key.fromString(b" ".join(words[:2]))
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        raise ValueError("expected a public key as in a .pub file of ssh-keygen") from None
    if key.type() == "RSA" and key.size() < _LEAST_RSA:
        raise ValueError(f"RSA of {key.size()} bits: expected {_LEAST_RSA} or more")
    return users, key.blob()


def _parse_options(line: bytes) -> tuple[bytes, list[str]]:
    """What stands behind the options, and the users that they name."""
    users: list[str] = []
    while match := _OPTION.match(line):
        name, value = match[1], match[2]
        line = line[match.end() :]
        if name.lower() == b"user" and value:
            users = [each.strip() for each in value.decode().split(",")]
        elif name.lower() not in _NEEDLESS or value is not None:
            shown = name.decode("ascii")
            raise ValueError(f'{shown}: expected a public key, or user="name" before it')
        if match[0][-1:] != b",":
            break
    return line, users


class AuthorizedKeys:
    """Keys that let people in, as the files have them when somebody comes.

    :param path: a file whose lines name users or are its owner's; or, with ``%u`` in it, a file
        for each user.
    :raises SSHError: for a file that cannot be used. One for each user is looked at later.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._seen: tuple[int, int, int] | None = None
        self._keys: dict[str, set[bytes]] = {}
        if "%u" not in self._path:
            self.of(".")  # nobody's name

    def of(self, user: str) -> set[bytes]:
        """The keys of a user, as blobs.

        :raises SSHError: for a file that cannot be used.
        """
        if "%u" not in self._path:
            return self._of_file(Path(self._path), None).get(user, set())
        if not _NAME.fullmatch(user):
            return set()
        file = Path(self._path.replace("%u", user))
        if not file.exists():
            return set()
        return parse_authorized_keys(_read(file), str(file), user).get(user, set())

    def _of_file(self, file: Path, owner: str | None) -> dict[str, set[bytes]]:
        try:
            status = file.stat()
        except OSError as error:
            raise SSHError(f"{file}: {error.strerror}") from None
        seen = status.st_mtime_ns, status.st_size, status.st_ino
        if seen != self._seen:
            with suppress(KeyError):
                owner = pwd.getpwuid(status.st_uid).pw_name
            self._keys = parse_authorized_keys(_read(file), str(file), owner)
            self._seen = seen
        return self._keys


class KeysByUser:
    """Keys that a program has for its users.

    :param keys: lines of public keys, by user.
    :raises SSHError: for a line that is none.
    """

    def __init__(self, keys: Mapping[str, Iterable[str]]) -> None:
        self._keys = {
            user: parse_authorized_keys("\n".join(lines).encode(), f"keys of {user}", user)
            for user, lines in keys.items()
        }

    def of(self, user: str) -> set[bytes]:
        """The keys of a user, as blobs."""
        return self._keys.get(user, {}).get(user, set())


@implementer(ICredentialsChecker)
class PublicKeyChecker:
    """Lets in those who can sign with a key that is theirs."""

    credentialInterfaces = (ISSHPrivateKey,)

    def __init__(self, keys: AuthorizedKeys | KeysByUser) -> None:
        self._keys = keys

    def requestAvatarId(self, credentials: SSHPrivateKey) -> bytes:  # type: ignore[override]  # a portal takes it
        """The user's name.

        :raises UnauthorizedLogin: for another key, and for a signature that is none.
        :raises ValidPublicKey: for the right key without a signature.
        """
        name: bytes = credentials.username
        if credentials.blob not in self._keys.of(name.decode()):
            raise UnauthorizedLogin("not a key of this user")
        if credentials.signature is None:
            raise ValidPublicKey
        if not _is_signed(credentials):
            raise UnauthorizedLogin("not signed with this key")
        return name


def _is_signed(credentials: SSHPrivateKey) -> bool:
    try:
        kind, _, rest = getNS(credentials.signature, 2)
        key = Key.fromString(credentials.blob)
        if kind not in SIGNATURES:
            return False
        if key.isSecurityKey() and not rest[0] & _USER_PRESENT:
            return False
        return bool(key.verify(credentials.signature, credentials.sigData))
    except Exception:  # noqa: BLE001 - whatever a signature makes of it
        return False
