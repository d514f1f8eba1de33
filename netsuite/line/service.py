"""``twistd -n netsuite-line``: an application for line protocols as a service."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

from twisted.application.service import IService

from netsuite.line._limits import Limits
from netsuite.line.app import LineApp
from netsuite.line.apps import APPS, AppError, load_app
from netsuite.line.protocol import LineCounters, LineFactory
from netsuite.service import (
    SECONDS,
    SIZE,
    TEXT,
    WHOLE,
    ConfigError,
    Daemon,
    DaemonConfig,
    Listener,
    ServerOptions,
    Setting,
    SettingError,
    choice,
    process_service,
)

LineEnd = Literal["crlf", "lf"]
QueueFull = Literal["wait", "refuse"]

_DEFAULT_PORT = 9001

_LINE_ENDS: dict[LineEnd, Literal[b"\r\n", b"\n"]] = {"crlf": b"\r\n", "lf": b"\n"}

#: The limits that can be set, by the names that they have here.
_LIMITS = {
    "line_length": "line_length",
    "max_arguments": "arguments",
    "literal_size": "literal",
    "max_queued": "queued",
    "queue_full": "queue_full",
    "max_parallel": "parallel",
    "max_subscriptions": "subscriptions",
    "reply_buffer": "buffer",
    "login_timeout": "login",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LineConfig:
    """What ``netsuite-line`` can be told.

    Where something is None, the application's own holds.

    :ivar app: the application, or its name as :func:`~netsuite.line.apps.load_app` takes it.
    :ivar listen: endpoint strings.
    :ivar own_idle: whether the application's own limit on silence holds as long as the daemon
        has none (:attr:`DaemonConfig.idle_timeout`); with one, that alone holds.
    :ivar line_end: sent behind each line, for the applications that leave it open.
    :ivar line_length: see :class:`~netsuite.line.Limits`, as for all to ``login_timeout``.
    :ivar memory: bytes that the ``kv`` application keeps.
    :ivar value_size: bytes of one value of it.
    :raises ConfigError: for a value that is out of range.
    """

    app: str | LineApp = "echo"
    listen: tuple[str, ...] = (f"dualstack:{_DEFAULT_PORT}",)
    own_idle: bool = True
    line_end: LineEnd | None = None
    line_length: int | None = None
    max_arguments: int | None = None
    literal_size: int | None = None
    max_queued: int | None = None
    queue_full: QueueFull | None = None
    max_parallel: int | None = None
    max_subscriptions: int | None = None
    reply_buffer: int | None = None
    login_timeout: float | None = None
    memory: int | None = None
    value_size: int | None = None
    daemon: DaemonConfig = field(default_factory=DaemonConfig)

    def __post_init__(self) -> None:
        if not self.listen:
            raise ConfigError("line: expected an endpoint to listen on")
        if self.line_end not in {None, *_LINE_ENDS}:
            raise SettingError("line_end", f"{self.line_end!r}: expected crlf or lf")
        for name, limit in _LIMITS.items():
            value = getattr(self, name)
            try:
                if value is not None:
                    Limits(**{limit: value})
            except ValueError as error:
                problem = str(error).partition(" ")[2].removesuffix(", or None")
                raise SettingError(name, problem) from None

    @property
    def limits(self) -> dict[str, Any]:
        """What is said of limits, by their own names."""
        said = {limit: getattr(self, name) for name, limit in _LIMITS.items()}
        return {limit: value for limit, value in said.items() if value is not None}


class LineService(Daemon):
    """An application for line protocols, as a service.

    :ivar app: the application.
    :ivar factory: what serves it.
    :ivar counters: totals of its connections.
    """

    def __init__(self, config: LineConfig, reactor: Any) -> None:
        self.app = _application(config)
        self.factory = LineFactory(self.app, reactor)
        self._own_idle = self.app.limits.idle if config.own_idle else None
        self._watch_silence(config.daemon)
        listener = Listener(
            name="line", factory=self.factory, endpoints=config.listen, counts=self._counts
        )
        super().__init__(config.daemon, [listener], reactor)

    @property
    def counters(self) -> LineCounters:
        """Totals of its connections."""
        return self.factory.counters

    def _counts(self) -> Mapping[str, int]:
        return {
            "line_replies": self.counters.replies_sent,
            "line_errors": self.app.replies.errors,
        }

    def _watch_silence(self, config: DaemonConfig) -> None:
        """Leave silence to the daemon, if it has a limit for it."""
        self.factory.idle = self._own_idle if config.idle_timeout is None else None

    def prepare(self, config: DaemonConfig) -> Callable[[], None]:
        """Read another configuration; see :meth:`Daemon.prepare`.

        A limit on silence that comes to the daemon, or goes, is the application's to give up or
        to take back, for the connections to come.
        """
        commit = super().prepare(config)

        def commit_both() -> None:
            commit()
            self._watch_silence(config)

        return commit_both

    def announced(self) -> None:
        """Say how to try it."""
        self.say_how_to_talk("line")


#: What the applications that are served were told, beside what they say themselves.
_told: WeakKeyDictionary[LineApp, LineConfig] = WeakKeyDictionary()


def _application(config: LineConfig) -> LineApp:
    """The application, with what the configuration has for it.

    :raises ConfigError: for one that cannot be had.
    """
    app = config.app if isinstance(config.app, LineApp) else _loaded(config.app, config)
    told = replace(config, app="", listen=("-",), own_idle=True, daemon=DaemonConfig())
    if app not in _told:
        _told[app] = told
        app.limits = replace(app.limits, **config.limits)
    elif _told[app] != told:
        raise ConfigError(
            f"{app.name} is served already, with other settings: expected the same ones, or a "
            "function that makes one for each service"
        )
    return app


def _loaded(name: str, config: LineConfig) -> LineApp:
    try:
        return load_app(
            name,
            line_end=None if config.line_end is None else _LINE_ENDS[config.line_end],
            memory=config.memory,
            value_size=config.value_size,
        )
    except AppError as error:
        raise SettingError("app", str(error)) from None


def build_service(config: LineConfig, reactor: Any) -> LineService:
    """The service that ``config`` describes, for any Twisted program.

    :raises netsuite.service.ConfigError: for an application that cannot be had, or an endpoint
        that cannot work.
    """
    return LineService(config, reactor)


_GROUP = "Line"


class Options(ServerOptions):
    """The command line of ``netsuite-line``."""

    service_name = "line"
    default_port = _DEFAULT_PORT
    longdesc = (
        "Serves an application whose peers speak in lines: one that comes with netsuite "
        f"({', '.join(APPS)}), or the LineApp in a Python module of your own: --app calc:app. "
        "Without --listen and --port it listens on port 9001, on IPv4 and IPv6. "
        "Limits are the application's own, unless they are given here. A peer is cut that says "
        "nothing for as long as the application has it (300 seconds, if it does not say); "
        "--idle-timeout takes its place, and --idle-timeout none is no limit. "
        "Talk to it: nc localhost 9001"
    )
    settings = (
        Setting(
            name="app",
            kind=replace(TEXT, metavar="APP"),
            help=f"Serve this: {', '.join(APPS)}, or MODULE:APP for one of your own.",
            group=_GROUP,
            default="echo",
        ),
        Setting(
            name="line-end",
            kind=choice(get_args(LineEnd)),
            help="What stands behind each line that is sent. Both are taken.",
            group=_GROUP,
        ),
        Setting(
            name="line-length",
            kind=SIZE,
            help="Longest line that a peer may send, without its end.",
            group=_GROUP,
        ),
        Setting(
            name="max-arguments",
            kind=WHOLE,
            help="Words that a line may have behind the command's name.",
            group=_GROUP,
        ),
        Setting(
            name="literal-size",
            kind=SIZE,
            help="Longest byte-counted literal that a peer may send.",
            group=_GROUP,
        ),
        Setting(
            name="max-queued",
            kind=WHOLE,
            help="Commands of a connection that may wait for their turn.",
            group=_GROUP,
        ),
        Setting(
            name="queue-full",
            kind=choice(get_args(QueueFull)),
            help="What becomes of further ones: they are not read so far, or refused.",
            group=_GROUP,
        ),
        Setting(
            name="max-parallel",
            kind=WHOLE,
            help="Commands of a connection that may run at a time, where they can.",
            group=_GROUP,
        ),
        Setting(
            name="max-subscriptions",
            kind=WHOLE,
            help="Channels that a connection may listen to.",
            group=_GROUP,
        ),
        Setting(
            name="reply-buffer",
            kind=SIZE,
            help="Bytes of replies that are made before others have their turn.",
            group=_GROUP,
        ),
        Setting(
            name="login-timeout",
            kind=SECONDS,
            help="Time that a peer has to log in, where that is asked for.",
            group=_GROUP,
        ),
        Setting(
            name="memory",
            kind=SIZE,
            help="Bytes that the kv application keeps.",
            group=_GROUP,
        ),
        Setting(
            name="value-size",
            kind=SIZE,
            help="Longest value that the kv application takes.",
            group=_GROUP,
        ),
    )

    config: LineConfig

    def postOptions(self) -> None:
        """Make :attr:`config` of what was given."""
        names = {each.name for each in fields(LineConfig)}
        own = {each.field: self[each.name] for each in self.settings if each.field in names}
        silence = self.given["idle-timeout"]
        try:
            self.config = LineConfig(
                **own,
                listen=self.listen.endpoints(self.default_port),
                own_idle=not silence.place,
                daemon=self.daemon_config(),
            )
        except ConfigError as error:
            raise self.explained(error) from None


def makeService(options: Options) -> IService:
    """What ``twistd`` runs."""
    from twisted.internet import reactor

    return process_service(
        options, options.config.daemon, partial(build_service, options.config, reactor), reactor
    )
