"""What every daemon has, once, for every protocol.

A programmer serves a factory and drains it at shutdown::

    from netsuite.service import Daemon, DaemonConfig, Listener

    daemon = Daemon(
        DaemonConfig(drain_timeout=5),
        [Listener(name="greeter", factory=factory, endpoints=("dualstack:9000",))],
        reactor,
    )
    daemon.startService()

``daemon.stopService()`` returns the Deferred that fires when nothing is left.
:class:`DrainingService` is the same for one endpoint of any kind, with as much of the rest
as it is given: :class:`Admission` says who may come in, and :class:`StreamLimits` and
:class:`AccessLog` observe the connections.
"""

from netsuite.service._access_log import AccessLog
from netsuite.service._admission import Admission, AdmissionRules, BanList, Refusal
from netsuite.service._config import DaemonConfig, LogFormat, LogLevel, SettingError
from netsuite.service._daemon import Daemon
from netsuite.service._drain import DrainingService
from netsuite.service._errors import ConfigError, StartError
from netsuite.service._limits import StreamLimits, StreamRules
from netsuite.service._listen import ListenOptions
from netsuite.service._listener import Listener, Listening
from netsuite.service._log import at_level, file_observer, json_line
from netsuite.service._options import ServerOptions
from netsuite.service._process import process_service
from netsuite.service._settings import (
    BOOLEAN,
    BYTE_RATE,
    ENDPOINT,
    FILE,
    NETWORK,
    NUMBER,
    SECONDS,
    SIZE,
    TEXT,
    WHOLE,
    Setting,
    choice,
)
from netsuite.service._stats import Histogram, ListenerStats, ServiceStats

__all__ = [
    "BOOLEAN",
    "BYTE_RATE",
    "ENDPOINT",
    "FILE",
    "NETWORK",
    "NUMBER",
    "SECONDS",
    "SIZE",
    "TEXT",
    "WHOLE",
    "AccessLog",
    "Admission",
    "AdmissionRules",
    "BanList",
    "ConfigError",
    "Daemon",
    "DaemonConfig",
    "DrainingService",
    "Histogram",
    "ListenOptions",
    "Listener",
    "ListenerStats",
    "Listening",
    "LogFormat",
    "LogLevel",
    "Refusal",
    "ServerOptions",
    "ServiceStats",
    "Setting",
    "SettingError",
    "StartError",
    "StreamLimits",
    "StreamRules",
    "at_level",
    "choice",
    "file_observer",
    "json_line",
    "process_service",
]
