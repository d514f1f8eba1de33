"""Transcripts: what peers have asked and what they were told, as JSON lines.

One object stands for each request and each line that is sent (a reply of several lines is
several, a push is one)::

    {"time": "2026-03-01T12:00:00.250Z", "session": 3, "peer": "192.0.2.7:4711", "user": null,
     "direction": "in", "command": "AUTH", "text": "AUTH", "redacted": true}

``direction`` is ``in`` or ``out``. ``text`` is missing for what is no text, and cut where it is
too long (``"truncated": true``); ``bytes`` says how long it was in both cases. Of a literal that
was taken there is only its length (``literal``). What a transcript must not know is left out with
``"redacted": true``: the arguments of commands that are ``secret``, and those of lines that are
no command, which may be one of these misspelled.

Lines are ASCII and shorter than :data:`LONGEST` bytes, whatever peers send.
"""

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from io import TextIOBase
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Protocol
from weakref import WeakKeyDictionary

from twisted.logger import Logger

from netsuite.line._requests import Request
from netsuite.line._session import Session
from netsuite.line.app import LineApp

#: Characters of a request or a reply that are recorded.
TEXT_LENGTH = 1000

#: The longest line of a transcript with that length, in bytes.
LONGEST = 16 * 1024

#: Characters of a name that are recorded: of peers, users and commands.
_NAME_LENGTH = 100

#: Bytes in which patterns are looked for; what follows is not recorded.
_LOOKED_AT = 64 * 1024

#: Seconds between two log entries, where lines can be written and cannot by turns.
_QUIET_SECONDS = 60

_LINE_FEED = 10
_BINARY = re.compile(r"[^\t\r\n -~\x80-\U0010ffff]")


class Sink(Protocol):
    """Where lines go."""

    def write(self, data: bytes, /) -> object:
        """Take a line."""


class Transcript:
    """Records what peers ask and what they are told.

    ::

        app.add(Transcript("/var/log/calc.jsonl", redact={"card": "[0-9]{16}"}))

    It is added before the application is served. If it cannot be written, the disk being full for
    example, the service goes on without: that is logged once, and again when it is over, and
    counted.

    :param target: a path, which is opened for appending and is the owner's alone to read; or what
        has ``write(bytes)``.
    :param redact: patterns (:mod:`re`) of what is nobody's business; the name stands for it, as
        ``[name]``.
    :param text_length: characters that are recorded of a request or a line.
    :param max_bytes: a file that would become longer is renamed to ``PATH.1``, this one to
        ``PATH.2`` and so on. None for no limit.
    :param keep: how many older files there are then.
    :param now: seconds since 1970-01-01 00:00 UTC.
    :raises OSError: for a file that cannot be opened.
    :ivar written: lines that were written.
    :ivar failures: lines that could not be written.
    """

    _log = Logger()
    _file: "_File | None" = None

    def __init__(
        self,
        target: str | PathLike[str] | Sink,
        *,
        redact: Mapping[str, str | re.Pattern[str]] = MappingProxyType({}),
        text_length: int = TEXT_LENGTH,
        max_bytes: int | None = None,
        keep: int = 1,
        now: Callable[[], float] = time.time,
    ) -> None:
        for name, value, least in (
            ("text_length", text_length, 1),
            ("max_bytes", max_bytes, LONGEST),
            ("keep", keep, 1),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name} {value}: expected {least} or more")
        self._redact = [(_shown_as(name), re.compile(each)) for name, each in redact.items()]
        self._text_length = text_length
        self._now = now
        self._numbers: WeakKeyDictionary[Session, int] = WeakKeyDictionary()
        self._last = 0
        self._failing = False
        self._quiet_until = 0.0
        self.written = 0
        self.failures = 0
        if isinstance(target, TextIOBase):
            raise TypeError(f"{target!r} takes text: expected what takes bytes")
        if isinstance(target, str | PathLike):
            self._file = _File(Path(target), max_bytes, keep)
            self._write: Callable[[bytes], object] = self._file.write
        else:
            self._write = target.write

    def install(self, app: LineApp) -> None:
        """Become what records for an application.

        :raises ValueError: if there is another.
        """
        if app.recorder is not None:
            raise ValueError(f"{app.name} has a transcript already: expected one")
        app.recorder = self

    def reopen(self) -> None:
        """Open the file again, which somebody has renamed; nothing for other targets.

        If that fails, the one that is open goes on.
        """
        if self._file is not None:
            try:
                self._file.open()
            except OSError as error:
                self._log.error("transcript: the file that is open goes on: {error}", error=error)

    def close(self) -> None:
        """Close the file; nothing is recorded from then on."""
        if self._file is not None:
            self._file.close()
        self._write = _nowhere

    # As the application's recorder.

    def request(self, session: Session, request: Request) -> None:
        """Record what a peer asks."""
        command = request.command
        fields = self._fields(session, "in")
        fields["command"] = None if command is None else command.name[:_NAME_LENGTH]
        if command is not None and not command.secret:
            fields.update(self._text(request.line, len(request.line)))
        else:
            self._without_arguments(fields, request)
        if request.size > len(request.line):
            fields["literal"] = request.size - len(request.line)
        self._record(fields)

    def reply(self, session: Session, data: bytes) -> None:
        """Record what is sent."""
        fields = self._fields(session, "out")
        fields.update(self._text(_without_end(data), len(data)))
        self._record(fields)

    # What is recorded.

    def _fields(self, session: Session, direction: str) -> dict[str, Any]:
        number = self._numbers.get(session)
        if number is None:
            number = self._numbers[session] = self._last = self._last + 1
        user = session.user
        return {
            "time": _shown(self._now()),
            "session": number,
            "peer": session.peer[:_NAME_LENGTH],
            "user": None if user is None else user[:_NAME_LENGTH],
            "direction": direction,
        }

    def _without_arguments(self, fields: dict[str, Any], request: Request) -> None:
        words = request.line.split(None, 1)
        if request.command is not None:
            fields["text"] = fields["command"]
        elif words:
            fields.update(self._text(words[0][:_NAME_LENGTH], len(request.line)))
        if len(words) > 1:
            fields["redacted"] = True

    def _text(self, data: bytes, size: int) -> dict[str, Any]:
        """What can be recorded of some bytes."""
        try:
            text = data[:_LOOKED_AT].decode()
        except UnicodeDecodeError as error:
            if len(data) <= _LOOKED_AT or error.start < _LOOKED_AT - 4:
                return {"bytes": size}
            text = data[: error.start].decode()
        if _BINARY.search(text):
            return {"bytes": size}
        for shown, pattern in self._redact:
            text = pattern.sub(shown, text)
        if len(text) <= self._text_length and len(data) <= _LOOKED_AT:
            return {"text": text}
        return {"text": text[: self._text_length], "bytes": size, "truncated": True}

    # Writing.

    def _record(self, fields: dict[str, Any]) -> None:
        """Write; nothing that goes wrong is the peers' concern."""
        try:
            self._write(json.dumps(fields).encode() + b"\n")
        except Exception as error:  # noqa: BLE001 - a target of somebody's own raises what it likes
            self.failures += 1
            now = self._now()
            if not self._failing and now >= self._quiet_until:
                self._failing = True
                self._quiet_until = now + _QUIET_SECONDS
                self._log.error("transcript cannot be written: {error}", error=error)
            return
        self.written += 1
        if self._failing:
            self._failing = False
            lost = self.failures
            self._log.info("transcript is written again; {lost} lines were lost so far", lost=lost)


