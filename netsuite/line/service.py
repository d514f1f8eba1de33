"""``twistd -n netsuite-line``: an application for line protocols as a service."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args
from weakref import WeakKeyDictionary

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python import usage

from netsuite.line._errors import DefinitionError
from netsuite.line._limits import Limits
from netsuite.line._password_file import PasswordFile, PasswordFileError
from netsuite.line._service_checks import (
    check_cache,
    check_company,
    check_fronts,
    check_logins,
    open_to_others,
    ways_to_talk,
)
from netsuite.line.app import LineApp
from netsuite.line.apps import APPS, AppError, load_app
from netsuite.line.auth import Authentication, TokenError, Tokens
from netsuite.line.channels import Channels
from netsuite.line.protocol import LineCounters, LineFactory
from netsuite.line.ssh import SSHError, ssh_factory
from netsuite.line.starttls import StartTLS
from netsuite.line.telnet import TelnetFactory
from netsuite.line.transcript import Transcript
from netsuite.service import (
    BOOLEAN,
    ENDPOINT,
    FILE,
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
    StartError,
    choice,
    process_service,
)

if TYPE_CHECKING:
    from netsuite.line._ssh_transport import SSHFactory

LineEnd = Literal["crlf", "lf"]
QueueFull = Literal["wait", "refuse"]
StartTLSMode = Literal["offered", "required"]

_DEFAULT_PORT = 9001
_LOGIN_SECONDS = 30.0

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
    :ivar password_file: users with their passwords and roles, a line each; with it, or with
        tokens, peers have to log in (:mod:`netsuite.line.auth`).
    :ivar token_file: tokens that peers may log in with.
    :ivar plaintext_passwords: whether passwords are taken over connections that somebody on the
        way can read.
    :ivar starttls: whether connections begin in plain text and may, or have to, go on with the
        daemon's TLS.
    :ivar channels: whether the application has channels to publish and subscribe to
        (:mod:`netsuite.line.channels`).
    :ivar transcript: where to record what is asked and answered.
    :ivar telnet: endpoint strings for telnet (:mod:`netsuite.line.telnet`).
    :ivar ssh: the same for SSH (:mod:`netsuite.line.ssh`). It has no TLS but an endpoint's own.
    :ivar ssh_host_key: files of the server's own keys.
    :ivar ssh_generate_host_key: whether one is made where there is no file.
    :ivar ssh_authorized_keys: file of the keys that let people in; ``%u`` in it is the user. Users
        of a password file come in with their passwords too.
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
    password_file: Path | None = None
    token_file: Path | None = None
    plaintext_passwords: bool = False
    starttls: StartTLSMode | None = None
    channels: bool = False
    transcript: Path | None = None
    telnet: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    ssh_host_key: tuple[Path, ...] = ()
    ssh_generate_host_key: bool = False
    ssh_authorized_keys: Path | None = None
    daemon: DaemonConfig = field(default_factory=DaemonConfig)

    def __post_init__(self) -> None:
        check_fronts(self)
        if self.line_end not in {None, *_LINE_ENDS}:
            raise SettingError("line_end", f"{self.line_end!r}: expected crlf or lf")
        if self.starttls not in {None, *get_args(StartTLSMode)}:
            raise SettingError("starttls", f"{self.starttls!r}: expected offered or required")
        check_company(self)
        check_cache(self)
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
    :ivar telnet: what serves it over telnet, if anything does.
    :ivar ssh: the same for SSH.
    :ivar counters: totals of its connections, those over telnet and SSH not among them.
    """

    def __init__(self, config: LineConfig, reactor: Any) -> None:
        self._served = _served(config, reactor)
        self.app = self._served.app
        check_logins(config, self.app)
        self._starttls = config.starttls is not None
        self._secrets = config.password_file, config.token_file
        self.factory = LineFactory(self.app, reactor)
        self.telnet = TelnetFactory(self.app, reactor) if config.telnet else None
        self.ssh = _ssh_factory(self._served, config, reactor) if config.ssh else None
        self._own_idle = self.app.limits.idle if config.own_idle else None
        self._watch_silence(config.daemon)
        super().__init__(config.daemon, list(self._listeners(config)), reactor)
        if config.starttls is not None:
            self._served.begin_tls(self.certificates, required=config.starttls == "required")

    def _listeners(self, config: LineConfig) -> Iterator[Listener]:
        if config.listen:
            yield Listener(
                name="line",
                factory=self.factory,
                endpoints=config.listen,
                counts=self._counts,
                starttls=config.starttls is not None,
            )
        if self.telnet is not None:
            yield Listener(
                name="telnet",
                factory=self.telnet,
                endpoints=config.telnet,
                counts=_replies_of(self.telnet.sessions),
            )
        if self.ssh is not None:
            yield Listener(
                name="ssh",
                factory=self.ssh,
                endpoints=config.ssh,
                counts=_replies_of(self.ssh.sessions),
                starttls=True,  # it needs no TLS
            )

    def privilegedStartService(self) -> None:
        """Listen; host keys that were made are written first.

        :raises StartError: if something cannot be listened on or written.
        """
        if self.ssh is not None:
            try:
                self.ssh.save_host_keys()
            except SSHError as error:
                raise StartError(f"ssh: {error}") from None
        super().privilegedStartService()

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
        idle = self._own_idle if config.idle_timeout is None else None
        self.factory.idle = idle
        for front in (self.telnet, self.ssh):
            if front is not None:
                front.sessions.idle = idle

    def prepare(self, config: DaemonConfig) -> Callable[[], None]:
        """Read another configuration; see :meth:`Daemon.prepare`.

        Files of passwords and tokens are read again. A limit on silence that comes to the
        daemon, or goes, is the application's to give up or to take back, for the connections to
        come.
        """
        commit = super().prepare(config)
        reload = self._served.prepare()

        def commit_all() -> None:
            commit()
            reload()
            self._watch_silence(config)
            self._warn_of_files()

        return commit_all

    def reopen_logs(self) -> None:
        """Open the access log and the transcript by their names again."""
        super().reopen_logs()
        if self._served.transcript is not None:
            self._served.transcript.reopen()

    def announced(self) -> None:
        """Say how to try it, and which files are others' to read."""
        self._warn_of_files()
        ways = ways_to_talk(
            self.listening,
            app=self.app.name,
            starttls=self._starttls,
            logs_in=self.app.login_required,
        )
        for command in ways:
            self._log.info("talk to it: {command}", command=command)

    def _warn_of_files(self) -> None:
        if not self.is_worker:
            for text in [*open_to_others(self._secrets), *self._served.nobody()]:
                self._log.warn("{text}", text=text)


