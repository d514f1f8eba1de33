"""Telnet and terminals: whatever a peer sends or presses, however it comes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from netsuite.line import _telnet_wire as wire
from netsuite.line._telnet_options import Options, Side
from netsuite.line._telnet_wire import (
    BINARY,
    DO,
    DONT,
    ECHO,
    IAC,
    SB,
    SE,
    SUPPRESS_GO_AHEAD,
    WILL,
    WINDOW_SIZE,
    WONT,
    Data,
    TelnetEncoder,
)
from netsuite.line._terminal_keys import Key
from netsuite.line._terminal_text import SafeText, safe
from netsuite.line.telnet import TelnetFactory
from netsuite.line.test import test_terminal as terminals
from netsuite.line.test._front_app import FrontApp, Transport
from netsuite.line.test.test_telnet_wire import decoded
from netsuite.line.test.test_terminal import keys

pytestmark = pytest.mark.once

AGREED = bytes([IAC, DO, ECHO, IAC, DO, SUPPRESS_GO_AHEAD])

#: Where something is cut.
cuts = st.lists(st.integers(0, 80), max_size=6)


def pieces(data: bytes, at: list[int]) -> list[bytes]:
    return [data[start:end] for start, end in pairwise([0, *sorted(at), len(data)])]


def strings_of(*bytes_that_mean_something: int) -> st.SearchStrategy[bytes]:
    one = st.one_of(st.sampled_from(bytes_that_mean_something), st.integers(0, 255))
    return st.lists(one, max_size=80).map(bytes)


# The wire.


@given(
    strings_of(IAC, IAC, SB, SE, WILL, WONT, DO, DONT, 13, 10, 0, 31, wire.AYT), cuts, st.booleans()
)
def test_telnet_is_the_same_however_it_is_split(data: bytes, at: list[int], binary: bool) -> None:
    parts = pieces(data, at)
    assert decoded(*parts, binary=binary) == decoded(b"".join(parts), binary=binary)


@given(st.binary(max_size=200), st.booleans())
def test_what_was_encoded_comes_back(data: bytes, binary: bool) -> None:
    encoder = TelnetEncoder()
    encoder.binary = binary
    sent = encoder.encode(data) + encoder.encode(b".")
    expected = data if binary else data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert decoded(sent, binary=binary) == [Data(expected + b".")]


@given(st.lists(st.lists(st.sampled_from(b"\r\n\0ax"), max_size=5).map(bytes), max_size=5))
def test_what_is_said_is_the_same_however_it_is_split(parts: list[bytes]) -> None:
    encoder, whole = TelnetEncoder(), TelnetEncoder()
    said = b"".join(map(encoder.encode, [*parts, b"."]))
    assert said == whole.encode(b"".join(parts) + b".")


# Options.

verbs = st.lists(
    st.tuples(st.sampled_from([WILL, WONT, DO, DONT]), st.sampled_from([BINARY, ECHO, 77])),
    max_size=30,
)


@given(verbs)
def test_two_of_us_come_to_an_end(said: list[tuple[int, int]]) -> None:
    ours, theirs = (Options([ECHO, BINARY], [ECHO, BINARY]) for _ in range(2))
    for verb, option in said:
        answer, hearing, other = ours.hear(verb, option), theirs, ours
        for _ in range(4):
            if not answer:
                break
            answer = hearing.hear(answer[1], answer[2])
            hearing, other = other, hearing
        assert answer == b""


@given(verbs)
def test_only_options_that_are_agreed_to_are_kept(said: list[tuple[int, int]]) -> None:
    options = Options([ECHO], [BINARY])
    for verb, option in said:
        options.hear(verb, option)
    assert set(options._states) <= {(Side.OURS, ECHO), (Side.THEIRS, BINARY)}


# Terminals.


@given(strings_of(*b"\x1b\x1b[[O1;~A\r\n\0"), cuts)
def test_keys_are_the_same_however_they_are_split(data: bytes, at: list[int]) -> None:
    parts = pieces(data, at)
    assert keys(*parts) == keys(b"".join(parts))


@given(st.binary(max_size=60), cuts)
def test_text_is_the_same_however_it_is_split(data: bytes, at: list[int]) -> None:
    parts = pieces(data, at)
    split, whole = SafeText(), SafeText()
    shown = "".join(map(split.decode, [*parts, b"."]))
    assert shown == whole.decode(b"".join(parts) + b".")


@given(st.binary(max_size=60))
def test_nothing_but_text_comes_out(data: bytes) -> None:
    shown = SafeText().decode(data).replace("\r\n", "").replace("\t", "")
    assert safe(shown) == shown


class Narrow(terminals.TerminalTests):
    """A terminal on which most lines have to scroll."""

    __test__ = False
    columns = 24

    def runTest(self) -> None:
        """Nothing: it is asked."""


@given(
    st.lists(st.one_of(st.sampled_from(list(Key)), st.sampled_from('ab 漢é\u0301"')), max_size=60)
)
def test_the_row_is_the_line_whatever_is_pressed(pressed: list[Key | str]) -> None:
    terminal = Narrow()
    terminal.setUp()
    terminal.press(*pressed)


# All of it.

sayings = st.lists(
    st.one_of(
        st.binary(max_size=8),
        st.sampled_from(
            [
                AGREED,
                bytes([IAC, DONT, ECHO]),
                bytes([IAC, SB, WINDOW_SIZE, 0, 30, 0, 24, IAC, SE]),
                bytes([IAC, DO, BINARY]),
                b"add 1 2\r\n",
                b"wait\r\n",
                b"store k {3}\r\nabc\r\n",
                b"\x1b[A",
                b"\t",
                b"quit\r\n",
                *(bytes([IAC, each]) for each in range(wire.EOF, 256)),
            ]
        ),
    ),
    max_size=20,
)


@given(sayings, st.booleans())
def test_no_bytes_break_it(said: list[bytes], offers: bool) -> None:
    clock, transport = Clock(), Transport()
    protocol = TelnetFactory(FrontApp(), clock, offers=offers).buildProtocol(None)
    protocol.makeConnection(transport)
    for each in said:
        if not transport.disconnecting:
            protocol.dataReceived(each)
            clock.advance(0)
    protocol.readConnectionLost()
    clock.advance(0)
    protocol.connectionLost(Failure(ConnectionDone()))
    assert clock.getDelayedCalls() == []
