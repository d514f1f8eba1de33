"""A terminal, as much of it as is written to."""

from netsuite.line._terminal_text import width


class Screen:
    """What a person sees.

    :param prompt: how the row begins that is edited.
    :raises AssertionError: (when fed) for what no plain terminal knows, and if the row that is
        edited is full: terminals do not agree on where the cursor is then.
    """

    def __init__(self, columns: int = 80, prompt: str = "calc>") -> None:
        self._prompt = prompt
        self.columns = columns
        self.cursor = 0
        self.bells = 0
        self._rows: list[list[str]] = [[]]

    def feed(self, data: bytes) -> None:
        text = data.decode().replace("\x1b[H\x1b[2J", "\f")
        for character in text:
            match character:
                case "\r":
                    self.cursor = 0
                case "\n":
                    self._rows.append([])
                case "\b":
                    assert self.cursor > 0
                    self.cursor -= 1
                case "\a":
                    self.bells += 1
                case "\f":
                    self._rows = [[]]
                    self.cursor = 0
                case _:
                    self._write(character)

    def _write(self, character: str) -> None:
        assert character.isprintable(), f"{character!r} is no text"
        row = self._rows[-1]
        takes = width(character)
        row.extend(" " * (self.cursor + takes - len(row)))
        if takes:
            row[self.cursor : self.cursor + takes] = [character, *[""] * (takes - 1)]
        self.cursor += takes
        if self.cursor >= self.columns:
            assert not self.row.startswith(self._prompt), f"the row is full: {self.row!r}"

    @property
    def rows(self) -> list[str]:
        return [_text(each) for each in self._rows]

    @property
    def row(self) -> str:
        return _text(self._rows[-1])


def _text(row: list[str]) -> str:
    return "".join(row).rstrip()