def _replies_of(factory: LineFactory) -> Callable[[], Mapping[str, int]]:
    return lambda: {"line_replies": factory.counters.replies_sent}


class _Served:
    """An application with what a configuration has for it.

    :ivar transcript: where what is asked and answered is recorded, if it is.
    :ivar passwords: of the users, if there is a file of them.
    :raises ConfigError: for a file that cannot be used, and for what the application has already.
    """

    def __init__(self, app: LineApp, config: LineConfig, told: LineConfig, reactor: Any) -> None:
        self.app = app
        self._reactor = reactor
        self.told = told
        self.transcript: Transcript | None = None
        self.passwords: PasswordFile | None = None
        self._tokens: Tokens | None = None
        app.limits = replace(app.limits, **config.limits)
        if config.password_file is not None or config.token_file is not None:
            self._let_log_in(config)
        if config.channels:
            self._add("channels", Channels())
        if config.transcript is not None:
            try:
                self.transcript = Transcript(config.transcript)
            except OSError as error:
                problem = f"{config.transcript}: {error.strerror}"
                raise SettingError("transcript", problem) from None
            self._add("transcript", self.transcript)

    def _let_log_in(self, config: LineConfig) -> None:
        setting = "password_file"
        try:
            if config.password_file is not None:
                self.passwords = PasswordFile(config.password_file, self._in_thread)
            if config.token_file is not None:
                setting = "token_file"
                self._tokens = Tokens.from_file(config.token_file)
        except (PasswordFileError, TokenError) as error:
            raise SettingError(setting, str(error)) from None
        passwords = self.passwords
        authentication = Authentication(
            [] if passwords is None else [passwords],
            tokens=self._tokens,
            roles={} if passwords is None else passwords.roles,
            plain_over_plaintext=config.plaintext_passwords,
        )
        self._add(setting, authentication)

    def _in_thread(self, check: Callable[[], bool]) -> Deferred[bool]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), check)

    def nobody(self) -> Iterator[str]:
        """A line, if there is nobody who could log in."""
        files = [each for each in (self.passwords, self._tokens) if each is not None]
        if files and not any(map(len, files)):
            paths = filter(None, (self.told.password_file, self.told.token_file))
            yield f"{' and '.join(map(str, paths))}: no users: nobody can log in by AUTH"

    def begin_tls(self, certificates: Any, *, required: bool) -> None:
        """Let peers begin TLS.

        :param certificates: a context factory.
        """
        self._add("starttls", StartTLS(certificates, required=required))

    def _add(self, setting: str, extension: Any) -> None:
        try:
            self.app.add(extension)
        except (DefinitionError, ValueError) as error:
            raise SettingError(setting, f"for {self.app.name}: {error}") from None

    def prepare(self) -> Callable[[], None]:
        """Read the files again, and change nothing yet.

        :returns: what makes it so.
        :raises ConfigError: for one that cannot be used.
        """
        files = [each for each in (self.passwords, self._tokens) if each is not None]
        try:
            reloads = [each.prepare() for each in files]
        except (PasswordFileError, TokenError) as error:
            raise ConfigError(str(error)) from None

        def commit() -> None:
            for reload in reloads:
                reload()

        return commit


