"""One line that says how far a long file has been read."""

import time
from collections.abc import Callable
from typing import TextIO

_DELAY = 0.3  # seconds; what is over by then needs no bar
_INTERVAL = 0.1  # seconds between two states of the line
_CELLS = 30
_LONGEST_NAME = 30
_MEBIBYTE = 1 << 20


class Progress:
    """A bar on a terminal, and nothing anywhere else. It is erased at the end.

    :param total: bytes, or None if nobody knows.
    :param clock: seconds.
    """

    def __init__(
        self,
        stream: TextIO,
        name: str,
        total: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._name = name if len(name) <= _LONGEST_NAME else "..." + name[3 - _LONGEST_NAME :]
        self._total = total
        self._clock = clock
        self._width = 0
        self._next = clock() + _DELAY if stream.isatty() else float("inf")

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.erase()

    def at(self, done: int) -> None:
        """Say that so many bytes have been read."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + _INTERVAL
        line = f"{self._name}  {done // _MEBIBYTE} MiB"
        if self._total:
            share = min(done / self._total, 1.0)
            bar = "#" * round(share * _CELLS)
            line = f"{self._name}  [{bar:{_CELLS}}] {share:4.0%}"
        self._stream.write(f"\r{line:{self._width}}")
        self._stream.flush()
        self._width = len(line)

    def erase(self) -> None:
        """Leave the line as it was before."""
        if self._width:
            self._stream.write(f"\r{'':{self._width}}\r")
            self._stream.flush()
            self._width = 0
