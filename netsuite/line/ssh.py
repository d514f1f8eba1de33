"""A line application over SSH: a shell for people and scripts, and commands of one line.

:func:`ssh_factory` makes the factory::

    from netsuite.line.ssh import ssh_factory

    factory = ssh_factory(
        app, reactor, host_keys=["host_key"], authorized_keys="authorized_keys"
    )
    endpoint.listen(factory)

``ssh -p 2222 host`` has a line that is edited, with history and completion; ``ssh host add 1 2``
carries out one command, with exit status 0, or 1 for an error; ``ssh -T host < script`` is what TCP
is. Whoever comes in has logged in: ``session.user`` is the name, and ``session.secure`` holds.

RFC 4251 to 4254, 5656, 8308, 8332, 8709 and 8731 on :mod:`twisted.conch`, which the extra
``netsuite[ssh]`` brings. Left out: passwords that are to be changed, keyboard-interactive and
host-based authentication, compression, all forwarding, agents, X11, environments, and
subsystems, SFTP among them.

Nothing of conch is imported before the factory is made: it would install a reactor.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.interfaces import IReactorTime

from netsuite.line._failures import Delay
from netsuite.line._ssh_error import SSHError
from netsuite.line.app import LineApp

if TYPE_CHECKING:
    from netsuite.line._ssh_auth import Roles
    from netsuite.line._ssh_transport import SSHFactory

__all__ = ["SSHError", "load_host_key", "ssh_factory"]

_Path = str | os.PathLike[str]


def load_host_key(path: _Path, *, generate: bool = False) -> Any:
    """A server's own key (:class:`twisted.conch.ssh.keys.Key`).

    :param path: of a file as ``ssh-keygen`` writes it, without a passphrase.
    :param generate: whether an Ed25519 key is made there, with a ``.pub`` file beside it, where
        there is no file.
    :raises SSHError: for what is no such key; or if conch is not there.
    """
    _require_conch()
    from netsuite.line._ssh_keys import HostKeys  # noqa: PLC0415 - see the module

    keys = HostKeys([path], generate)
    keys.save()
    return keys.keys[0]


def ssh_factory(
    app: LineApp,
    clock: IReactorTime,
    *,
    host_keys: Sequence[Any],
    authorized_keys: _Path | Mapping[str, Iterable[str]] | None = None,
    checkers: Sequence[ICredentialsChecker] = (),
    roles: "Roles | None" = None,
    delay: Delay | None = None,
    attempts: int = 6,
    login_time: float = 30.0,
    channels: int = 10,
    generate_host_keys: bool = False,
) -> "SSHFactory":
    """A factory that serves a line application over SSH.

    :param app: the application.
    :param clock: the time, and calls later; usually the reactor.
    :param host_keys: paths of files, or what :func:`load_host_key` gives: one of each kind.
    :param authorized_keys: who comes in with which public key. A path with ``%u`` in it is that
        of a file for each user, as in OpenSSH's ``AuthorizedKeysFile``. In any other file each line
        has ``user="name"`` (or several names, with commas) before the key; lines without it
        are the keys of the user who owns the file. ``roles="role"`` says what the user may do.
        Or lines of public keys, by user.
    :param checkers: of :mod:`twisted.cred`, for passwords.
    :param roles: what each user may do, or a function that says so, beside what lines of keys
        say.
    :param delay: for those who give wrong passwords.
    :param attempts: failures to come in that end a connection.
    :param login_time: seconds until a peer has to have come in.
    :param channels: sessions that one connection may have at a time.
    :param generate_host_keys: whether Ed25519 keys are made for paths where there is no file.
        They are written once the factory is served (:meth:`SSHFactory.save_host_keys`).
    :raises SSHError: for keys that cannot be used, or if conch is not there.
    :raises ValueError: for numbers below 1, and if nobody could come in.
    """
    _require_conch()
    from netsuite.line import _ssh_keys, _ssh_transport  # noqa: PLC0415 - see the module

    for name, value in (("attempts", attempts), ("channels", channels)):
        if value < 1:
            raise ValueError(f"{name} {value}: expected 1 or more")
    if not login_time > 0:
        raise ValueError(f"login_time {login_time}: expected more than 0 seconds")
    if not host_keys:
        raise ValueError("host_keys: expected one or more")
    keys = _ssh_keys.HostKeys(host_keys, generate_host_keys)
    every = list(checkers)
    says_roles = [] if roles is None else [roles]
    if authorized_keys is not None:
        by_user = isinstance(authorized_keys, Mapping)
        of: Any = _ssh_keys.KeysByUser if by_user else _ssh_keys.AuthorizedKeys
        checker = _ssh_keys.PublicKeyChecker(of(authorized_keys))
        every.append(checker)
        says_roles.append(checker.roles)
    _check_checkers(every)
    return _ssh_transport.SSHFactory(
        app,
        clock,
        keys,
        every,
        says_roles,
        delay=delay or Delay(),
        attempts=attempts,
        login_time=login_time,
        channels=channels,
    )


def _check_checkers(checkers: Collection[ICredentialsChecker]) -> None:
    if not checkers:
        raise ValueError("expected authorized_keys or checkers: nobody could come in")
    seen: set[Any] = set()
    for checker in checkers:
        for kind in checker.credentialInterfaces:
            if kind in seen:
                raise ValueError(f"checkers: expected one for {kind.__name__}")
            seen.add(kind)


def _require_conch() -> None:
    try:
        import_module("twisted.conch.ssh.keys")
    except ImportError as error:
        raise SSHError(f"SSH: no module {error.name!r}: install netsuite[ssh]") from None