#: The applications that are served, each with what it was told beside what it says itself.
_all_served: WeakKeyDictionary[LineApp, _Served] = WeakKeyDictionary()


def _served(config: LineConfig, reactor: Any) -> _Served:
    """The application that a configuration is about.

    :raises ConfigError: for one that cannot be had.
    """
    app = config.app if isinstance(config.app, LineApp) else _loaded(config.app, config)
    told = replace(
        config,
        app="",
        listen=("-",),
        own_idle=True,
        starttls=None,
        telnet=(),
        ssh=(),
        ssh_host_key=(),
        ssh_generate_host_key=False,
        ssh_authorized_keys=None,
        daemon=DaemonConfig(),
    )
    before = _all_served.get(app)
    if before is None:
        found = _all_served[app] = _Served(app, config, told, reactor)
        return found
    if before.told != told or config.starttls is not None:
        why = ": STARTTLS is one service's" if before.told == told else ", with other settings"
        raise ConfigError(
            f"{app.name} is served already{why}: expected the same settings, or a function that "
            "makes an application for each service"
        )
    return before


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


def _ssh_factory(served: _Served, config: LineConfig, reactor: Any) -> "SSHFactory":
    """What serves an application over SSH.

    :raises ConfigError: for keys that cannot be used.
    """
    passwords = served.passwords
    try:
        return ssh_factory(
            served.app,
            reactor,
            host_keys=config.ssh_host_key,
            generate_host_keys=config.ssh_generate_host_key,
            authorized_keys=config.ssh_authorized_keys,
            checkers=[] if passwords is None else [passwords],
            roles=None if passwords is None else passwords.roles,
            login_time=served.app.limits.login or _LOGIN_SECONDS,
        )
    except SSHError as error:
        raise SettingError("ssh", f"{config.ssh[0]}: {error}") from None


def build_service(config: LineConfig, reactor: Any) -> LineService:
    """The service that ``config`` describes, for any Twisted program.

    :raises netsuite.service.ConfigError: for an application that cannot be had, or an endpoint
        that cannot work.
    """
    return LineService(config, reactor)


