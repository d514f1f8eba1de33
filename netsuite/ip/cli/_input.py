"""Reading: files and standard input, prefixes in them, and the lines that are wrong."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, TypeVar

from netsuite.ip._errors import AddressError
from netsuite.ip._range import IPRange
from netsuite.ip._set import IPSet
from netsuite.ip.cli._progress import Progress
from netsuite.ip.cli._streams import Streams, Trouble

T = TypeVar("T")

STANDARD_INPUT = "-"
MAX_COMPLAINTS = 20

_BLOCK = 2 << 20  # bytes; what is read, cleaned and made a set of at once
_LIKE_ADDRESSES = frozenset("0123456789abcdefABCDEF.:/*-, ")


@dataclass
class BadLines:
    """The lines that were wrong: the first ones are named, the others counted.

    :ivar skip: whether to go on without them.
    """

    streams: Streams
    skip: bool
    _count: int = field(default=0, init=False)

    def add(self, where: str, error: AddressError) -> None:
        """Name one, unless there have been too many.

        :param where: file and line.
        """
        self._count += 1
        if self._count <= MAX_COMPLAINTS:
            after = "; skipped" if self.skip else ""
            self.streams.complain(f"{where}: {error}{after}")

    def finish(self) -> None:
        """Say how many more there were.

        :raises Trouble: if there were any, and they are not to be skipped.
        """
        if self._count > MAX_COMPLAINTS:
            self.streams.complain(f"and {self._count - MAX_COMPLAINTS} more")
        if self._count and not self.skip:
            raise Trouble


def display_name(name: str) -> str:
    """What messages call a file."""
    return "standard input" if name == STANDARD_INPUT else name


@contextmanager
def opened(name: str, streams: Streams) -> Iterator[BinaryIO]:
    """A file to read bytes from, or the standard input for ``-``.

    :raises Trouble: if it cannot be opened.
    """
    if name == STANDARD_INPUT:
        yield streams.input
        return
    try:
        file = Path(name).open("rb")  # noqa: SIM115 - only opening it is inside the try
    except (OSError, ValueError) as error:
        raise Trouble(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    with file:
        yield file


def blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    """The bytes of a file in pieces that end with a whole line.

    A pipe is not waited for: whole lines come as soon as they are there. The very last line
    gets its newline if it has none.
    """
    read = getattr(file, "read1", file.read)
    parts: list[bytes] = []
    while piece := read(size):
        end = piece.rfind(b"\n") + 1
        if end:
            yield b"".join([*parts, piece[:end]])
            parts = [piece[end:]] if end < len(piece) else []
        else:
            parts.append(piece)
    if parts:
        yield b"".join([*parts, b"\n"])


def progress(file: BinaryIO, name: str, streams: Streams) -> Progress:
    """The bar for a file."""
    total = None
    try:
        status = os.fstat(file.fileno())
    except (OSError, ValueError):
        pass
    else:
        total = status.st_size if stat.S_ISREG(status.st_mode) else None
    return Progress(streams.errors, display_name(name), total)


def names_or_input(names: Sequence[str], streams: Streams, expected: str) -> list[str]:
    """The files to read: the standard input if none is named and it is no terminal.

    :raises Trouble: if it is one.
    """
    if not names and streams.input.isatty():
        raise Trouble(f"expected {expected}, or input on standard input")
    if list(names).count(STANDARD_INPUT) > 1:
        raise Trouble("standard input (-) can be read only once")
    return list(names) or [STANDARD_INPUT]


def lines(names: Iterable[str], streams: Streams) -> Iterator[tuple[list[str], str, int]]:
    """The lines of files, very many at once, without comments and space around them.

    :returns: lines, empty ones too; the name of their file; the number of the first one.
    """
    for name in names:
        with opened(name, streams) as file, progress(file, name, streams) as bar:
            number, done = 1, 0
            for block in blocks(file, _BLOCK):
                text = block.decode(errors="backslashreplace")
                found = text.split("\n")
                del found[-1]
                if "#" in text:
                    found = [line.partition("#")[0] for line in found]
                yield [line.strip() for line in found], display_name(name), number
                number += len(found)
                done += len(block)
                bar.at(done)


def read_set(names: Iterable[str], streams: Streams, skip_bad: bool) -> IPSet:
    """All addresses, networks and ranges in files, one a line.

    :raises Trouble: for lines that are something else, once they have been named.
    """
    bad = BadLines(streams, skip_bad)
    sets = [_set_of(*block, bad) for block in lines(names, streams)]
    bad.finish()
    return sets[0] if len(sets) == 1 else IPSet(sets)


def _set_of(found: list[str], name: str, first: int, bad: BadLines) -> IPSet:
    try:
        return IPSet([line for line in found if line])
    except AddressError:
        good = _parsed(found, name, first, IPRange.parse, bad)
        return IPSet([item for _, item in good])


def read_items(
    arguments: Sequence[str],
    files: Sequence[str],
    parse: Callable[[str], T],
    streams: Streams,
    skip_bad: bool,
) -> list[tuple[str, T]]:
    """What arguments and lines of files name, with the texts.

    :param arguments: ``-`` among them is the standard input; so is having neither.
    :raises Trouble: for texts that are something else, once they have been named.
    """
    names = [name for name in arguments if name == STANDARD_INPUT] + list(files)
    texts = [text.strip() for text in arguments if text != STANDARD_INPUT]
    if not texts or names:
        names = names_or_input(names, streams, "an argument")
    bad = BadLines(streams, skip_bad)
    items = _parsed(texts, "", 0, parse, bad)
    for found, name, first in lines(names, streams):
        items += _parsed(found, name, first, parse, bad)
    bad.finish()
    return items


def _parsed(
    texts: Sequence[str], name: str, first: int, parse: Callable[[str], T], bad: BadLines
) -> list[tuple[str, T]]:
    items = []
    for number, text in enumerate(texts, start=first):
        if not text and name:
            continue
        try:
            items.append((text, parse(text)))
        except AddressError as error:
            bad.add(f"{name}:{number}" if name else "netsuite ip", error)
    return items


def set_of_file_or_text(given: str, streams: Streams, skip_bad: bool) -> IPSet:
    """The set that an argument names: addresses with commas between them, or else a file.

    :raises AddressError: if it looks like addresses, is wrong as such, and is no file.
    :raises Trouble: if there is no such file.
    """
    if given != STANDARD_INPUT:
        try:
            return IPSet(IPRange.parse(part) for part in given.split(","))
        except AddressError:
            if _LIKE_ADDRESSES.issuperset(given) and not Path(given).exists():
                raise
    return read_set([given], streams, skip_bad)
