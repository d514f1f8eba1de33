"""Command-line options that every service has, and how files and variables fill them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from netsuite.service._daemon_settings import DAEMON_SETTINGS
from netsuite.service._listen import ListenOptions, check_endpoints
from netsuite.service._setting_options import (
    SettingOptions,
    exit_with,
    program_name,
    twistd_options,
)
from netsuite.service._settings import CONFIG, LISTEN, LISTEN_SETTINGS
from netsuite.service._sources import Layer, from_table
from netsuite.service._toml import Table

__all__ = ["ServerOptions", "SettingOptions", "exit_with", "program_name", "twistd_options"]


class ServerOptions(SettingOptions):
    """Base of each service's ``Options``: where to listen, whom to let in, how to stop.

    A subclass makes ``self.config`` in ``postOptions``. Its own settings, a tuple
    ``settings`` of :class:`~netsuite.service.Setting`, are flags, variables and keys of a file
    as those here are.
    """

    settings = (*LISTEN_SETTINGS, *DAEMON_SETTINGS, CONFIG)
    #: Where it listens if nobody says.
    default_port: int | None = None

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(environ)
        self.listen = ListenOptions()

    def opt_listen(self, endpoint: str) -> None:
        """Listen on a Twisted endpoint string. May be given again."""
        self.listen.add_endpoint(endpoint)

    def opt_port(self, number: str) -> None:
        """Listen on a TCP port, 0 for any that is free. May be given again."""
        self.listen.add_port(number)

    opt_p = opt_port

    def opt_interface(self, address: str) -> None:
        """Address for --port instead of all, IPv4 or IPv6. May be given again."""
        self.listen.add_interface(address)

    def listen_groups(self) -> Sequence[ListenOptions]:
        """All that :attr:`listen` has been; a service with several groups of flags has more."""
        return [self.listen]

    def listeners(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        """The names of what is served, and on which endpoints; for ``--check-config``."""
        return [(self.service_name, self.listen.endpoints(self.default_port))]

    def checked(self) -> str:
        """What ``--check-config`` shows if all is well.

        :raises ConfigError: if it is not.
        """
        # It brings all with it that a service is made of: only where wanted.
        from netsuite.service._check import check_report  # noqa: PLC0415

        return check_report(self)

    def effective(self) -> str:
        """What ``--print-config`` shows."""
        from netsuite.service._check import effective_toml  # noqa: PLC0415

        return effective_toml(self)

    def use(self, layers: Sequence[Layer]) -> None:
        """Go by flags first, then by other sources, the strongest first."""
        super().use(layers)
        groups = self.listen_groups()
        for layer in layers:
            if not self._again:  # where it listens does not change while it runs
                check_endpoints(layer)
            for each in groups:
                each.inherit(layer, ports=len(groups) == 1)

    def restart_names(self, fresh: Self) -> tuple[str, ...]:
        """Settings that differ and cannot change, but for those of the daemon."""
        moved = () if self.listeners() == fresh.listeners() else (LISTEN.name,)
        return (*moved, *super().restart_names(fresh))

    @classmethod
    def from_settings(
        cls,
        settings: Table | Mapping[str, object],
        *,
        stronger: Layer | None = None,
        weaker: Layer | None = None,
        base: Path | None = None,
        again: bool = False,
    ) -> Self:
        """Options from a table of a file rather than from a command line.

        :param settings: values by the settings' names, as TOML would have them.
        :param stronger: what wins over it.
        :param weaker: what it wins over.
        :param base: the directory that file names start from; the current one by default.
        :param again: whether it was read before, and listens.
        :raises twisted.python.usage.UsageError: for a setting that there is not, or a value
            that cannot be.
        """
        options = cls()
        options._base = base or Path.cwd()
        options._again = again
        table = settings if isinstance(settings, Table) else Table.plain(settings, "settings")
        own = from_table(options.file_settings(), table, options._base)
        options.use([stronger or {}, own, weaker or {}])
        options.postOptions()
        return options
