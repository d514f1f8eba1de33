"""Logins, STARTTLS and transcripts, whatever a peer or a file says."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsuite.line import Limits
from netsuite.line._failures import Guard
from netsuite.line.auth import Delay, TokenError, Tokens
from netsuite.line.test.starttls import Connection, Slow
from netsuite.line.test.transcripts import Kept, Serving
from netsuite.line.transcript import Transcript

pytestmark = pytest.mark.once


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 100), st.booleans()), max_size=60))
def test_delays_keep_to_their_bounds(steps: list[tuple[int, float, bool]]) -> None:
    """Never below none, never above the most; an attempt that was none leaves no trace."""
    delay = Delay(keys=2)
    guard = Guard(delay)
    now = 0.0
    for key, seconds, failed in steps:
        now += seconds
        before = guard.networks.level(key, now)
        attempt = guard.begin(key, None, now)
        assert attempt is not None
        assert attempt.wait == delay.after(before)
        assert attempt.wait <= delay.most
        if not failed:
            attempt.forgive(now)
            assert guard.networks.level(key, now) == pytest.approx(before, abs=5e-8)
        attempt.end()
        assert guard.networks.level(key, now) <= delay.worst
        assert len(guard.networks) <= 2
    assert guard._going_on == {}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "tokens"


@given(data=st.binary(max_size=200))
def test_any_file_of_tokens_is_read_or_is_a_mistake(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        Tokens.from_file(path)
    except TokenError as error:
        mistake = str(error)
    else:
        return
    assert len(mistake.splitlines()) == 1


@given(
    before=st.lists(st.sampled_from(["MARK 0", "WAIT", "PWAIT", "", "NONSENSE"]), max_size=4),
    spelling=st.sampled_from([b"STARTTLS", b"starttls", b"StartT", b"  sta ", b"STARTTLS \r"]),
    ends=st.sampled_from([b"\n", b"\r\n"]),
    behind=st.sampled_from([b"MARK 1\r\n", b"\r\nMARK 1\n", b"MARK 1", b"WAIT\nMARK 1\n"]),
    cuts=st.lists(st.integers(0, 80), max_size=6),
    going=st.lists(st.booleans(), min_size=7, max_size=7),
    watched=st.booleans(),
)
def test_nothing_behind_starttls_is_carried_out_however_it_is_cut(
    before: list[str],
    spelling: bytes,
    ends: bytes,
    behind: bytes,
    cuts: list[int],
    going: list[bool],
    watched: bool,
) -> None:
    slow = Slow()
    connection = Connection(slow.app)
    connection.line.session.watch(watched)
    data = b"".join(each.encode() + ends for each in before) + spelling + ends
    sent = data + behind
    places = sorted({min(each, len(sent)) for each in cuts} | {0, len(sent)})
    for start, end, go in zip(places, places[1:], going, strict=False):
        connection.plain(sent[start:end])
        if go:
            slow.let_go()
    for _ in range(10):
        slow.let_go()
    connection.plain()
    assert slow.marks == [0] * before.count("MARK 0")
    wire = connection.wire
    assert wire.disconnecting or wire.aborted
    begun = connection.said.endswith(b"OK\r\n")
    assert begun == connection.begun


@pytest.fixture(scope="module")
def recorded() -> tuple[Kept, Serving]:
    kept = Kept()
    patterns = {"card": "[0-9]{16}", "a\\1": "sesame"}
    return kept, Serving(Transcript(kept, redact=patterns), limits=Limits(line_length=100_000))


@given(
    name=st.sampled_from([b"AUTH", b"auth", b"aut", b"unlock", b"UNLOCK", b"nonsense"]),
    before=st.lists(st.text("PLAINbob \"\\'{}1", max_size=8), max_size=3),
    behind=st.text(' x"{5}', max_size=4),
    pieces=st.integers(1, 50),
)
def test_no_transcript_has_a_secret_whatever_stands_around_it(
    recorded: tuple[Kept, Serving], name: bytes, before: list[str], behind: str, pieces: int
) -> None:
    kept, serving = recorded
    peer = serving.peer()
    del kept.lines[:]
    words = [name, *(each.encode() for each in before), b"hunter2" + behind.encode()]
    data = b" ".join(words) + b"\r\n"
    for at in range(0, len(data), pieces):
        peer.dataReceived(data[at : at + pieces])
    asked = [each for each in kept.records if each["direction"] == "in"]
    assert len(asked) == 1
    assert "hunter2" not in json.dumps(asked)
    peer.dataReceived(b"LOGOUT\n")
