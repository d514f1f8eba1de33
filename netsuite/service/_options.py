"""Command-line options that every service has."""

import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn, cast

from twisted.python import usage

from netsuite._version import __version__
from netsuite.net.endpoints import EndpointError, parse_port, tcp_description
from netsuite.service._config import LOG_FORMATS, LOG_LEVELS, DaemonConfig, LogFormat, LogLevel
from netsuite.service._errors import ConfigError

_EXIT_USAGE = 2


class ListenOptions:
    """What ``--listen``, ``--port`` and ``--interface`` said, in the order given."""

    def __init__(self) -> None:
        self._given: list[str | int] = []
        self._interfaces: list[str] = []

    def add_endpoint(self, description: str) -> None:
        """``--listen``: an endpoint string."""
        self._given.append(description)

    def add_port(self, text: str) -> None:
        """``--port``.

        :raises usage.UsageError: if it is no port number.
        """
        try:
            self._given.append(parse_port(text))
        except EndpointError as error:
            raise usage.UsageError(f"--port: {error}") from None

    def add_interface(self, text: str) -> None:
        """``--interface``.

        :raises usage.UsageError: if it is no address.
        """
        try:
            ip_address(text)
        except ValueError:
            raise usage.UsageError(
                f"--interface: {text!r} is not an IP address: expected for example 127.0.0.1 or ::1"
            ) from None
        self._interfaces.append(text)

    def endpoints(self, default_port: int | None) -> tuple[str, ...]:
        """The endpoint strings that they come to.

        :param default_port: used where neither ``--listen`` nor ``--port`` was given.
        :raises usage.UsageError: if there is nothing to listen on.
        """
        given = self._given or ([] if default_port is None else [default_port])
        if not given:
            raise usage.UsageError("expected --port NUMBER or --listen ENDPOINT")
        if self._interfaces and not any(isinstance(each, int) for each in given):
            raise usage.UsageError("--interface goes with --port: expected --port NUMBER too")
        return tuple(
            description
            for each in given
            for description in (
                [each]
                if isinstance(each, str)
                else [tcp_description(each, interface) for interface in self._interfaces or [""]]
            )
        )


class ServerOptions(usage.Options):
    """Base of each service's ``Options``: where to listen, how to stop, what to log.

    Under ``twistd`` a mistake is one line on standard error and exit status 2. Used
    directly, ``parseOptions`` raises :class:`twisted.python.usage.UsageError`.
    """

    #: What comes after ``netsuite-`` in the service's name.
    service_name = ""
    #: Where it listens if nobody says.
    default_port: int | None = None

    optParameters = [
        ["port-file", None, None, "Write the port numbers to this file once everything listens."],
        ["drain-timeout", None, "10", "Seconds that connections have to finish at shutdown."],
        ["log-format", None, "text", "One of: " + ", ".join(LOG_FORMATS) + "."],
        ["log-level", None, "info", "Least level that is logged: " + ", ".join(LOG_LEVELS) + "."],
    ]
    compData = usage.Completions(
        optActions={
            "port-file": usage.CompleteFiles(),
            "log-format": usage.CompleteList(LOG_FORMATS),
            "log-level": usage.CompleteList(LOG_LEVELS),
        }
    )

    def __init__(self) -> None:
        super().__init__()
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

    def opt_version(self) -> NoReturn:
        """Show the version and exit."""
        sys.stdout.write(f"netsuite {__version__}\n")
        raise SystemExit(0)

    def getSynopsis(self) -> str:
        """The first line of the help."""
        name = self.service_name
        return f"Usage: netsuite {name} [options]  (or: twistd -n netsuite-{name} [options])"

    def parseArgs(self, *args: str) -> None:
        """Refuse arguments that are no options."""
        if args:
            raise usage.UsageError(f"unexpected argument {args[0]!r}: expected options only")

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse; see the class for what a mistake does."""
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            if getattr(self, "parent", None) is None:
                raise
            exit_with(self.service_name, str(error))

    def daemon_config(self) -> DaemonConfig:
        """The options of this class as data.

        :raises usage.UsageError: for a value that is out of range.
        """
        port_file = self["port-file"]
        try:
            return DaemonConfig(
                drain_timeout=self.number("drain-timeout"),
                port_file=None if port_file is None else Path(port_file).absolute(),
                log_format=cast("LogFormat", self["log-format"]),
                log_level=cast("LogLevel", self["log-level"]),
            )
        except ConfigError as error:
            raise usage.UsageError(str(error)) from None

    def number(self, name: str) -> float:
        """An option's value as a number.

        :raises usage.UsageError: if it is none.
        """
        try:
            return float(self[name])
        except ValueError:
            raise usage.UsageError(f"--{name}: {self[name]!r} is not a number") from None


def exit_with(service_name: str, message: str) -> NoReturn:
    """End the program for a mistake of the person who typed the command."""
    sys.stderr.write(f"netsuite-{service_name}: {' '.join(message.split())}\n")
    raise SystemExit(_EXIT_USAGE)


def twistd_options(options: usage.Options) -> Any:
    """The options of the ``twistd`` that runs a service; empty where there is none."""
    parent = getattr(options, "parent", None)
    return {} if parent is None else parent
