"""``--check-config`` and ``--print-config``: what would run, without running it."""

import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock

from netsuite.service import Daemon, Listener
from netsuite.service._config import DaemonConfig
from netsuite.service._errors import ConfigError
from netsuite.service._listen import LISTENING_NAMES
from netsuite.service._options import ServerOptions, SettingOptions, program_name
from netsuite.service._settings import CONFIG, VARIABLE_PREFIX, Setting
from netsuite.service._sources import Given, Source
from netsuite.service._suite import Suite, SuiteConfig

C = TypeVar("C")


def check_service(options: ServerOptions) -> None:
    """Make everything that a service is made of, and let it listen on nothing.

    :raises ConfigError: for the first thing that cannot work.
    """
    _check_directories(options)
    daemon = options.daemon_config()
    build = getattr(sys.modules[type(options).__module__], "build_service", None)
    try:
        if build is not None:
            build(_without_files(options, options.config), MemoryReactorClock())
        else:
            served = [
                Listener(name=name, factory=Factory(), endpoints=endpoints)
                for name, endpoints in options.listeners()
            ]
            Daemon(_without_files(options, daemon), served, MemoryReactorClock())
    except ConfigError as error:
        raise options.explained(error) from None


def _check_directories(options: SettingOptions) -> None:
    """Files that will be written need a place: :exc:`ConfigError` for one that has none."""
    for setting in options.all_settings():
        path = options[setting.name] if setting.writes else None
        if path is not None and not path.parent.is_dir():
            raise options.error(setting.name, f"{path}: expected a directory {path.parent}")


def _without_files(options: SettingOptions, config: C) -> C:
    """``config`` without a log: to check it must not leave a file behind."""
    if not is_dataclass(config) or isinstance(config, type):
        return config
    written = {each.field for each in options.all_settings() if each.writes}
    changes: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in written:
            changes[field.name] = None
        elif isinstance(value, DaemonConfig):
            changes[field.name] = _without_files(options, value)
    return replace(config, **changes)


def check_report(options: ServerOptions) -> str:
    """What ``--check-config`` shows if all is well.

    :raises ConfigError: if it is not.
    """
    check_service(options)
    return _report(options, [*_served(options), *_admin(options)])


def suite_report(config: SuiteConfig, options: SettingOptions) -> str:
    """The same for a suite.

    :raises ConfigError: if it is not.
    """
    _check_directories(options)
    for member in config.members:
        check_service(member.options)
    Suite(replace(config, members=()), MemoryReactorClock())  # for the admin site
    parts = [f"{each.name}: {', '.join(_served(each.options))}" for each in config.members]
    return _report(options, [*parts, *_admin(options)])


def _report(options: SettingOptions, parts: Iterable[str]) -> str:
    lines = [f"configuration ok: {'; '.join(parts)}", *_odd_variables(options)]
    return "".join(f"{line}\n" for line in lines)


def _odd_variables(options: SettingOptions) -> Iterator[str]:
    """Notes on variables that look like a setting, and are none."""
    known = [setting.variable for setting in options.all_settings()]
    for name in sorted(options.environ):
        if name.startswith(VARIABLE_PREFIX) and name not in known:
            for close in get_close_matches(name, known, 1, 0.85):
                yield f"note: {name} is no setting: did you mean {close}?"


def _served(options: ServerOptions) -> list[str]:
    return [f"{name} on {', '.join(endpoints)}" for name, endpoints in options.listeners()]


def _admin(options: SettingOptions) -> list[str]:
    config = options.daemon_config()
    return [] if config.admin is None else [f"admin on {config.admin_endpoint}"]


def service_toml(options: ServerOptions, *, shared: Iterable[str] = ()) -> str:
    """The settings in effect as a TOML table, each with where it comes from.

    :param shared: names that are left out.
    """
    served = options.listeners()
    given = {
        name: value
        for name, value in options.given.items()
        if name not in {*LISTENING_NAMES, "config", *shared}
    }
    if len(served) == 1:
        place = _comment(options.listen.place)
        lines = [f"listen = {toml_value(served[0][1])}  # {place}\n"]
    else:
        lines = [
            "# Several services in one: in a file, each is a [[service]] of a suite.\n",
            *(f"# {name}: {toml_value(endpoints)}\n" for name, endpoints in served),
        ]
        given.pop("service", None)
    return "".join([*lines, *setting_lines(options.all_settings(), given)])


def setting_lines(settings: Iterable[Setting], given: dict[str, Given]) -> Iterator[str]:
    """A line of TOML for each setting that has a value, and a comment for the others."""
    for setting in settings:
        if setting.name not in given:
            continue
        each = given[setting.name]
        value = '"none"' if each.value is None else toml_value(each.value)
        unset = each.value is None and each.source is Source.DEFAULT
        yield f"{'# ' if unset else ''}{setting.name} = {value}  # {_comment(each.place)}\n"


def _comment(place: str) -> str:
    """Where a value comes from, without the name that stands before it."""
    return re.sub(r": [a-z0-9-]+\Z", "", place) or "default"


def toml_value(value: Any) -> str:
    """A setting's value in TOML."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case tuple():
            return f"[{', '.join(map(toml_value, value))}]"
        case Path() | str():
            # JSON's strings are TOML's, but for one character.
            return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    raise TypeError(f"{value!r}: expected a setting's value")


def effective_toml(options: ServerOptions) -> str:
    """What ``--print-config`` shows."""
    return (
        f"# {program_name(options.service_name)}: the settings in effect\n{service_toml(options)}"
    )


def suite_toml(config: SuiteConfig, options: SettingOptions) -> str:
    """The same for a suite."""
    given = {name: each for name, each in options.given.items() if name != CONFIG.name}
    parts = [
        "# netsuite-suite: the settings in effect\n\n[daemon]\n",
        *setting_lines(options.all_settings(), given),
    ]
    shared = [each.name for each in options.all_settings() if each.process]
    for member in config.members:
        parts += [
            f"\n[[service]]\ntype = {toml_value(member.kind)}\nname = {toml_value(member.name)}\n",
            service_toml(member.options, shared=shared),
        ]
    return "".join(parts)
