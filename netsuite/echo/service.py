"""``twistd -n netsuite-echo``: echo and its siblings as a service."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from netsuite.echo._machine import Answer, DatagramGuard
from netsuite.echo._wire import QUOTES, parse_quotes
from netsuite.echo.datagram import (
    AnsweringDatagramProtocol,
    chargen_answer,
    daytime_answer,
    discard_answer,
    echo_answer,
    quote_answer,
    time_answer,
)
from netsuite.echo.protocol import (
    ChargenFactory,
    CountingFactory,
    DaytimeFactory,
    DiscardFactory,
    EchoFactory,
    QuoteFactory,
    TimeFactory,
)
from netsuite.net import ConnectionCounters, DatagramCounters
from netsuite.service import (
    BOOLEAN,
    FILE,
    NUMBER,
    ConfigError,
    Daemon,
    DaemonConfig,
    Listener,
    ListenOptions,
    ServerOptions,
    Setting,
    SettingError,
    choice,
    process_service,
)

#: The services there are, in the order of their RFCs.
SERVICES = ("echo", "discard", "chargen", "quote", "daytime", "time")

_DEFAULT_PORT = 9000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """One of the services, and where it listens.

    :ivar service: one of :data:`SERVICES`.
    :ivar listen: endpoint strings.
    :raises ConfigError: for a service that there is not, or without endpoints.
    """

    service: str = "echo"
    listen: tuple[str, ...] = (f"dualstack:{_DEFAULT_PORT}",)

    def __post_init__(self) -> None:
        if self.service not in SERVICES:
            raise SettingError(
                "service", f"{self.service!r}: expected one of {', '.join(SERVICES)}"
            )
        if not self.listen:
            raise ConfigError(f"service {self.service!r}: expected an endpoint to listen on")


@dataclass(frozen=True, slots=True, kw_only=True)
class EchoConfig:
    """What ``netsuite-echo`` can be told.

    :ivar services: what to serve; the same service may come twice.
    :ivar udp: whether each of them also answers UDP, on the addresses of its TCP ports.
    :ivar udp_rate: UDP answers a second for each client network (/24, /64), above 0; a
        network may take twice as many at once, and at least one.
    :ivar quotes: for the quote service, one a day in turn.
    :raises ConfigError: for a value that is out of range.
    """

    services: tuple[ServiceConfig, ...] = (ServiceConfig(),)
    udp: bool = False
    udp_rate: float = 20.0
    quotes: tuple[bytes, ...] = QUOTES
    daemon: DaemonConfig = field(default_factory=DaemonConfig)

    def __post_init__(self) -> None:
        if not 0 < self.udp_rate < float("inf"):
            raise SettingError("udp_rate", f"{self.udp_rate:g}: expected more than 0 a second")
        if not self.services:
            raise ConfigError(f"no service: expected at least one of {', '.join(SERVICES)}")
        if not self.quotes:
            raise ConfigError("no quotes: expected at least one")


class EchoService(Daemon):
    """Echo and its siblings, as one service.

    :ivar counters: totals for each service's streams, by service name.
    :ivar datagram_counters: totals for each service's datagrams, by service name.
    """

    def __init__(self, config: EchoConfig, reactor: Any) -> None:
        self.counters: dict[str, ConnectionCounters] = {}
        self.datagram_counters: dict[str, DatagramCounters] = {}
        factories: dict[str, CountingFactory] = {}
        answers = _answers(config)
        guard = DatagramGuard(config.udp_rate, max(1.0, 2 * config.udp_rate))
        listeners: list[Listener] = []
        for each in config.services:
            name = each.service
            factory = factories.setdefault(name, _factory(name, config, reactor))
            self.counters[name] = factory.counters
            counters = self.datagram_counters.setdefault(name, DatagramCounters())
            datagrams = partial(AnsweringDatagramProtocol, answers[name], guard, counters)
            listeners.append(
                Listener(
                    name=name,
                    factory=factory,
                    endpoints=each.listen,
                    datagrams=datagrams if config.udp else None,
                )
            )
        super().__init__(config.daemon, listeners, reactor)

    def announced(self) -> None:
        """Say how to try it."""
        self.say_how_to_talk("echo")


def _factory(name: str, config: EchoConfig, reactor: Any) -> CountingFactory:
    factories: dict[str, Callable[[], CountingFactory]] = {
        "echo": EchoFactory,
        "discard": DiscardFactory,
        "chargen": ChargenFactory,
        "quote": partial(QuoteFactory, reactor, quotes=config.quotes),
        "daytime": partial(DaytimeFactory, reactor),
        "time": partial(TimeFactory, reactor),
    }
    return factories[name]()


def _answers(config: EchoConfig) -> dict[str, Answer]:
    return {
        "echo": echo_answer,
        "discard": discard_answer,
        "chargen": chargen_answer,
        "quote": quote_answer(quotes=config.quotes),
        "daytime": daytime_answer(),
        "time": time_answer(),
    }


def build_service(config: EchoConfig, reactor: Any) -> EchoService:
    """The service that ``config`` describes, for any Twisted program.

    :raises netsuite.service.ConfigError: for an endpoint that cannot work.
    """
    return EchoService(config, reactor)


_SERVICE = Setting(
    name="service",
    kind=choice(SERVICES, "NAME"),
    help="Serve this. May be given again.",
    group="Echo",
    default="echo",
)


class Options(ServerOptions):
    """The command line of ``netsuite-echo``."""

    service_name = "echo"
    default_port = _DEFAULT_PORT
    longdesc = (
        "Sends back what it receives (RFC 862), and runs the other small services of its family. "
        "Without --listen and --port it listens on port 9000, on IPv4 and IPv6. "
        "An ENDPOINT is for example unix:/run/echo.sock, tcp:7:interface=127.0.0.1 or "
        "ssl:9443:privateKey=key.pem:certKey=cert.pem. Each --service has its own --listen, "
        "--port and --interface, given after it: --service echo --port 7 --service time --port 37. "
        "Talk to it: nc localhost 9000"
    )
    settings = (
        _SERVICE,
        Setting(
            name="udp",
            kind=BOOLEAN,
            help="Answer UDP too, on the same addresses and ports as TCP.",
            group="Echo",
            default=False,
        ),
        Setting(
            name="udp-rate",
            kind=NUMBER,
            help="UDP answers a second for each client network (/24, /64).",
            group="Echo",
            default=20.0,
        ),
        Setting(
            name="quotes",
            kind=FILE,
            help="File with quotes for the quote service, separated by % lines.",
            group="Echo",
        ),
    )

    config: EchoConfig

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        super().__init__(environ)
        self._services: list[tuple[str, ListenOptions]] = []

    def opt_service(self, name: str) -> None:
        """Serve this: echo, discard, chargen, quote, daytime or time. May be given again."""
        if self._services:
            self.listen = ListenOptions()
        self._services.append((name, self.listen))
        self.take(_SERVICE, name)

    def listen_groups(self) -> Sequence[ListenOptions]:
        """One for each ``--service``."""
        return [listen for _, listen in self._services] or [self.listen]

    def listeners(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        """Each service and its endpoints."""
        return [(each.service, each.listen) for each in self.config.services]

    def postOptions(self) -> None:
        """Make :attr:`config` of what was given."""
        services = self._services or [(self["service"], self.listen)]
        default_port = self.default_port if len(services) == 1 else None
        try:
            self.config = EchoConfig(
                services=tuple(
                    self._service_config(name, listen, default_port) for name, listen in services
                ),
                udp=self["udp"],
                udp_rate=self["udp-rate"],
                quotes=QUOTES if self["quotes"] is None else self._read_quotes(self["quotes"]),
                daemon=self.daemon_config(),
            )
        except ConfigError as error:
            raise self.explained(error) from None

    def _service_config(
        self, name: str, listen: ListenOptions, default_port: int | None
    ) -> ServiceConfig:
        try:
            return ServiceConfig(service=name, listen=listen.endpoints(default_port))
        except usage.UsageError as error:
            if not self._services:
                raise
            raise usage.UsageError(f"--service {name}: {error} after it") from None

    def _read_quotes(self, path: Path) -> tuple[bytes, ...]:
        try:
            return parse_quotes(path.read_text("utf-8"))
        except OSError as error:
            raise self.error("quotes", f"{path}: {error.strerror}") from None
        except ValueError as error:
            raise self.error("quotes", f"{path}: {error}") from None


def makeService(options: Options) -> IService:
    """What ``twistd`` runs."""
    from twisted.internet import reactor

    return process_service(
        options, options.config.daemon, partial(build_service, options.config, reactor), reactor
    )
