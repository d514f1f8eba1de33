"""Keys: a server's own, and those that let people in."""

import os
import pwd
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
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
    {"restrict", "no-agent-forwarding", "no-port-forwarding", "no-user-rc", "no-x11-forwarding"}
)
#: Options of ours.
_OURS = frozenset({"roles", "user"})
_EXPECTED = "expected a public key as in a .pub file of ssh-keygen"


class HostKeys:
    """A server's own keys, one of each kind.

    :param given: keys, or paths of files as ssh-keygen writes them.
    :param generate: whether an Ed25519 key is made where there is no file.
    :ivar keys: of them all.
    :raises SSHError: for what is no such key.
    """

    def __init__(self, given: Iterable[Key | str | os.PathLike[str]], generate: bool) -> None:
        self.keys: list[Key] = []
        self._unsaved: dict[int, Path] = {}
        for each in given:
            if isinstance(each, Key):
                self.keys.append(each)
                continue
            file = Path(each)
            if generate and not file.exists():
                self._unsaved[len(self.keys)] = file
                self.keys.append(Key(Ed25519PrivateKey.generate()))
            else:
                self.keys.append(host_key(file))
        kinds = {each.sshType() for each in self.keys}
        if len(kinds) < len(self.keys):
            raise SSHError("host keys: expected one of each kind")

    def save(self) -> None:
        """Write those that were made, unless somebody else has been quicker.

        :raises SSHError: for a file that cannot be written.
        """
        for at, file in self._unsaved.items():
            if not save_key(file, self.keys[at]):
                self.keys[at] = host_key(file)
        self._unsaved.clear()


def host_key(path: str | os.PathLike[str]) -> Key:
    """A server's own key, from a file as ssh-keygen writes it.

    :raises SSHError: for what is no such key.
    """
    file = Path(path)
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


