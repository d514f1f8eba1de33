"""``twistd -n netsuite --config suite.toml``: several services in one process."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from netsuite.service._config import PlacedError
from netsuite.service._daemon_settings import DAEMON_SETTINGS, reloaded
from netsuite.service._options import SettingOptions
from netsuite.service._process import process_service
from netsuite.service._rooms import room, services
from netsuite.service._settings import CONFIG
from netsuite.service._sources import Layer, from_environment, from_table, suggestion
from netsuite.service._suite import Member, Suite, SuiteConfig
from netsuite.service._toml import Table, load

#: What there is once in a process. The services share how to log, and know nothing of the rest.
_OF_THE_PROCESS = {each.name for each in DAEMON_SETTINGS if each.process}
_NOT_OF_SERVICES = {*_OF_THE_PROCESS, CONFIG.name} - {"log-format", "log-level"}

_ANY_PORT = re.compile(r"(?:tcp6?|ssl|dualstack):(?:port=)?0(?::|\Z)")


class Options(SettingOptions):
    """The command line of ``netsuite run``."""

    service_name = "suite"
    settings = (*DAEMON_SETTINGS, CONFIG)
    longdesc = (
        "Runs several services in one process. The TOML file for --config has a [[service]] "
        'table for each, with type = "echo" for what netsuite echo runs, a name if two are of '
        "one type, and keys that are named as that service's options are. What holds for all of "
        "them is in [daemon]. Options here win over both."
    )

    config: SuiteConfig

    def getSynopsis(self) -> str:
        """The first line of the help."""
        return "Usage: netsuite run --config=FILE [options]  (or: twistd -n netsuite ...)"

    def fill(self) -> None:
        """Read the file, and take flags and variables for all services."""
        above = {
            **from_environment(self.all_settings(), self.environ, self._base),
            **self._flags,
        }
        if CONFIG.name not in above:
            raise usage.UsageError("expected --config FILE")
        path: Path = above[CONFIG.name].value
        table = load(path, self.shown(path))
        for key in table.values:
            if key not in {"daemon", "service"}:
                raise table.error("expected [daemon] or [[service]] before it", key)
        daemon = from_table(DAEMON_SETTINGS, table.table("daemon"), path.parent)
        self.use([above, daemon])
        self.config = SuiteConfig(
            daemon=self.daemon_config(),
            members=tuple(self._read(table, above, daemon, path.parent)),
        )

    def _read(self, table: Table, above: Layer, daemon: Layer, base: Path) -> Iterator[Member]:
        names: set[str] = set()
        endpoints: dict[str, str] = {}
        for each in table.tables("service"):
            member = self._member(each, _shared(above), _shared(daemon), base)
            if member.name in names:
                raise each.error(f"{member.name!r} is taken: expected another one", "name")
            names.add(member.name)
            for endpoint in _endpoints(member):
                if endpoint in endpoints and not _ANY_PORT.match(endpoint):
                    raise each.error(
                        f"{member.name} would listen on {endpoint!r}, as {endpoints[endpoint]} "
                        "does: expected another listen or port"
                    )
                endpoints[endpoint] = member.name
            yield member
        if not names:
            raise table.error("expected a [[service]]")

    def _member(self, table: Table, above: Layer, daemon: Layer, base: Path) -> Member:
        known = services()
        kind = table.values.get("type")
        if kind is None:
            raise table.error(f'expected type = "...": one of {", ".join(known)}')
        if not isinstance(kind, str) or kind not in known:
            hint = suggestion(str(kind), known) or f": expected one of {', '.join(known)}"
            raise table.error(f"{kind!r} is no service{hint}", "type")
        name = table.values.get("name", kind)
        if not isinstance(name, str) or not name:
            raise table.error("expected a text, in quotes", "name")
        for key in table.values:
            if key in _OF_THE_PROCESS:
                raise table.error("one for all services: expected it under [daemon]", key)
        options_class, build = room(known[kind])
        try:
            options = options_class.from_settings(
                table.without("type", "name"),
                stronger=above,
                weaker=daemon,
                base=base,
                again=self._again,
            )
        except PlacedError:
            raise
        except usage.UsageError as error:
            raise table.error(f"{name}: {error}") from None
        return Member(
            name=name, kind=kind, options=options, build=build, daemon=options.daemon_config()
        )

    def checked(self) -> str:
        """What ``--check-config`` shows if all is well."""
        from netsuite.service._check import suite_report  # noqa: PLC0415

        return suite_report(self.config, self)

    def effective(self) -> str:
        """What ``--print-config`` shows."""
        from netsuite.service._check import suite_toml  # noqa: PLC0415

        return suite_toml(self.config, self)

    def reload(self) -> SuiteConfig:
        """Read the files again, for :meth:`Suite.prepare`.

        What cannot change while it runs stays as it is, and is named in
        :attr:`needs_restart`.

        :raises ConfigError: if the files do not say it right.
        """
        fresh = self.fresh()
        daemon, names = reloaded(self.config.daemon, fresh.config.daemon)
        restart = [name for name in names if name in _OF_THE_PROCESS]
        news = {each.name: each for each in fresh.config.members}
        members: list[Member] = []
        for old in self.config.members:
            new = news.pop(old.name, None)
            if new is None or new.kind != old.kind:
                restart.append(f"service {old.name}")
                members.append(old)
            else:
                config, names = old.options.changed_to(new.options)
                restart += [f"{old.name}: {name}" for name in names]
                members.append(replace(new, daemon=config))
        restart += [f"service {name}" for name in news]
        self.needs_restart = tuple(restart)
        return SuiteConfig(daemon=daemon, members=tuple(members))


def _shared(layer: Layer) -> Layer:
    """What of the suite's own settings holds for its services."""
    return {name: each for name, each in layer.items() if name not in _NOT_OF_SERVICES}


def _endpoints(member: Member) -> Iterator[str]:
    for _, endpoints in member.options.listeners():
        yield from endpoints


def build_service(config: SuiteConfig, reactor: Any) -> Suite:
    """The suite that ``config`` describes, for any Twisted program.

    :raises netsuite.service.ConfigError: for a service that cannot be made.
    """
    return Suite(config, reactor)


def makeService(options: Options) -> IService:
    """What ``twistd`` runs."""
    from twisted.internet import reactor

    build = partial(build_service, options.config, reactor)
    return process_service(options, options.config.daemon, build, reactor)
