"""A line being edited on a terminal, and what an application says above it. No Twisted, no clock.

Nothing but printable text, CR, LF and backspaces is sent, so any terminal will do; only Ctrl-L
takes a sequence of ECMA-48. One row shows the line, or the part of it around the cursor.
"""

from collections.abc import Callable
from enum import Enum, auto

from netsuite.line._terminal_completion import Completer, Completion
from netsuite.line._terminal_history import History
from netsuite.line._terminal_keys import Key
from netsuite.line._terminal_text import safe, width

BELL = "\a"
_CLEAR_SCREEN = "\x1b[H\x1b[2J"

MIN_COLUMNS = 20
MAX_COLUMNS = 500
DEFAULT_COLUMNS = 80


class Pressed(Enum):
    """What a key means beyond the line."""

    INTERRUPT = auto()
    END_OF_INPUT = auto()


class Terminal:
    """One person's terminal.

    :param prompt: before the line.
    :param completer: what Tab does, and what is secret.
    :param limit: bytes of a line, in UTF-8.
    :param ansi: whether the terminal knows the sequences of ECMA-48.
    :ivar history: what was entered.
    """

    def __init__(self, prompt: str, completer: Completer, limit: int, *, ansi: bool = True) -> None:
        self.history = History()
        self._prompt = safe(prompt)
        self._completer = completer
        self._limit = limit
        self._ansi = ansi
        self._columns = DEFAULT_COLUMNS
        self._characters: list[str] = []
        self._size = 0
        self._at = 0
        self._left = 0
        self._erased = ""
        #: From where on the line is secret, when it was last looked at.
        self._secret: int | None = None
        self._out: list[str] = []
        #: Whether the row shows something else than the line.
        self._stale = False
        #: Whether the row of the prompt is there, and how many of its columns are in use.
        self._shown = False
        self._used = 0
        self._column_zero = True
        self._keys: dict[Key, Callable[[], object]] = {
            Key.TAB: self._complete,
            Key.BACKSPACE: lambda: self._erase(self._at - 1, self._at),
            Key.DELETE: lambda: self._erase(self._at, self._at + 1),
            Key.LEFT: lambda: self._go(self._at - 1),
            Key.RIGHT: lambda: self._go(self._at + 1),
            Key.WORD_LEFT: lambda: self._go(self._word_start()),
            Key.WORD_RIGHT: lambda: self._go(self._word_end()),
            Key.START: lambda: self._go(0),
            Key.END: lambda: self._go(len(self._characters)),
            Key.UP: lambda: self._replace(self.history.older(self.line)),
            Key.DOWN: lambda: self._replace(self.history.newer()),
            Key.ERASE_LINE: lambda: self._erase(0, len(self._characters), keep=True),
            Key.ERASE_TO_START: lambda: self._erase(0, self._at, keep=True),
            Key.ERASE_TO_END: lambda: self._erase(self._at, len(self._characters), keep=True),
            Key.ERASE_WORD: lambda: self._erase(self._word_start(), self._at, keep=True),
            Key.ERASE_WORD_RIGHT: lambda: self._erase(self._at, self._word_end(), keep=True),
            Key.INSERT_ERASED: lambda: self._insert(self._erased),
            Key.CLEAR_SCREEN: self._clear_screen,
        }

    @property
    def line(self) -> str:
        """What has been written so far."""
        return "".join(self._characters)

    def taken(self) -> bytes:
        """What is to be sent to the terminal since this was last asked."""
        if self._shown and self._stale:
            self._draw()
        out = "".join(self._out)
        self._out.clear()
        return out.encode()

    @property
    def pending(self) -> int:
        """How many pieces of text :meth:`taken` has."""
        return len(self._out)

    def resize(self, columns: int) -> None:
        """The terminal is this wide; 0 for nobody knows."""
        columns = min(max(columns or DEFAULT_COLUMNS, MIN_COLUMNS), MAX_COLUMNS)
        if columns == self._columns:
            return
        self._columns = columns
        if self._shown:
            # What is on the row may have been wrapped: a new one is clean.
            self._out.append("\r\n")
            self._shown = False
            self.show()

    # Keys.

    def press(self, key: Key | str) -> str | Pressed | None:
        """A key was pressed.

        :returns: a whole line; or what is nothing for the line; or None.
        """
        if isinstance(key, str):
            self._insert(key)
        elif key is Key.ENTER:
            return self._enter()
        elif key is Key.INTERRUPT:
            self._interrupt()
            return Pressed.INTERRUPT
        elif key is Key.END_OF_INPUT:
            if not self._characters:
                self._leave_row("")
                return Pressed.END_OF_INPUT
            self._keys[Key.DELETE]()
        else:
            self._keys.get(key, self._ring)()
        return None

    def _enter(self) -> str:
        self._go(len(self._characters))
        line = self.line
        self._leave_row("")
        if self._completer.secret_part(line) is None:
            self.history.add(line)
        self.history.leave()
        self._set("")
        return line

    def _interrupt(self) -> None:
        self._leave_row("^C")
        self.history.leave()
        self._set("")

    def _leave_row(self, mark: str) -> None:
        """Go on in the next row; what was written stays."""
        self.show()
        if self._stale:
            self._draw()
        self._out.append(f"{mark}\r\n")
        self._shown = False
        self._column_zero = True

    def _insert(self, text: str) -> None:
        size = len(text.encode())
        if self._size + size > self._limit:
            self._ring()
            return
        at_end = self._at == len(self._characters)
        self._characters[self._at : self._at] = text
        self._size += size
        self._at += len(text)
        self._stale = not (at_end and self._append(text))

    def _append(self, text: str) -> bool:
        """Show what was written at the end, if that is all there is to do."""
        if not self._shown or self._stale or self._secret is not None or " " in text:
            return False
        columns = sum(map(width, text))
        if self._used + columns >= self._columns:
            return False
        self._out.append(text)
        self._used += columns
        return True

    def _erase(self, start: int, end: int, *, keep: bool = False) -> None:
        start, end = max(start, 0), min(end, len(self._characters))
        if start >= end:
            self._ring()
            return
        erased = "".join(self._characters[start:end])
        if keep:
            self._erased = erased
        del self._characters[start:end]
        self._size -= len(erased.encode())
        self._at = start
        self._stale = True

    def _go(self, at: int) -> None:
        if not 0 <= at <= len(self._characters):
            self._ring()
        elif at != self._at:
            self._at = at
            self._stale = True

    def _replace(self, line: str | None) -> None:
        if line is None:
            self._ring()
        else:
            self._set(line)

    def _set(self, line: str) -> None:
        self._characters = list(line)
        self._size = len(line.encode())
        self._at = len(line)
        self._left = 0
        self._stale = True

    def _word_start(self) -> int:
        at = self._at
        while at > 0 and self._characters[at - 1].isspace():
            at -= 1
        while at > 0 and not self._characters[at - 1].isspace():
            at -= 1
        return at

    def _word_end(self) -> int:
        at, end = self._at, len(self._characters)
        while at < end and self._characters[at].isspace():
            at += 1
        while at < end and not self._characters[at].isspace():
            at += 1
        return at

    def _complete(self) -> None:
        found: Completion = self._completer.complete(self.line[: self._at])
        if found.insert:
            self._insert(found.insert)
        elif found.lines:
            self.say("".join(f"{safe(each)}\r\n" for each in found.lines))
            self.show()
        else:
            self._ring()

    def _clear_screen(self) -> None:
        self._out.append(_CLEAR_SCREEN if self._ansi else "\r\n")
        self._shown = False
        self._column_zero = True
        self.show()

    def _ring(self) -> None:
        self._out.append(BELL)

    # The row.

    def say(self, text: str) -> None:
        """Show what an application says, above the line; :meth:`show` shows that again.

        :param text: safe, its lines ended by CR LF.
        """
        if text:
            self.hide()
            self._out.append(text)
            self._column_zero = text.endswith("\n")

    def hide(self) -> None:
        """Take the prompt and the line away."""
        if self._shown:
            self._out.append(f"\r{' ' * self._used}\r")
            self._shown = False

    def show(self) -> None:
        """Show the prompt and the line, if they are not there."""
        if not self._shown:
            if not self._column_zero:
                self._out.append("\r\n")
            self._column_zero = self._shown = self._stale = True
            self._used = 0

    def _draw(self) -> None:
        """Write the row anew, and put the cursor where it belongs."""
        prompt = self._prompt if len(self._prompt) <= self._columns // 2 else "> "
        shown = self._masked()
        room = self._columns - 1 - len(prompt)
        self._scroll(shown, room)
        visible, behind, columns = [], 0, 0
        for at, character in enumerate(shown[self._left :], self._left):
            takes = width(character)
            if columns + takes > room:
                break
            columns += takes
            behind += takes if at >= self._at else 0
            visible.append(character)
        used = len(prompt) + columns
        stale = max(self._used - used, 0)
        row = f"\r{prompt}{''.join(visible)}{' ' * stale}"
        self._out.append(row + "\b" * (stale + behind))
        self._used = used
        self._stale = False

    def _scroll(self, shown: list[str], room: int) -> None:
        """Have the cursor among what is visible."""
        widths = [*map(width, shown)]
        if sum(widths) <= room:
            self._left = 0
            return
        if self._left <= self._at and sum(widths[self._left : self._at]) <= room:
            return
        left, columns = self._at, 0
        while left > 0 and columns + widths[left - 1] <= room // 2:
            left -= 1
            columns += widths[left]
        self._left = left

    def _masked(self) -> list[str]:
        secret = self._secret = self._completer.secret_part(self.line)
        if secret is None:
            return self._characters
        return [
            "*" if at >= secret and not each.isspace() else each
            for at, each in enumerate(self._characters)
        ]
