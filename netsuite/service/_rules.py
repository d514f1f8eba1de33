"""What a configuration says of connections, with its files read: what a reload replaces."""

import resource
from dataclasses import dataclass
from pathlib import Path

from netsuite.ip import AccessList, AddressError, IPRange, IPSet
from netsuite.ip import Rule as AccessRule
from netsuite.net.certificates import TLSConfig
from netsuite.service._admission import AdmissionRules
from netsuite.service._config import DaemonConfig
from netsuite.service._errors import ConfigError
from netsuite.service._limits import StreamRules
from netsuite.service._snapshot import FILES

#: File descriptors that are kept for what is no connection: logs, listening sockets, pipes, and
#: peers who are told that they may not come in.
RESERVED_DESCRIPTORS = 256

#: The largest access file that is read, in bytes.
MOST_ACCESS_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything that holds for connections.

    :ivar tls: for endpoints that do not say it themselves; None for no TLS.
    :ivar proxies: likewise, who must speak the PROXY protocol; None for nobody.
    """

    admission: AdmissionRules
    streams: StreamRules
    tls: TLSConfig | None
    proxies: IPSet | None
    proxy_timeout: float
    drain_timeout: float

    @classmethod
    def read(cls, config: DaemonConfig) -> "Rules":
        """What ``config`` and the files that it names say.

        :raises ConfigError: for a file that cannot be read or does not say it right.
        """
        return cls(
            admission=AdmissionRules(
                access=read_access(config),
                max_connections=config.max_connections or descriptors(),
                max_per_client=config.max_per_client,
                client_prefix_ipv4=config.client_prefix_ipv4,
                client_prefix_ipv6=config.client_prefix_ipv6,
                accept_rate=config.accept_rate,
                client_accept_rate=config.client_accept_rate,
            ),
            streams=StreamRules(
                idle_timeout=config.idle_timeout,
                total_timeout=config.total_timeout,
                stall_timeout=config.stall_timeout,
                rate=config.rate,
                client_rate=config.client_rate,
            ),
            tls=tls_of(config),
            proxies=IPSet(config.proxy_from) if config.proxy_from else None,
            proxy_timeout=config.proxy_timeout,
            drain_timeout=config.drain_timeout,
        )


def descriptors() -> int | None:
    """How many connections this process has file descriptors for; None for no limit.

    Where there are few, a quarter is kept for what is no connection.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    return max(1, soft - RESERVED_DESCRIPTORS, soft * 3 // 4)


def read_access(config: DaemonConfig) -> AccessList | None:
    """Who may connect: ``deny`` first, then ``allow``, then the file; None for everybody.

    :raises ConfigError: for a file that cannot be read, or a line of it that is no rule.
    """
    if not (config.allow or config.deny or config.access_file):
        return None
    rules = [AccessRule(False, IPRange.parse(text)) for text in config.deny]
    rules += [AccessRule(True, IPRange.parse(text)) for text in config.allow]
    if config.access_file is None:
        return AccessList(rules, default=not config.allow)
    file = _read_access_file(config.access_file)
    return AccessList([*rules, *file.rules], default=file.default)


def _read_access_file(path: Path) -> AccessList:
    try:
        data = FILES.read(path, MOST_ACCESS_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"access file {path}: {error.strerror}") from None
    if len(data) > MOST_ACCESS_BYTES:
        raise ConfigError(f"access file {path}: expected up to {MOST_ACCESS_BYTES} bytes")
    try:
        return AccessList.from_text(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"access file {path}: expected UTF-8 text ({error})") from None
    except AddressError as error:
        raise ConfigError(f"access file {path}: {error}") from None


def tls_of(config: DaemonConfig) -> TLSConfig | None:
    """What ``config`` says of TLS; None for none.

    :raises ConfigError: for what cannot work together.
    """
    if not (config.tls_cert or config.tls_directory or config.tls_self_signed):
        return None
    try:
        return TLSConfig(
            cert=config.tls_cert,
            key=config.tls_key,
            directory=config.tls_directory,
            self_signed=config.tls_self_signed,
            min_version=config.tls_min_version,
            alpn=config.tls_alpn,
            client_ca=config.tls_client_ca,
            client=config.tls_client or "required",
        )
    except ValueError as error:
        raise ConfigError(str(error)) from None