class _File:
    """A file that lines are added to, whole ones, and that can be exchanged for a new one."""

    def __init__(self, path: Path, most: int | None, keep: int) -> None:
        self._path = path
        self._most = most
        self._keep = keep
        self._stream: IO[bytes] | None = None
        self._size = 0
        self._torn = False
        self.open()

    def open(self) -> None:
        """Open it, in place of what was open.

        :raises OSError: if that cannot be done.
        """
        stream = open(self._path, "ab", buffering=0, opener=_private)  # noqa: SIM115 - it stays
        before, self._stream = self._stream, stream
        self._size = os.fstat(stream.fileno()).st_size
        self._torn = False
        if before is not None:
            before.close()

    def close(self) -> None:
        """Close it."""
        if self._stream is not None:
            self._stream.close()

    def write(self, line: bytes) -> None:
        """Add a line.

        :raises OSError: if that cannot be done; the next one begins on a line of its own.
        """
        if self._stream is None:
            raise OSError(f"{self._path} is not open")
        if self._most is not None and self._size and self._size + len(line) > self._most:
            self._rotate()
        data = b"\n" + line if self._torn else line
        written = self._stream.write(data) or 0  # None from a pipe that is full
        self._size += written
        if written:
            self._torn = data[written - 1] != _LINE_FEED
        if written < len(data):
            raise OSError(f"{self._path}: no space for all of a line")

    def _rotate(self) -> None:
        if self._path.exists():
            for number in range(self._keep, 1, -1):
                older = Path(f"{self._path}.{number - 1}")
                if older.exists():
                    older.replace(f"{self._path}.{number}")
            self._path.replace(f"{self._path}.1")
        self.open()


def _private(path: str, flags: int) -> int:
    # A pipe that nobody reads does not stop the service.
    return os.open(path, flags | os.O_NONBLOCK, 0o600)


def _nowhere(line: bytes) -> None:
    pass


def _shown_as(name: str) -> Callable[[re.Match[str]], str]:
    return lambda _: f"[{name}]"


def _shown(seconds: float) -> str:
    """A time as RFC 3339 has it, in UTC."""
    shown = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return shown.removesuffix("+00:00") + "Z"


def _without_end(data: bytes) -> bytes:
    return data.removesuffix(b"\n").removesuffix(b"\r")
