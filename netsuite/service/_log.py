"""Log lines: text as Twisted writes it, or one flat JSON object each."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    textFileLogObserver,
)
from twisted.python.failure import Failure

from netsuite.service._config import LogFormat

# Twisted's legacy logging adds these to every event; their values are in ours already.
_LEGACY = frozenset({"format", "isError", "message", "failure", "printed", "system", "time", "why"})


def json_line(event: LogEvent) -> str | None:
    """One event as one line of JSON: flat, with the time in ISO 8601 and UTC.

    The keys ``time``, ``level``, ``logger`` and ``message`` are always there; ``traceback``
    is there for failures; then come the event's own fields, numbers as numbers and all
    else as text. A field whose name is taken has an underscore after its name; what
    Twisted's legacy logging adds to events for its own use is left out.
    """
    line = dict(_fields(event))
    return json.dumps(line, allow_nan=False) + "\n"


def _fields(event: LogEvent) -> Iterator[tuple[str, object]]:
    seconds = event.get("log_time", 0.0)
    yield "time", datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")
    yield "level", _level(event)
    yield "logger", str(event.get("log_namespace", "-"))
    yield "message", formatEvent(event)
    failure = event.get("log_failure")
    if isinstance(failure, Failure):
        yield "traceback", failure.getTraceback()
    for name, value in event.items():
        if not name.startswith("log_") and name not in _LEGACY:
            taken = name in {"level", "logger", "traceback"}
            yield f"{name}_" if taken else name, _scalar(value)


def _level(event: LogEvent) -> str:
    return str(getattr(event.get("log_level"), "name", "info"))


def _scalar(value: Any) -> object:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a log line must not fail for an odd value
        return f"<{type(value).__name__} that cannot be shown>"


def file_observer(file: TextIO, log_format: LogFormat) -> ILogObserver:
    """An observer that writes events to ``file`` in one of our formats."""
    if log_format == "json":
        observer: ILogObserver = FileLogObserver(file, json_line)
    else:
        observer = textFileLogObserver(file)
    return observer


class LevelFilter:
    """Lets events of a level and above through to an observer, until another level is set.

    :ivar observer: what the events are given to.
    """

    def __init__(self, observer: ILogObserver, level: str) -> None:
        self._predicate = LogLevelFilterPredicate(LogLevel.lookupByName(level))
        self.observer: ILogObserver = FilteringLogObserver(observer, [self._predicate])

    def quiet(self, namespace: str) -> None:
        """Let only warnings and what is worse through from a namespace."""
        self._predicate.setLogLevelForNamespace(namespace, LogLevel.warn)

    def set_level(self, level: str) -> None:
        """Let events of another level and above through from now on."""
        self._predicate.setLogLevelForNamespace("", LogLevel.lookupByName(level))


def at_level(observer: ILogObserver, level: str) -> ILogObserver:
    """``observer``, for events of ``level`` and above."""
    return LevelFilter(observer, level).observer