_ROWS = (
    (
        "app",
        replace(TEXT, metavar="APP"),
        f"Serve this: {', '.join(APPS)}, or MODULE:APP for one of your own.",
    ),
    (
        "line-end",
        choice(get_args(LineEnd)),
        "What stands behind each line that echo and ip send. Both are taken.",
    ),
    ("line-length", SIZE, "Longest line that a peer may send, without its end."),
    ("max-arguments", WHOLE, "Words that a line may have behind the command's name."),
    ("literal-size", SIZE, "Longest byte-counted literal that a peer may send."),
    ("max-queued", WHOLE, "Commands of a connection that may wait for their turn."),
    (
        "queue-full",
        choice(get_args(QueueFull)),
        "What becomes of further ones: they are not read so far, or refused.",
    ),
    ("max-parallel", WHOLE, "Commands of a connection that may run at a time, where they can."),
    ("max-subscriptions", WHOLE, "Channels that a connection may listen to."),
    ("reply-buffer", SIZE, "Bytes of replies that are made before others have their turn."),
    ("memory", SIZE, "Bytes that the kv application keeps."),
    ("value-size", SIZE, "Longest value that the kv application takes."),
    ("channels", BOOLEAN, "Let peers publish and subscribe to channels."),
    (
        "password-file",
        FILE,
        "Users, a line each: USER:PASSWORD or USER:PASSWORD:ROLE,ROLE. Peers have to log in.",
    ),
    (
        "token-file",
        FILE,
        "Tokens, a line each: sha256:DIGEST USER ROLE,ROLE. Peers have to log in.",
    ),
    (
        "plaintext-passwords",
        BOOLEAN,
        "Take passwords over connections that somebody can read along.",
    ),
    ("login-timeout", SECONDS, "Time that a peer has to log in."),
    (
        "starttls",
        choice(get_args(StartTLSMode)),
        "Begin in plain text and let peers go on with TLS, or have them do so.",
    ),
    ("transcript", FILE, "Record what is asked and answered in this file, as JSON lines."),
    ("telnet", ENDPOINT, "Listen for telnet on an endpoint string. May be given again."),
    ("ssh", ENDPOINT, "Listen for SSH on an endpoint string. May be given again."),
    ("ssh-host-key", FILE, "The server's own private key for SSH. May be given again."),
    ("ssh-generate-host-key", BOOLEAN, "Make an Ed25519 key where --ssh-host-key is no file."),
    (
        "ssh-authorized-keys",
        FILE,
        'Public keys that let people in: with user="NAME" before them, or the file\'s owner.',
    ),
)
_DEFAULTS = {each.name: each.default for each in fields(LineConfig)}


def _setting(name: str, kind: Any, text: str) -> Setting:
    return Setting(
        name=name,
        kind=kind,
        help=text,
        group="Line",
        default=_DEFAULTS[name.replace("-", "_")],
        repeatable=_DEFAULTS[name.replace("-", "_")] == (),
        writes=name == "transcript",
    )


class Options(ServerOptions):
    """The command line of ``netsuite-line``."""

    service_name = "line"
    default_port = _DEFAULT_PORT
    longdesc = (
        "Serves an application whose peers speak in lines: one that comes with netsuite "
        f"({', '.join(APPS)}), or the LineApp in a Python module of your own: --app calc:app. "
        "Without --listen and --port it listens on port 9001, on IPv4 and IPv6, unless it "
        "listens for --telnet or --ssh. "
        "Limits are the application's own, unless they are given here. A silent connection is "
        "closed after as long as the application has it (300 seconds, if it does not say); "
        "--idle-timeout takes its place, and --idle-timeout none is no limit. "
        "Talk to it: nc localhost 9001, or netsuite line connect localhost:9001. "
        "netsuite line stdio serves on the standard input and output."
    )
    settings = tuple(_setting(*row) for row in _ROWS)

    config: LineConfig

    def postOptions(self) -> None:
        """Make :attr:`config` of what was given."""
        names = {each.name for each in fields(LineConfig)}
        own = {each.field: self[each.name] for each in self.settings if each.field in names}
        silence = self.given["idle-timeout"]
        plain = bool(self.listen.place) or not (self["telnet"] or self["ssh"])
        try:
            if self.listen.said and not plain:
                raise usage.UsageError("--interface goes with --port: expected --port NUMBER too")
            self.config = LineConfig(
                **own,
                listen=self.listen.endpoints(self.default_port) if plain else (),
                own_idle=not silence.place,
                daemon=self.daemon_config(),
            )
        except ConfigError as error:
            raise self.explained(error) from None

    def listeners(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        """The names of what is served, and on which endpoints; for ``--check-config``."""
        config = self.config
        every = ("line", config.listen), ("telnet", config.telnet), ("ssh", config.ssh)
        return [(name, endpoints) for name, endpoints in every if endpoints]


def makeService(options: Options) -> IService:
    """What ``twistd`` runs."""
    from twisted.internet import reactor

    return process_service(
        options, options.config.daemon, partial(build_service, options.config, reactor), reactor
    )
