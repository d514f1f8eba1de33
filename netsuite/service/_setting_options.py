"""Options that are made of settings: of a command line, of variables, and of a file."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NoReturn, Self

from twisted.python import usage

from netsuite._command_line import EXIT_TROUBLE, show
from netsuite._version import __version__
from netsuite.service._config import DaemonConfig, PlacedError
from netsuite.service._daemon_settings import DAEMON_SETTINGS, reloaded
from netsuite.service._errors import ConfigError
from netsuite.service._help import Row, help_text
from netsuite.service._reactor import take_reactor
from netsuite.service._settings import (
    BOOLEAN,
    CONFIG,
    FILE,
    LISTEN_SETTINGS,
    PROCESS,
    Setting,
)
from netsuite.service._sources import (
    Given,
    Layer,
    Source,
    explain,
    from_environment,
    from_table,
    merge,
    parse_at,
)
from netsuite.service._toml import load

_ACTIONS = ("check-config", "print-config", "version", "help")


class SettingOptions(usage.Options):
    """Options that are made of settings: flags, variables and keys of a file at once.

    A subclass lists its own in :attr:`settings`. Once parsed, ``options["max-per-client"]``
    is the value that won.

    Under ``twistd`` a mistake is one line on standard error and exit status 2. Used
    directly, ``parseOptions`` raises :class:`twisted.python.usage.UsageError`.
    """

    #: What comes after ``netsuite-`` in the service's name.
    service_name = ""
    #: What a class adds to those of its bases.
    settings: ClassVar[tuple[Setting, ...]] = ()
    #: What :meth:`postOptions` makes of them.
    config: Any

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        own: tuple[Setting, ...] = cls.__dict__.get("settings", ())
        for setting in own:
            if not hasattr(cls, f"opt_{setting.field}"):
                option = _option(setting)
                setattr(cls, f"opt_{setting.field}", option)
        if own and "compData" not in cls.__dict__:
            cls.compData = _completions(own)  # type: ignore[attr-defined]  # Twisted asks for it

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        super().__init__()
        #: The variables of the environment that it was made in.
        self.environ = dict(os.environ if environ is None else environ)
        #: The directory that file names start from; ``twistd`` may change its own later.
        self._base = Path.cwd()
        #: As they were typed.
        self.arguments: Sequence[str] = ()
        self._action = ""
        self._again = False
        self._flags: dict[str, Given] = {}
        #: The values of all settings, with where they come from.
        self.given: dict[str, Given] = {}
        #: What has changed in the files since the start, and takes a restart: names.
        self.needs_restart: tuple[str, ...] = ()

    # What there is.

    @classmethod
    def all_settings(cls) -> tuple[Setting, ...]:
        """The settings of the class and its bases, its own first."""
        return tuple(
            setting for base in cls.__mro__ for setting in base.__dict__.get("settings", ())
        )

    def file_settings(self) -> tuple[Setting, ...]:
        """Those that may be in a file."""
        return tuple(each for each in self.all_settings() if each is not CONFIG)

    # The command line.

    def take(self, setting: Setting, text: str) -> None:
        """A flag was given with a value.

        :raises ConfigError: if the value cannot be.
        """
        value = parse_at(setting, text, setting.flag, self._base)
        if setting.repeatable:
            before = self._flags.get(setting.name)
            value = (*before.value, value) if before else (value,)
        self._flags[setting.name] = Given(value, Source.FLAG, setting.flag)

    def switch_on(self, setting: Setting) -> None:
        """A flag without a value was given."""
        self._flags[setting.name] = Given(True, Source.FLAG, setting.flag)

    def opt_check_config(self) -> None:
        """Read all settings and the files that they name, say whether they are right, and exit."""
        self._action = "check"

    def opt_print_config(self) -> None:
        """Show the settings in effect, and where each comes from, as a TOML file, and exit."""
        self._action = "print"

    def opt_version(self) -> NoReturn:
        """Show the version and exit."""
        self._show(f"netsuite {__version__}\n")

    def opt_help(self) -> NoReturn:
        """Show this and exit."""
        self._show(str(self))

    def parseArgs(self, *args: str) -> None:
        """Refuse arguments that are no options; then ask the other sources."""
        if args:
            raise usage.UsageError(f"unexpected argument {args[0]!r}: expected options only")
        self.fill()

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse; see the class for what a mistake does.

        Under ``twistd`` this also is when a reactor is chosen, if the command line has not: as
        late as can be, so that what only says something and ends has none.
        """
        self.arguments = list(sys.argv[1:] if options is None else options)
        try:
            super().parseOptions(self.arguments)
            report = self._report()
        except (usage.UsageError, ConfigError) as error:
            if getattr(self, "parent", None) is None:
                raise usage.UsageError(str(error)) from None
            exit_with(self.service_name, str(error))
        if report is not None:
            self._show(report)
        if getattr(self, "parent", None) is not None:
            take_reactor()

    def _show(self, text: str) -> NoReturn:
        show(program_name(self.service_name), text)
        raise SystemExit(0)

    def _report(self) -> str | None:
        """What was asked for instead of a running service."""
        return {"check": self.checked, "print": self.effective}.get(self._action, lambda: None)()

    def checked(self) -> str:
        """What ``--check-config`` shows if all is well.

        :raises ConfigError: if it is not.
        """
        raise NotImplementedError

    def effective(self) -> str:
        """What ``--print-config`` shows."""
        raise NotImplementedError

    # The other sources.

    def fill(self) -> None:
        """Give each setting the value of the strongest source that has one.

        :raises ConfigError: for a value that cannot be, with where it was found.
        """
        layers: list[Layer] = [from_environment(self.all_settings(), self.environ, self._base)]
        path = merge([CONFIG], [self._flags, *layers])[CONFIG.name].value
        if path is not None:
            layers.append(self.read_file(path))
        self.use(layers)

    def read_file(self, path: Path) -> Layer:
        """What the file for ``--config`` gives."""
        name = self.shown(path)
        table = load(path, name)
        for key in ("daemon", "service"):
            if isinstance(table.values.get(key), dict | list):
                raise table.error(f"a file for several services: netsuite run --config {name}", key)
        return from_table(self.file_settings(), table, path.parent)

    def shown(self, path: Path) -> str:
        """A file's name as it was most likely typed."""
        return str(path.relative_to(self._base) if path.is_relative_to(self._base) else path)

    def use(self, layers: Sequence[Layer]) -> None:
        """Go by flags first, then by other sources, the strongest first."""
        self.given = merge(self.all_settings(), [self._flags, *layers])
        for name, given in self.given.items():
            self[name] = given.value

    def error(self, name: str, problem: str) -> PlacedError:
        """What is wrong with a setting's value, with where it comes from.

        :param problem: the value, and what is wrong with it or what was expected.
        """
        given = self.given.get(name)
        return PlacedError(f"{given.place if given and given.place else f'--{name}'} {problem}")

    def explained(self, error: ConfigError) -> usage.UsageError:
        """An error of a configuration, with the variable or the line that it comes from."""
        return explain(error, self.given)

    def reload(self) -> Any:
        """Read the files again, for :meth:`netsuite.service.Daemon.prepare`.

        What cannot change while it runs stays as it is, and is named in
        :attr:`needs_restart`.

        :raises ConfigError: if the files do not say it right: one line, with the file's name
            and the line.
        """
        config, self.needs_restart = self.changed_to(self.fresh())
        return config

    def changed_to(self, fresh: Self) -> tuple[DaemonConfig, tuple[str, ...]]:
        """What a daemon with these options can make of others, and what needs a restart."""
        config, names = reloaded(self.daemon_config(), fresh.daemon_config())
        return config, (*self.restart_names(fresh), *names)

    def fresh(self) -> Self:
        """The same command line, with the variables and files of now.

        :raises ConfigError: if they do not say it right.
        """
        fresh = type(self)()
        fresh.environ, fresh._base, fresh._again = self.environ, self._base, True
        try:
            fresh.parseOptions(self.arguments)
        except usage.UsageError as error:
            raise ConfigError(str(error)) from None
        return fresh

    def restart_names(self, fresh: Self) -> tuple[str, ...]:
        """Settings that differ and cannot change, but for those of the daemon."""
        mine = [each for each in self.all_settings() if each not in DAEMON_SETTINGS]
        return tuple(
            each.name
            for each in mine
            if each not in LISTEN_SETTINGS and self[each.name] != fresh[each.name]
        )

    def daemon_config(self) -> DaemonConfig:
        """The settings that every daemon has, as data.

        :raises usage.UsageError: for a value that is out of range.
        """
        values = {each.field: self[each.name] for each in DAEMON_SETTINGS}
        try:
            return DaemonConfig(**values)
        except ConfigError as error:
            raise self.explained(error) from None

    # Help.

    def getSynopsis(self) -> str:
        """The first line of the help."""
        name = self.service_name
        return f"Usage: netsuite {name} [options]  (or: twistd -n netsuite-{name} [options])"

    def getUsage(self, width: int | None = None) -> str:
        """The rest of the help: what it is, and the options under headings."""
        groups: dict[str, list[Row]] = {}
        known = set(_ACTIONS)
        for setting in self.all_settings():
            known.add(setting.name)
            groups.setdefault(setting.group, []).append(Row.of(setting))
        others = [each for each in self.longOpt if each.removesuffix("=") not in known]
        if others:  # a subclass that does as Twisted's own do
            docs = [(each, str(self.docs[each.removesuffix("=")])) for each in others]
            groups = {"Options": [Row(f"    --{each}", text) for each, text in docs], **groups}
        groups.setdefault(PROCESS, [])
        groups[PROCESS] += [Row(f"    --{name}", str(self.docs[name])) for name in _ACTIONS]
        screen = width or int(os.environ.get("COLUMNS") or 80)
        return help_text(groups, getattr(self, "longdesc", ""), screen) + _AFTER_HELP


