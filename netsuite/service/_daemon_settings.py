"""What every daemon can be told, as settings: one for each field of ``DaemonConfig``."""

from collections.abc import Iterator
from dataclasses import fields, replace

from netsuite.service._config import (
    LOG_FORMATS,
    LOG_LEVELS,
    TLS_CLIENTS,
    TLS_VERSIONS,
    WORKER_SOCKETS,
    DaemonConfig,
)
from netsuite.service._settings import (
    BOOLEAN,
    BYTE_RATE,
    FILE,
    LISTENING,
    NETWORK,
    NUMBER,
    PROCESS,
    SECONDS,
    TEXT,
    WHOLE,
    Kind,
    Setting,
    choice,
)

_ADMISSION = (
    ("allow", NETWORK, "Let this network, range or address in. With any, nobody else is."),
    ("deny", NETWORK, "Keep this network, range or address out. Wins over --allow."),
    (
        "access-file",
        FILE,
        "Rules, one a line: allow or deny, then a network. The first that matches decides.",
    ),
    (
        "max-connections",
        WHOLE,
        "Connections open at a time. If not given, as many as there are file descriptors for.",
    ),
    ("max-per-client", WHOLE, "Connections open at a time by one client."),
    ("client-prefix-ipv4", WHOLE, "Length of the IPv4 network that counts as one client."),
    ("client-prefix-ipv6", WHOLE, "Length of the IPv6 network that counts as one client."),
    ("accept-rate", NUMBER, "New connections a second, all clients together."),
    ("client-accept-rate", NUMBER, "New connections a second for each client."),
)
_TIMES = (
    ("idle-timeout", SECONDS, "Cut a connection without a byte in either direction so long."),
    ("total-timeout", SECONDS, "Cut a connection that lasts longer."),
    ("stall-timeout", SECONDS, "Cut a peer that does not read what is sent to it so long."),
    ("rate", BYTE_RATE, "Bytes a second in each direction, for each connection."),
    ("client-rate", BYTE_RATE, "Bytes a second in each direction, for each client."),
)
_TLS = (
    ("tls-cert", FILE, "Speak TLS with this certificate and those that lead to its root (PEM)."),
    ("tls-key", FILE, "The certificate's private key, if it is not in the same file."),
    (
        "tls-directory",
        FILE,
        "Speak TLS with the certificate in this directory that has the host name asked for (SNI).",
    ),
    ("tls-self-signed", BOOLEAN, "Speak TLS with a certificate made at the start, for a try."),
    ("tls-min-version", choice(TLS_VERSIONS, "VERSION"), "Oldest version of TLS."),
    ("tls-alpn", TEXT, "Protocol to offer (ALPN), such as h2; the best one first."),
    ("tls-client-ca", FILE, "Ask clients for a certificate that one of these has signed (PEM)."),
    ("tls-client", choice(TLS_CLIENTS), "Whether a client must show one; by default it must."),
)
_PROXY = (
    (
        "proxy-from",
        NETWORK,
        "Proxies that begin with the PROXY protocol. The client is whom they name.",
    ),
    ("proxy-timeout", SECONDS, "Time that a proxy has to name it."),
)
_OBSERVABILITY = (
    ("log-format", choice(LOG_FORMATS), "How log lines look."),
    ("log-level", choice(LOG_LEVELS), "Least level that is logged."),
    (
        "access-log",
        FILE,
        "Write one line for each connection to this file; - is the service's own log.",
    ),
    ("admin", TEXT, "Metrics and dashboard: a port on loopback, HOST:PORT, or an endpoint string."),
    (
        "admin-token-file",
        FILE,
        "Secret for changes by the dashboard. If not given, one is made at the start and logged.",
    ),
)
_PROCESS = (
    (
        "drain-timeout",
        SECONDS,
        "Time that connections have to finish at shutdown; 0 cuts them at once.",
    ),
    ("workers", WHOLE, "Processes that serve."),
    (
        "worker-sockets",
        choice(WORKER_SOCKETS),
        "How they share a port: all have one socket, or each its own (reuseport).",
    ),
)
_PORT_FILE = (("port-file", FILE, "Write the port numbers to this file once everything listens."),)

#: What the services of a suite share, because there is one of it in a process.
_OF_THE_PROCESS = {
    *("port-file", "log-format", "log-level", "admin", "admin-token-file"),
    *("workers", "worker-sockets"),
}
_NEED_A_RESTART = {*_OF_THE_PROCESS, "access-log"} - {"log-level"}

_GROUPS: dict[str, tuple[tuple[str, Kind, str], ...]] = {
    LISTENING: _PORT_FILE,
    "Admission": _ADMISSION,
    "Timeouts and rates": _TIMES,
    "TLS": _TLS,
    "PROXY protocol": _PROXY,
    "Observability": _OBSERVABILITY,
    PROCESS: _PROCESS,
}


def _settings() -> Iterator[Setting]:
    defaults = {field.name: field.default for field in fields(DaemonConfig)}
    for group, rows in _GROUPS.items():
        for name, kind, text in rows:
            default = defaults[name.replace("-", "_")]
            repeatable = isinstance(default, tuple)
            yield Setting(
                name=name,
                kind=kind,
                help=f"{text} May be given again." if repeatable else text,
                group=group,
                default=default,
                repeatable=repeatable,
                reload=name not in _NEED_A_RESTART,
                process=name in _OF_THE_PROCESS,
                writes=name in {"port-file", "access-log"},
            )


#: One for each field of :class:`~netsuite.service.DaemonConfig`.
DAEMON_SETTINGS = tuple(_settings())

#: The fields of :class:`~netsuite.service.DaemonConfig` that change without a restart.
RELOADABLE = frozenset(setting.field for setting in DAEMON_SETTINGS if setting.reload)


def reloaded(running: DaemonConfig, new: DaemonConfig) -> tuple[DaemonConfig, tuple[str, ...]]:
    """What a running daemon can become of a new configuration.

    :returns: ``running`` with what may change taken from ``new``, and the names of the
        settings that differ and need a restart.
    """
    reloadable = RELOADABLE
    if running.tls != new.tls:
        # Whether there is TLS at all was decided when it began to listen.
        reloadable = frozenset(name for name in reloadable if not name.startswith("tls_"))
    changed = {
        field.name: getattr(new, field.name)
        for field in fields(running)
        if getattr(running, field.name) != getattr(new, field.name)
    }
    restart = tuple(name.replace("_", "-") for name in changed if name not in reloadable)
    allowed = {name: value for name, value in changed.items() if name in reloadable}
    return replace(running, **allowed), restart
