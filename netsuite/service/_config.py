"""What every daemon can be told, as data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from netsuite.service._errors import ConfigError

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warn", "error", "critical"]

LOG_FORMATS: tuple[str, ...] = get_args(LogFormat)
LOG_LEVELS: tuple[str, ...] = get_args(LogLevel)


@dataclass(frozen=True, slots=True, kw_only=True)
class DaemonConfig:
    """How a service runs, whatever it serves.

    :ivar drain_timeout: seconds that connections have to finish at shutdown, 0 or more.
    :ivar port_file: where to write the port numbers once everything listens.
    :ivar log_format: ``text``, or ``json`` for one object a line.
    :ivar log_level: the least level that is logged.
    :raises ConfigError: for a value out of range.
    """

    drain_timeout: float = 10.0
    port_file: Path | None = None
    log_format: LogFormat = "text"
    log_level: LogLevel = "info"

    def __post_init__(self) -> None:
        if not 0 <= self.drain_timeout < float("inf"):
            raise ConfigError(f"drain timeout {self.drain_timeout}: expected 0 seconds or more")
        if self.log_format not in LOG_FORMATS:
            raise ConfigError(
                f"log format {self.log_format!r}: expected {' or '.join(LOG_FORMATS)}"
            )
        if self.log_level not in LOG_LEVELS:
            raise ConfigError(
                f"log level {self.log_level!r}: expected one of {', '.join(LOG_LEVELS)}"
            )
