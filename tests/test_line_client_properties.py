"""Properties of the client's side of the wire, searched for counterexamples."""

import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from netsuite.line import CommandError, LineApp, LineFactory
from netsuite.line._client_commands import command_list
from netsuite.line._client_errors import LineArgumentError, LineWireError
from netsuite.line._client_wire import End, Event, Failed, Push, ReplyReader, Text, request
from netsuite.line._replies import Replies
from netsuite.line._shell_text import candidates, visible

pytestmark = pytest.mark.once

# What a line may have: anything but line ends.
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
# Those that need a dot in front, more often than chance has them.
TEXTS = LINES | st.builds("".join, st.tuples(st.sampled_from(["", ".", "*", "ERR", "ERR "]), LINES))
CODES = st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True)
ERRORS = st.builds(CommandError, CODES, LINES)


def feed(reader: ReplyReader, pieces: list[bytes]) -> list[Event | str]:
    """All events, whenever they came; a broken wire is the last of them."""
    found: list[Event | str] = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (event := reader.next()) is not None:
                found.append(event)
        except LineWireError as error:
            return [*found, str(error)]
    return found


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Data in pieces."""
    marks = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(marks)]


class Written:
    """What a server writes, and what is to be read."""

    def __init__(self, line_end: bytes) -> None:
        self.replies = Replies(line_end)
        self.data = b""
        self.kinds: list[bool] = []
        self.events: list[Event] = []

    def push(self, text: str) -> None:
        self.data += self.replies.push(text)
        self.events.append(Push(text))

    def line(self, text: str) -> None:
        self.kinds.append(False)
        self.data += self.replies.line(text)
        self.events.append(Text(text, True))

    def error(self, error: CommandError, lines: bool) -> None:
        self.kinds.append(lines)
        self.data += self.replies.error(error)
        self.events.append(Failed(error.code, error.text))

    def lines(self, texts: list[str], error: CommandError | None) -> None:
        self.kinds.append(True)
        self.data += b"".join(self.replies.text(each) for each in texts)
        self.events += [Text(each, False) for each in texts]
        if error is None:
            self.data += self.replies.end
            self.events.append(End())
        else:
            self.data += self.replies.broken_off(error)
            self.events.append(Failed(error.code, error.text))


@st.composite
def written(draw: st.DrawFn) -> Written:
    """Any replies in any order."""
    found = Written(draw(st.sampled_from([b"\r\n", b"\n"])))
    for _ in range(draw(st.integers(0, 8))):
        kind = draw(st.sampled_from(["push", "line", "error", "lines"]))
        if kind == "push":
            found.push(draw(LINES))
        elif kind == "line":
            found.line(draw(TEXTS))
        elif kind == "error":
            found.error(draw(ERRORS), draw(st.booleans()))
        else:
            found.lines(draw(st.lists(TEXTS, max_size=5)), draw(st.none() | ERRORS))
    return found


@given(written(), st.lists(st.integers(0, 1000), max_size=10))
def test_what_a_server_writes_is_what_a_client_reads(found: Written, places: list[int]) -> None:
    reader = ReplyReader()
    for kind in found.kinds:
        reader.expect(kind)
    assert feed(reader, cut(found.data, places)) == found.events
    assert not reader.holds


_PIECES = st.sampled_from([b".", b"*", b" ", b"ERR", b"\r", b"\n", b"a", b"\xff", b". ERR x"])
ANYTHING = st.binary(max_size=60) | st.lists(_PIECES, max_size=30).map(b"".join)


@given(ANYTHING, st.lists(st.booleans(), max_size=5), st.lists(st.integers(0, 100), max_size=8))
def test_however_bytes_come_they_are_the_same(
    data: bytes, kinds: list[bool], places: list[int]
) -> None:
    readers = [ReplyReader(20), ReplyReader(20), ReplyReader(20)]
    for each in readers:
        for kind in kinds:
            each.expect(kind)
    whole, cut_up, single = readers
    events = feed(whole, [data])
    assert feed(cut_up, cut(data, places)) == events
    assert feed(single, [bytes([each]) for each in data]) == events


def server(taken: list[object]) -> tuple[LineFactory, StringTransport]:
    """A server that keeps what it is given."""
    app = LineApp("test", invalid_utf8="surrogateescape")

    @app.command()
    def texts(*words: str) -> None:
        taken.extend(words)

    @app.command()
    def whole(word: bytes, number: int, real: float) -> None:
        taken.extend([word, number, real])

    return LineFactory(app, Clock()), StringTransport()


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]) | st.just("\udcff"), max_size=9)))
def test_any_words_arrive_as_they_were(words: list[str]) -> None:
    taken: list[object] = []
    factory, transport = server(taken)
    protocol = factory.buildProtocol(None)
    protocol.makeConnection(transport)
    with suppress(LineArgumentError):
        protocol.dataReceived(request("TEXTS", words, line_length=4000))
        assert transport.value() == b"OK\r\n"
        assert taken == words


@given(st.binary(max_size=40), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_bytes_and_numbers_arrive_as_they_were(data: bytes, number: int, real: float) -> None:
    taken: list[object] = []
    factory, transport = server(taken)
    protocol = factory.buildProtocol(None)
    protocol.makeConnection(transport)
    protocol.dataReceived(request("WHOLE", [data, number, real], line_length=4000))
    assert (transport.value(), taken) == (b"OK\r\n", [data, number, real])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["app", "commands", "name", "reply", "arguments", "choices", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(st.text(max_size=40) | _JSON.map(json.dumps))
def test_no_list_of_commands_raises_anything_but_its_error(text: str) -> None:
    try:
        found = command_list(text)
    except LineWireError:
        return
    for line in ("", "A", "A b", *(each.name for each in found)):
        candidates(found, line)


@given(st.text(st.characters()))
def test_what_is_shown_is_printable(text: str) -> None:
    shown = visible(text)
    assert all(each.isprintable() or each == "\t" for each in shown)
    assert visible(shown) == shown
