"""``netsuite ip grep``: the lines that have an address of a set in them."""

import re
from argparse import Namespace
from collections.abc import Iterator
from io import BytesIO, StringIO
from typing import BinaryIO

from netsuite._command_line import EXIT_TROUBLE
from netsuite.ip._set import IPSet
from netsuite.ip.cli._input import (
    blocks,
    display_name,
    names_or_input,
    opened,
    progress,
    set_of_file_or_text,
)
from netsuite.ip.cli._scan import Scanner, Span
from netsuite.ip.cli._streams import Streams, Trouble

_BLOCK = 1 << 20  # bytes searched at once
_BLANK = b" \t\r"
_ZONE = re.compile(rb"%[^ \t\r\n]+\Z")

Found = tuple[int, int, list[Span]]
"""Begin and end of a line, newline included, and the addresses in it that were wanted."""


def grep(options: Namespace, streams: Streams) -> int:
    """Print the lines; returns 0 if there were any, 1 if not, 2 if a file could not be read."""
    if options.invert_match and options.only_matching:
        raise Trouble("-o prints what is in the set, -v what is not: expected one of them")
    if options.prefixes == "-" and (not options.files or "-" in options.files):
        raise Trouble("standard input (-) can be read only once")
    scanner = Scanner(set_of_file_or_text(options.prefixes, streams, options.skip_bad))
    names = names_or_input(options.files, streams, "a file to search")
    selected = troubles = 0
    for name in names:
        search = _Search(options, scanner, display_name(name) if len(names) > 1 else "", streams)
        try:
            with opened(name, streams) as file:
                selected += search.run(file, name)
        except Trouble as trouble:
            streams.complain(f"netsuite ip grep: {trouble}")
            troubles += 1
        except IsADirectoryError:
            streams.complain(f"netsuite ip grep: {name}: Is a directory")
            troubles += 1
    return EXIT_TROUBLE if troubles else int(not selected)


def selected(data: bytes, wanted: IPSet, options: Namespace) -> bytes:
    """What ``grep`` prints of bytes that are no file.

    :param options: those of the command line.
    """
    output = BytesIO()
    streams = Streams(BytesIO(), output, StringIO())
    _Search(options, Scanner(wanted), "", streams).run(BytesIO(data), "")
    return output.getvalue()


class _Search:
    """One file and what is printed of it."""

    def __init__(self, options: Namespace, scanner: Scanner, label: str, streams: Streams) -> None:
        self._options = options
        self._scanner = scanner
        self._label = label
        self._streams = streams
        self._number = 1  # of the first line of the block
        self._field = _field_pattern(options.field) if options.field else None

    def run(self, file: BinaryIO, name: str) -> int:
        """Search it all; returns how many lines were selected."""
        streams = self._streams
        selected = done = 0
        with progress(file, name, streams) as bar:
            for block in blocks(file, _BLOCK):
                selected += self._search(b"\n" + block)
                done += len(block)
                if not streams.output.isatty():
                    bar.at(done)
        if self._options.count:
            self._print_count(selected)
        return selected

    def _search(self, data: bytes) -> int:
        """Print what is wanted of one block; returns how many lines were selected."""
        options = self._options
        found = self._found(data)
        if options.invert_match:
            found = _others(data, found)
        if options.count:
            count = sum(1 for _ in found)
        elif options.json or options.only_matching or options.line_number or self._label:
            count = self._print_marked(data, found)
        else:
            selected = [data[start:end] for start, end, _ in found]
            self._streams.output.writelines(selected)
            count = len(selected)
        if options.line_number or options.json:
            self._number += data.count(b"\n") - 1
        self._streams.output.flush()
        return count

    def _found(self, data: bytes) -> Iterator[Found]:
        """The lines with an address that is wanted; with all of them only where they matter."""
        every = self._options.only_matching or self._options.json
        narrow = self._field is not None or self._options.exact
        begin = end = 0
        spans: list[Span] = []
        for span in self._scanner.matches(data):
            start = span[0]
            if start < end and not every and spans:
                continue
            if start >= end:
                if spans:
                    yield begin, end, spans
                    spans = []
                begin = data.rfind(b"\n", 0, start) + 1
                end = data.find(b"\n", start) + 1
            if not narrow or self._fits(data, begin, end, span):
                spans.append(span)
        if spans:
            yield begin, end, spans

    def _fits(self, data: bytes, begin: int, end: int, span: Span) -> bool:
        """Whether an address stands in the field, and fills it, if it has to."""
        if self._field is not None:
            field = self._field.match(data, begin, end)
            if field is None:
                return False
            begin, end = field.span(1)
            if not begin <= span[0] < end:
                return False
        if not self._options.exact:
            return True
        before, after = data[begin : span[0]], data[span[1] : end]
        return not before.strip(_BLANK) and not _ZONE.sub(b"", after.strip(_BLANK + b"\n"))

    def _print_marked(self, data: bytes, found: Iterator[Found]) -> int:
        """Print lines, or what was found in them, with file and number as asked."""
        options, write = self._options, self._streams.output.write
        label = self._label.encode(errors="surrogateescape") + b":" if self._label else b""
        count, number, counted = 0, self._number, 1
        for begin, end, spans in found:
            count += 1
            if options.line_number or options.json:
                number += data.count(b"\n", counted, begin)
                counted = begin
            if options.json:
                self._print_json(data, (begin, end, spans), number)
                continue
            mark = label + (b"%d:" % number if options.line_number else b"")
            if options.only_matching:
                for start, stop in spans:
                    write(mark + data[start:stop] + b"\n")
            else:
                write(mark + data[begin:end])
        return count

    def _print_json(self, data: bytes, found: Found, number: int) -> None:
        begin, end, spans = found
        self._streams.write_json(
            {
                "file": self._label or None,
                "line": number,
                "text": data[begin : end - 1].decode(errors="backslashreplace"),
                "addresses": [data[start:stop].decode("ascii") for start, stop in spans],
            }
        )

    def _print_count(self, selected: int) -> None:
        if self._options.json:
            self._streams.write_json({"file": self._label or None, "count": selected})
        else:
            label = f"{self._label}:" if self._label else ""
            self._streams.write(f"{label}{selected}\n")


def _others(data: bytes, found: Iterator[Found]) -> Iterator[Found]:
    """The lines between those found."""
    place = 1
    for begin, end, _ in found:
        yield from _lines(data, place, begin)
        place = end
    yield from _lines(data, place, len(data))


def _lines(data: bytes, place: int, limit: int) -> Iterator[Found]:
    while place < limit:
        end = data.find(b"\n", place) + 1
        yield place, end, []
        place = end


def _field_pattern(number: int) -> re.Pattern[bytes]:
    """Finds a field of a line by its number, from 1: fields have blanks between them."""
    return re.compile(rb"[ \t]*(?:[^ \t\r\n]+[ \t]+){%d}([^ \t\r\n]+)" % (number - 1))
