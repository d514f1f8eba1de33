"""The lines that a person has entered, to get them back."""

from collections import deque


class History:
    """Lines, the newest last, and where one is among them.

    :param lines: how many are kept.
    :param size: characters of all of them.
    """

    def __init__(self, lines: int = 1000, size: int = 128 * 1024) -> None:
        self._most = lines
        self._most_size = size
        self._lines: deque[str] = deque()
        self._size = 0
        self._at: int | None = None
        self._draft = ""

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: str) -> None:
        """Keep a line; the oldest go where there are too many."""
        self._at = None
        if not line.strip() or (self._lines and self._lines[-1] == line):
            return
        self._lines.append(line)
        self._size += len(line)
        while len(self._lines) > self._most or self._size > self._most_size:
            self._size -= len(self._lines.popleft())

    def leave(self) -> None:
        """Be behind the newest again."""
        self._at = None

    def older(self, now: str) -> str | None:
        """The line before; None if there is none.

        :param now: what is being written; it comes back behind the newest.
        """
        at = len(self._lines) if self._at is None else self._at
        if at == 0:
            return None
        if self._at is None:
            self._draft = now
        self._at = at - 1
        return self._lines[self._at]

    def newer(self) -> str | None:
        """The line after; None if one is behind the newest."""
        if self._at is None:
            return None
        self._at += 1
        if self._at < len(self._lines):
            return self._lines[self._at]
        self._at = None
        return self._draft