def save_key(file: Path, key: Key) -> bool:
    """Write a private key for its owner alone, and the public one beside it.

    :returns: whether there was no file yet; otherwise it stays as it is.
    :raises SSHError: if it cannot be written.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as opened:  # noqa: PTH123 - a descriptor
            opened.write(key.toString("openssh", subtype="v1"))
        public = key.public().toString("openssh")
        file.with_name(f"{file.name}.pub").write_bytes(public + b"\n")
    except FileExistsError:
        return False
    except OSError as error:
        raise SSHError(f"host key {file}: {error.strerror}") from None
    return True


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_MOST_READ)
    except OSError as error:
        raise SSHError(f"{file}: {error.strerror}") from None


# People's.


@dataclass(slots=True)
class Entry:
    """What files say of a user.

    :ivar keys: as blobs.
    :ivar roles: what the user may do.
    """

    keys: set[bytes] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)


def parse_authorized_keys(data: bytes, where: str, owner: str | None) -> dict[str, Entry]:
    """Whom the lines of a file let in.

    :param where: the file's name, for errors.
    :param owner: the user of lines without the option ``user="name"``.
    :raises SSHError: for a line that says something else, naming it: what is not understood
        could be a restriction.
    """
    found: dict[str, Entry] = {}
    for number, line in enumerate(data.splitlines(), 1):
        line = line.strip()  # noqa: PLW2901 - the same line
        if line and not line.startswith(b"#"):
            try:
                options, key = _parse_line(line)
                users = options.get("user") or ([] if owner is None else [owner])
                if not users:
                    raise ValueError('expected user="name" before the key: nobody owns the file')
            except ValueError as error:
                raise SSHError(f"{where}, line {number}: {error}") from None
            for user in users:
                entry = found.setdefault(user, Entry())
                entry.keys.add(key)
                entry.roles.update(options.get("roles", ()))
    return found


def _parse_line(line: bytes) -> tuple[dict[str, list[str]], bytes]:
    options: dict[str, list[str]] = {}
    if line.split(None, 1)[0] not in _KEY_TYPES:
        line, options = _parse_options(line)
    words = line.split()
    if len(words) < 2 or words[0] not in _KEY_TYPES:
        raise ValueError(_EXPECTED)
    try:
        key = Key.fromString(b" ".join(words[:2]))
    except Exception:  # noqa: BLE001 - whatever is wrong with it
        raise ValueError(_EXPECTED) from None
    if key.type() == "RSA" and key.size() < _LEAST_RSA:
        raise ValueError(f"RSA of {key.size()} bits: expected {_LEAST_RSA} or more")
    return options, key.blob()


def _parse_options(line: bytes) -> tuple[bytes, dict[str, list[str]]]:
    """What stands behind the options, and what those say that are ours."""
    options: dict[str, list[str]] = {}
    while match := _OPTION.match(line):
        name, value = match[1].decode("ascii").lower(), match[2]
        line = line[match.end() :]
        if name in _OURS and value:
            options[name] = [each.strip() for each in value.decode().split(",")]
        elif name not in _NEEDLESS or value is not None:
            raise ValueError(
                f'{name}: expected a public key, or user="name",roles="role" before it'
            )
        if match[0][-1:] != b",":
            break
    return line, options


class AuthorizedKeys:
    """Keys that let people in, as the files have them when somebody comes.

    :param path: a file whose lines name users or are its owner's; or, with ``%u`` in it, a file
        for each user.
    :raises SSHError: for a file that cannot be used. One for each user is looked at later.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._seen: tuple[int, int, int] | None = None
        self._entries: dict[str, Entry] = {}
        if "%u" not in self._path:
            self.of(".")  # nobody's name

    def of(self, user: str) -> Entry:
        """What is said of a user.

        :raises SSHError: for a file that cannot be used.
        """
        if "%u" not in self._path:
            return self._of_file(Path(self._path)).get(user, Entry())
        if not _NAME.fullmatch(user):
            return Entry()
        file = Path(self._path.replace("%u", user))
        if not file.exists():
            return Entry()
        return parse_authorized_keys(_read(file), str(file), user).get(user, Entry())

    def _of_file(self, file: Path) -> dict[str, Entry]:
        try:
            status = file.stat()
        except OSError as error:
            raise SSHError(f"{file}: {error.strerror}") from None
        seen = status.st_mtime_ns, status.st_size, status.st_ino
        if seen != self._seen:
            owner = None
            with suppress(KeyError):
                owner = pwd.getpwuid(status.st_uid).pw_name
            self._entries = parse_authorized_keys(_read(file), str(file), owner)
            self._seen = seen
        return self._entries


class KeysByUser:
    """Keys that a program has for its users.

    :param keys: lines of public keys, by user.
    :raises SSHError: for a line that is none.
    """

    def __init__(self, keys: Mapping[str, Iterable[str]]) -> None:
        self._entries = {
            user: parse_authorized_keys("\n".join(lines).encode(), f"keys of {user}", user)
            for user, lines in keys.items()
        }

    def of(self, user: str) -> Entry:
        """What is said of a user."""
        return self._entries.get(user, {}).get(user, Entry())


@implementer(ICredentialsChecker)
class PublicKeyChecker:
    """Lets in those who can sign with a key that is theirs."""

    credentialInterfaces = (ISSHPrivateKey,)

    def __init__(self, keys: AuthorizedKeys | KeysByUser) -> None:
        self._keys = keys

    def roles(self, user: str) -> Collection[str]:
        """What the lines of keys say that a user may do."""
        return self._keys.of(user).roles

    def requestAvatarId(self, credentials: SSHPrivateKey) -> bytes:  # type: ignore[override]  # a portal takes it
        """The user's name.

        :raises UnauthorizedLogin: for another key, and for a signature that is none.
        :raises ValidPublicKey: for the right key without a signature.
        """
        name: bytes = credentials.username
        if credentials.blob not in self._keys.of(name.decode()).keys:
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
