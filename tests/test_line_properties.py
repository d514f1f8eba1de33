"""Line conversations: however bytes come, the same is said, and little is kept."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from twisted.logger import LogEvent, globalLogPublisher

from netsuite.line import (
    Block,
    CommandError,
    Limits,
    LineApp,
    LineFactory,
    Rest,
    Session,
    Words,
    _machine,
    _steps,
)
from netsuite.line._requests import SKIPPED
from netsuite.line._wire import leading_words, quote, words_of
from netsuite.line.test.talk import Turns, Wire
from netsuite.testing import LineTestClient

pytestmark = pytest.mark.once

LIMITS = Limits(line_length=24, arguments=3, literal=8, queued=3, parallel=2, buffer=40, idle=None)


class ExpectedError(Exception):
    """What a command raises here."""


def make_app(limits: Limits = LIMITS, **options: Any) -> LineApp:
    """Commands of all kinds, all of which answer as soon as they can."""
    app = LineApp("all", limits=limits, line_end=b"\n", **options)

    @app.command()
    def add(a: int, b: int) -> int:
        return a + b

    @app.command()
    def say(text: Rest = "") -> str:
        return text

    @app.command()
    def join(*words: str) -> str:
        return "|".join(words).replace("\n", "/").replace("\r", "/")

    @app.command(parallel=True)
    async def now(word: str) -> str:
        return word.replace("\n", "/").replace("\r", "/")

    @app.command(parallel=True)
    def beside() -> bytes:
        return b"*raw*"

    @app.command()
    def count(upto: int) -> Iterator[str]:
        yield from map(str, range(min(upto, 30)))

    @app.command()
    async def stream(upto: int) -> AsyncIterator[str]:
        for each in range(min(upto, 30)):
            yield str(each)

    @app.command()
    def store(key: str, data: Block) -> str:
        return f"{key!a} {data!r}"

    @app.command(exclusive=True)
    def alone() -> None:
        pass

    @app.command()
    def fail() -> None:
        raise ExpectedError

    @app.command()
    def break_off(upto: int) -> Iterator[str]:
        yield from map(str, range(min(upto, 3)))
        raise CommandError("broken", "off")

    @app.command(roles=["nobody"])
    def keep(data: Block) -> None:
        raise NotImplementedError

    @app.command()
    def every(words: Words) -> int:
        return len(words)

    @app.command()
    def notify(session: Session, word: str) -> None:
        session.send_raw(b"* push\n")

    return app


class Peer:
    """Sends a stream as a socket would bring it: only while the application reads."""

    def __init__(self, app: LineApp) -> None:
        self.clock = Turns()
        self.wire = Wire()
        self.protocol = LineFactory(app, self.clock).buildProtocol(None)
        self.protocol.makeConnection(self.wire)
        self.limits = app.limits
        self.left = b""
        self.chunk = 0

    @property
    def sent(self) -> tuple[bytes, bool]:
        """What was said, and whether that was the end."""
        return bytes(self.wire.value()), self.wire.disconnecting

    def bring(self, size: int) -> None:
        """Bring so many bytes of the stream, if they are read."""
        if self.left and self.wire.reading and not self.wire.disconnecting:
            data, self.left = self.left[:size], self.left[size:]
            self.chunk = max(self.chunk, len(data))
            self.protocol.dataReceived(data)
        self.check()

    def check(self) -> None:
        """See that little is kept."""
        machine: Any = self.protocol._conversation
        limits = self.limits
        held = len(machine._requests.held)
        assert held <= max(limits.line_length, limits.literal) + 2 + self.chunk
        assert len(machine._slots) <= limits.parallel
        assert len(machine._queue) <= 2 * limits.queued + 2
        assert machine._queue._bytes <= limits.buffer + limits.line_length + limits.literal
        assert not machine._out
        assert machine._unsent == 0
        calm = self.wire.reading and not machine._slots and not machine._queue
        if calm and not self.wire.disconnecting:
            assert held <= max(limits.line_length, limits.literal) + 2

    def finish(self, chunk: int) -> None:
        """Bring the rest, and let the application say all that it has to say."""
        idle = 0
        while idle < 5:
            before = self.sent, len(self.left)
            if self.protocol._conversation.paused:
                self.protocol.resumeProducing()
            self.bring(chunk)
            self.clock.turn()
            self.check()
            idle = idle + 1 if before == (self.sent, len(self.left)) else 0


def told(app: LineApp, script: bytes, actions: list[int | str]) -> tuple[bytes, bool]:
    """What is said to a script that is brought in some way."""
    peer = Peer(app)
    peer.left = script
    for action in actions:
        if isinstance(action, int):
            peer.bring(action)
        elif action == "turn":
            peer.clock.turn()
        elif action == "pause" and not peer.wire.disconnecting:
            peer.protocol.pauseProducing()
        elif action == "resume" and peer.protocol._conversation.paused:
            peer.protocol.resumeProducing()
        elif action == "stall":
            peer.wire.on_write = lambda _: stall(peer)
        elif action == "flow":
            peer.wire.on_write = None
        peer.check()
    peer.finish(next((each for each in actions if isinstance(each, int)), 7) or 1)
    if not peer.wire.disconnecting:
        peer.protocol.readConnectionLost()
        peer.wire.on_write = None
        peer.finish(1)
        assert peer.wire.disconnecting
    peer.protocol.connectionLost()
    assert not [each for each in peer.clock.getDelayedCalls() if each.active()]
    return peer.sent


def stall(peer: Peer) -> None:
    if not peer.wire.disconnecting and peer.wire.producer is not None:
        peer.protocol.pauseProducing()


NAMES = [
    *(b"add", b"ADD", b"Ad", b"say", b"join", b"now", b"beside", b"count", b"stream", b"alone"),
    *(b"fail", b"break-off", b"break", b"every", b"notify", b"help", b"s", b"", b"quit", b"foo"),
]
WORDS = st.one_of(
    st.integers(-20, 40).map(lambda n: b"%d" % n),
    st.sampled_from(
        [b'""', b'"a b"', b'"\\n"', b'"', b"1_0", b"\xc3\xa9", b"\xff", b"x" * 9, b"{3}"]
    ),
    st.binary(max_size=6).map(lambda word: word.replace(b"\n", b"")),
)
ENDS = st.sampled_from([b"\n", b"\r\n"])


@st.composite
def commands(draw: st.DrawFn) -> bytes:
    """A line, well-formed or not."""
    words = [draw(st.sampled_from(NAMES)), *draw(st.lists(WORDS, max_size=4))]
    return draw(st.sampled_from([b" ", b"  ", b"\t"])).join(words) + draw(ENDS)


@st.composite
def literals(draw: st.DrawFn) -> bytes:
    """A command with bytes behind it, as many as it says or not."""
    size = draw(
        st.integers(0, 10) | st.sampled_from([8 * SKIPPED - 1, 8 * SKIPPED, 8 * SKIPPED + 1])
    )
    data = draw(st.binary(min_size=size, max_size=size) if size < 20 else st.just(b"\n" * size))
    name = draw(
        st.sampled_from([b"store k", b"store", b"store \xff", b"store a b", b"keep", b"stor {1} k"])
    )
    off = draw(st.sampled_from([0, 0, 0, 0, -1, 1]))
    plus = draw(st.sampled_from([b"", b"+"]))
    line = name + b" {%d%s}" % (max(size + off, 0), plus) + draw(ENDS)
    return line + data + draw(ENDS | st.just(b""))


@st.composite
def long_lines(draw: st.DrawFn) -> bytes:
    """A line about as long as one may be, or as what is skipped may be."""
    most = draw(st.sampled_from([24, 24 * SKIPPED, 24 * (SKIPPED + 1)]))
    size = most + draw(st.integers(-2, 3))
    start = draw(st.sampled_from([b"", b"say ", b'say "', b" ", b"add 1 2 "]))
    return start.ljust(size, draw(st.sampled_from([b"x", b" ", b"1"]))) + draw(ENDS)


SCRIPTS = st.lists(
    commands()
    | commands()
    | literals()
    | long_lines()
    | st.sampled_from([b"\n", b"\r\n", b" \n", b"\r"])
    | st.binary(max_size=30),
    max_size=12,
).map(b"".join)
ACTIONS = st.lists(
    st.integers(1, 60) | st.sampled_from(["turn", "pause", "resume", "stall", "flow"]), max_size=60
)


@pytest.fixture
def failures() -> Iterator[list[LogEvent]]:
    """What is logged as a failure, but for what the commands raise themselves."""
    found: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        failure = event.get("log_failure")
        if failure is not None and failure.type is not ExpectedError:
            found.append(event)

    observer: Any = observe
    globalLogPublisher.addObserver(observer)
    yield found
    globalLogPublisher.removeObserver(observer)
    assert not found


@given(script=SCRIPTS, actions=ACTIONS)
@example(script=b"x" * 24 * SKIPPED + b"add 1 2\n", actions=[24 * SKIPPED, 1])
@example(script=b"say " + b"x" * 20 + b"\r\n", actions=[24, 1, 1])
@example(script=b"count 30\nadd 1 2\nquit\nadd 1 2\n", actions=["stall", 5, 20])
def test_the_same_is_said_however_it_comes(script: bytes, actions: list[int | str]) -> None:
    app = make_app()
    whole = told(app, script, [len(script) + 1])
    assert told(app, script, actions) == whole
    assert told(app, script, [1] * len(script)) == whole


@pytest.mark.usefixtures("failures")
def test_nothing_fails_that_is_no_command_s_own() -> None:
    @given(script=SCRIPTS, actions=ACTIONS, invalid=st.sampled_from(["replace", "surrogateescape"]))
    def holds(script: bytes, actions: list[int | str], invalid: str) -> None:
        app = make_app(invalid_utf8=invalid)
        assert told(app, script, actions) == told(app, script, [len(script) + 1])

    holds()


@given(script=SCRIPTS, actions=ACTIONS)
def test_who_is_watched_is_told_the_same(script: bytes, actions: list[int | str]) -> None:
    class Recorder:
        """Hears of each command, so that no short cut is taken."""

        said = b""

        def request(self, session: object, request: object) -> None:
            pass

        def reply(self, session: object, data: bytes) -> None:
            self.said += data

    app = make_app()
    expected = told(app, script, [len(script) + 1])
    app.recorder = recorder = Recorder()
    assert told(app, script, actions) == expected
    assert recorder.said == expected[0]


@given(script=SCRIPTS, actions=ACTIONS, full=st.sampled_from(["wait", "refuse"]))
def test_what_is_kept_is_bounded_whatever_the_limits(
    script: bytes, actions: list[int | str], full: Any
) -> None:
    least = Limits(
        line_length=24,
        arguments=1,
        literal=8,
        queued=1,
        parallel=1,
        buffer=1,
        idle=None,
        queue_full=full,
    )
    told(make_app(least), script, actions)


@given(script=SCRIPTS, actions=ACTIONS, turn=st.integers(1, 5))
def test_turns_change_nothing(script: bytes, actions: list[int | str], turn: int) -> None:
    app = make_app()
    expected = told(app, script, [len(script) + 1])
    with pytest.MonkeyPatch.context() as patch:
        for module in (_machine, _steps):
            patch.setattr(module, "TURN", turn)
        assert told(app, script, actions) == expected
        assert told(app, script, [len(script) + 1]) == expected


@given(st.binary(max_size=300), ACTIONS)
def test_any_bytes(script: bytes, actions: list[int | str]) -> None:
    for options in ({}, {"exact": True}, {"fallback": lambda session, line: len(line)}):
        app = make_app(**options)
        assert told(app, script, actions) == told(app, script, [301])


@given(script=SCRIPTS)
def test_a_line_is_answered_once(script: bytes) -> None:
    """Of lines that ask for one line each, there are as many replies."""
    lines = [
        line
        for line in script.split(b"\n")[:-1]
        if line.split() and b"{" not in line and len(line) <= 24
    ]
    one = [
        line
        for line in lines
        if line.split()[0].lower() in {b"add", b"say", b"join", b"now", b"foo", b"every", b"alone"}
    ]
    assume(one)
    said, closed = told(make_app(), b"\n".join(one) + b"\n", [7])
    assert said.count(b"\n") == len(one)
    assert closed


TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


@given(st.lists(TEXT, max_size=6))
def test_words_survive_quoting(words: list[str]) -> None:
    line = " \t".join(quote(each) for each in words).encode()
    assert b"\n" not in line
    assert words_of(line) == [each.encode() for each in words]
    for count in range(1, len(words) + 2):
        found, rest = leading_words(line, count)
        assert found == [each.encode() for each in words[:count]]
        assert (rest is None) is (count >= len(words))
        assert words_of(rest or b"") == [each.encode() for each in words[count:]]


@given(
    st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=20), min_size=1, max_size=6)
)
def test_words_reach_the_command(words: list[str]) -> None:
    app = LineApp("words")
    came: list[tuple[str, ...]] = []

    @app.command()
    def take(*words: str) -> None:
        came.append(words)

    assert app.test_client().ask("TAKE " + " ".join(map(quote, words))) == "OK"
    assert came == [tuple(words)]


@given(st.binary(max_size=60).map(lambda line: line.replace(b"\n", b"")))
def test_words_of_any_line(line: bytes) -> None:
    try:
        words = words_of(line)
    except ValueError:
        assert b'"' in line
    else:
        if b'"' not in line:
            assert words == line.split()


LINES = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
MARKED = st.sampled_from([".", "..", ". ERR x", "*", "* x", "ERR", "ERR x y", "ERRATIC", ""])


@given(st.lists(LINES | MARKED, max_size=20))
def test_lines_reach_the_peer(lines: list[str]) -> None:
    app = LineApp("lines")

    @app.command()
    def all_of_them() -> list[str]:
        return lines

    @app.command()
    def one(index: int) -> str:
        return lines[index]

    client: LineTestClient = app.test_client()
    assert client.lines("ALL-OF-THEM") == lines
    assert [client.ask(f"ONE {index}") for index in range(len(lines))] == lines
    assert client.pushes == []