_AFTER_HELP = """
Every option but the last four is also an environment variable (--log-level is
NETSUITE_LOG_LEVEL) and a key of the TOML file that --config names (log-level).
"""


def _option(setting: Setting) -> Callable[..., None]:
    """What Twisted calls when a flag was given; its docstring is the help."""

    def take(self: SettingOptions, text: str) -> None:
        self.take(setting, text)

    def switch_on(self: SettingOptions) -> None:
        self.switch_on(setting)

    option = switch_on if setting.kind is BOOLEAN else take
    option.__doc__ = setting.help
    return option


def _completions(settings: Sequence[Setting]) -> usage.Completions:
    """What a shell may offer as values."""
    actions: dict[str, Any] = {}
    for setting in settings:
        if setting.kind.choices:
            actions[setting.name] = usage.CompleteList(setting.kind.choices)
        elif setting.kind is FILE:
            actions[setting.name] = usage.CompleteFiles()
    return usage.Completions(
        optActions=actions, multiUse=[each.name for each in settings if each.repeatable]
    )


def exit_with(service_name: str, message: str) -> NoReturn:
    """End the program for a mistake of the person who typed the command."""
    sys.stderr.write(f"{program_name(service_name)}: {' '.join(message.split())}\n")
    raise SystemExit(EXIT_TROUBLE)


def program_name(service_name: str) -> str:
    """What a service is called in messages."""
    return f"netsuite-{service_name}"


def twistd_options(options: usage.Options) -> Any:
    """The options of the ``twistd`` that runs a service; empty where there is none."""
    parent = getattr(options, "parent", None)
    return {} if parent is None else parent
