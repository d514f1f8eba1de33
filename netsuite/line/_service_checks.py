"""What a configuration of a line service cannot be, and what is said of one that runs."""

import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from netsuite.line.app import LineApp
from netsuite.line.kv._store import ITEM_OVERHEAD, MIB
from netsuite.line.kv._wire import KEY_LENGTH
from netsuite.service import ConfigError, SettingError

if TYPE_CHECKING:
    from netsuite.line.service import LineConfig
    from netsuite.service import Listening

_READ_BY_OTHERS = stat.S_IRGRP | stat.S_IROTH


#: Applications that have no channels of their own.
_NO_CHANNELS = {"echo", "ip", "kv"}


def check_fronts(config: "LineConfig") -> None:
    """Refuse what is served nowhere, and to nobody.

    :raises ConfigError: for that.
    """
    if not (config.listen or config.telnet or config.ssh):
        raise ConfigError("line: expected an endpoint to listen on")
    if config.ssh and not config.ssh_host_key:
        raise SettingError("ssh", f"{config.ssh[0]}: expected ssh-host-key too")
    if config.ssh and config.ssh_authorized_keys is None and config.password_file is None:
        problem = "nobody could come in: expected ssh-authorized-keys or password-file too"
        raise SettingError("ssh", f"{config.ssh[0]}: {problem}")


def check_company(config: "LineConfig") -> None:
    """Refuse settings without the one that they belong to.

    :raises SettingError: for the first of them.
    """
    if not config.ssh:
        for name in ("ssh_host_key", "ssh_generate_host_key", "ssh_authorized_keys"):
            if getattr(config, name):
                raise SettingError(name, "without SSH: expected ssh too")
    if config.plaintext_passwords and config.password_file is None:
        raise SettingError("plaintext_passwords", "without passwords: expected password-file too")
    if config.max_subscriptions is not None and config.app in _NO_CHANNELS and not config.channels:
        problem = f"with {config.app}, which has no channels: expected channels too"
        raise SettingError("max_subscriptions", problem)
    if config.starttls is not None and not config.daemon.tls:
        raise SettingError(
            "starttls",
            f"{config.starttls} and no certificate: expected tls-cert, tls-directory or "
            "tls-self-signed too",
        )


def check_cache(config: "LineConfig") -> None:
    """Refuse what the kv application has no use for.

    :raises SettingError: for that.
    """
    for name in ("memory", "value_size"):
        value = getattr(config, name)
        if value is not None and value < 1:
            raise SettingError(name, f"{value}: expected 1 or more")
    if config.app != "kv":
        return
    if config.channels:
        raise SettingError("channels", "with kv: expected an app whose peers take pushes")
    largest = MIB if config.value_size is None else config.value_size
    least = largest + KEY_LENGTH + ITEM_OVERHEAD
    if config.memory is not None and config.memory < least:
        problem = f"{config.memory}: expected {least} or more for a value of {largest} bytes"
        raise SettingError("memory", f"{problem}, or a smaller value-size")


def check_logins(config: "LineConfig", app: LineApp) -> None:
    """Refuse a time to log in where nobody does.

    :raises SettingError: for that.
    """
    if config.login_timeout is not None and not (app.login_required or config.ssh):
        problem = "without logins: expected password-file, token-file or ssh too"
        raise SettingError("login_timeout", problem)


def open_to_others(files: Iterable[Path | None]) -> Iterator[str]:
    """A line for each file of secrets that others than its owner can read."""
    for path in files:
        with suppress(OSError):
            mode = 0 if path is None else stat.S_IMODE(path.stat().st_mode)
            if mode & _READ_BY_OTHERS:
                yield f"{path}: mode {mode:04o}: others can read it; expected 0600"


def ways_to_talk(
    listening: "Sequence[Listening]", *, app: str, starttls: bool, logs_in: bool
) -> Iterator[str]:
    """A command for each kind of listener, for people.

    :param app: the application's name.
    :param starttls: whether plain lines go on with TLS.
    :param logs_in: whether whoever speaks them has to log in.
    """
    seen: set[str] = set()
    for each in listening:
        command = each.command
        if command is None or each.name in seen:
            continue
        seen.add(each.name)
        host, port = _place(each)
        if each.name == "ssh":
            command = f"ssh -p {port} {host}"
        elif each.name == "telnet" and not each.tls:
            command = f"telnet {host} {port}"
        elif each.name == "line" and app == "kv" and starttls:
            continue  # no client of memcached's begins TLS like that
        elif each.name == "line" and (starttls or logs_in):
            shown = f"[{host}]" if ":" in host else host
            tls = " --tls" if each.tls else " --starttls" if starttls else ""
            command = f"netsuite line connect {shown}:{port}{tls}"
        yield command


def _place(listening: "Listening") -> tuple[str, int]:
    """A host that can be reached from here, and the port."""
    address = listening.address
    host, port = str(getattr(address, "host", "")), int(getattr(address, "port", 0))
    return ("localhost" if host in {"0.0.0.0", "::"} else host), port
