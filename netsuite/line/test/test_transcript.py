"""Transcripts: all that was said, and nothing that is a secret."""

import io
import json
import os
import stat
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import Limits
from netsuite.line.test.transcripts import Kept, Serving
from netsuite.line.transcript import LONGEST, TEXT_LENGTH, Transcript

NOON = 1_772_366_400.25  # 2026-03-01T12:00:00.25Z


class RecordTests(SynchronousTestCase):
    """What is recorded, and how."""

    def setUp(self) -> None:
        self.kept = Kept()
        self.transcript = Transcript(self.kept, now=lambda: NOON)
        self.serving = Serving(self.transcript, limits=Limits(line_length=200_000))
        self.peer = self.serving.peer()

    def say(self, data: bytes) -> list[tuple[Any, ...]]:
        del self.kept.lines[:]
        self.peer.dataReceived(data)
        return self.kept.said

    def last(self) -> dict[str, Any]:
        record = self.kept.records[-1]
        for each in ("time", "session", "peer", "user"):
            del record[each]
        return record

    def test_fields(self) -> None:
        self.peer.dataReceived(b"plus 1 2\r\nad 1 2\r\n")
        whole = {
            "time": "2026-03-01T12:00:00.250Z",
            "session": 1,
            "peer": "192.0.2.7:4711",
            "user": None,
        }
        unknown, _, asked, told = self.kept.records
        self.assertEqual(
            unknown, {**whole, "direction": "in", "command": None, "text": "plus", "redacted": True}
        )
        self.assertEqual(asked, {**whole, "direction": "in", "command": "ADD", "text": "ad 1 2"})
        self.assertEqual(told, {**whole, "direction": "out", "text": "3"})
        self.assertEqual((self.transcript.written, self.transcript.failures), (4, 0))

    def test_sessions_have_numbers(self) -> None:
        other = self.serving.peer("192.0.2.8")
        self.peer.dataReceived(b"ADD 1 2\n")
        other.dataReceived(b"ADD 1 2\n")
        self.peer.dataReceived(b"ADD 1 2\n")
        found = [(each["session"], each["peer"]) for each in self.kept.records]
        first, second = (1, "192.0.2.7:4711"), (2, "192.0.2.8:4711")
        self.assertEqual(found, [first, first, second, second, first, first])

    def test_users(self) -> None:
        self.peer.dataReceived(b"AUTH PLAIN bob hunter2\nADD 1 2\nLOGOUT\n")
        users = [each["user"] for each in self.kept.records]
        self.assertEqual(users, [None, "bob", "bob", "bob", "bob", None])

    def test_kinds_of_replies(self) -> None:
        said = self.say(b"COUNT 2\nPUSH\nADD x 1\n")
        asked = [text for direction, text in said if direction == "in"]
        told = [text for direction, text in said if direction == "out"]
        self.assertEqual(asked, ["COUNT 2", "PUSH", "ADD x 1"])
        error = 'ERR bad-argument a "x": expected a whole number'
        self.assertEqual(told, ["0", "1", ".", "* hello", "OK", error])

    def test_pushes_between_replies(self) -> None:
        self.peer.session.send("news")
        self.assertEqual(self.kept.said, [("out", "* news")])

    def test_a_reply_that_comes_later(self) -> None:
        self.assertEqual(self.say(b"SLOW\n"), [("in", "SLOW")])
        self.serving.later.callback("done")
        self.assertEqual(self.kept.said[1:], [("out", "done")])

    def test_what_is_said_last(self) -> None:
        self.serving.clock.pump([100] * 5)
        self.assertEqual(self.kept.said, [("out", "ERR timeout nothing was said for 300 seconds")])

    def test_empty_lines(self) -> None:
        self.assertEqual(self.say(b"\r\n  \r\n"), [])

    def test_literals(self) -> None:
        """Their length, whether or not they are taken."""
        self.say(b"STORE key {7}\r\nhunter2\r\n")
        asked = self.kept.records[0]
        self.assertEqual((asked["text"], asked["literal"]), ("STORE key {7}", 7))
        self.assertNotIn(b"hunter2", b"".join(self.kept.lines))
        self.say(b"STORE {7}\r\nhunter2\r\n")
        self.assertEqual(self.kept.said[0], ("in", "STORE {7}"))
        self.assertNotIn(b"hunter2", b"".join(self.kept.lines))
        self.say(b"STORE key {0}\r\n\r\n")
        self.assertEqual(self.kept.said[0], ("in", "STORE key {0}"))

    def test_binary(self) -> None:
        self.say(b"RAW 5\n")
        self.assertEqual(self.last(), {"direction": "out", "bytes": 5})
        self.say(b"ECHO a\x1b[2J\n")
        self.assertEqual(self.kept.records[0]["bytes"], 10)
        self.assertNotIn("text", self.kept.records[0])
        self.say(b"ECHO \xff\n")
        self.assertEqual(self.kept.records[0]["bytes"], 6)

    def test_long(self) -> None:
        most = TEXT_LENGTH - len("ECHO ")
        self.say(b"ECHO " + b"x" * most + b"\n")
        self.assertNotIn("truncated", self.kept.records[0])
        self.say(b"ECHO " + b"x" * (most + 1) + b"\n")
        asked = self.kept.records[0]
        self.assertEqual(asked["text"], "ECHO " + "x" * most)
        self.assertEqual((asked["bytes"], asked["truncated"]), (TEXT_LENGTH + 1, True))

    def test_very_long(self) -> None:
        """A character may be cut where it is no longer looked at."""
        for width in range(3):
            self.say(b"ECHO " + b"x" * width + "\N{SNOWMAN}".encode() * 30_000 + b"\n")
            asked = self.kept.records[0]
            self.assertEqual(len(asked["text"]), TEXT_LENGTH)
            self.assertEqual(asked["bytes"], 90_005 + width)

    def test_lines_are_bounded(self) -> None:
        self.peer.session.user = "\N{SNAKE}" * 10_000
        self.peer.session.peer = "\N{SNAKE}" * 10_000
        self.say(b"ECHO " + "\N{SNAKE}".encode() * 20_000 + b"\n")
        self.say(b"\xf0\x9f\x90\x8d" * 20_000 + b" x\n")
        self.say(b"x" * 300_000 + b" x\n")
        for line in self.kept.lines:
            self.assertLess(len(line), LONGEST)
            line.decode("ascii")

    def test_one_is_enough(self) -> None:
        with self.assertRaisesRegex(ValueError, "x has a transcript already"):
            self.serving.app.add(Transcript(Kept()))

    def test_options(self) -> None:
        for options in ({"text_length": 0}, {"max_bytes": LONGEST - 1}, {"keep": 0}):
            with self.assertRaisesRegex(ValueError, "expected"):
                Transcript(Kept(), **options)  # type: ignore[arg-type]  # numbers all of them
        text: Any = io.StringIO()
        with self.assertRaisesRegex(TypeError, "takes text: expected what takes bytes"):
            Transcript(text)


class SecretTests(SynchronousTestCase):
    """What is not recorded."""

    def setUp(self) -> None:
        self.kept = Kept()
        patterns = {"card": "[0-9]{16}", "a\\1": "sesame"}
        serving = Serving(
            Transcript(self.kept, redact=patterns), limits=Limits(line_length=100_000)
        )
        self.peer = serving.peer()

    def test_secret_commands(self) -> None:
        for line in (
            b"AUTH PLAIN bob hunter2",
            b"auth token hunter2",
            b'AU "hunter2" x',
            b"AUTH PLAIN bob hunter2 more",
            b"AUTH hunter2",
            b'AUTH PLAIN bob "hunter2',
            b"UNLOCK 1 hunter2",
            b"unl hunter2 1",
            b"UNLOCK 1\thunter2\t",
        ):
            del self.kept.lines[:]
            self.peer.dataReceived(line + b"\nLOGOUT\n")
            record = self.kept.records[0]
            self.assertIn(record["text"], ("AUTH", "UNLOCK"), line)
            self.assertTrue(record["redacted"])
            self.assertNotIn(b"hunter2", b"".join(self.kept.lines))

    def test_no_arguments(self) -> None:
        self.peer.dataReceived(b"AUTH\n")
        self.assertNotIn("redacted", self.kept.records[0])

    def test_misspelled(self) -> None:
        for line in (
            b"ATUH PLAIN bob hunter2",
            b"Z 1 hunter2",
            b'"AUTH" PLAIN bob hunter2',
            b"A PLAIN bob hunter2",
            b"\xff\xfe hunter2",
            b"AUTH" + b"x" * 200_000 + b" hunter2",
        ):
            del self.kept.lines[:]
            self.peer.dataReceived(line + b"\n")
            self.assertNotIn(b"hunter2", b"".join(self.kept.lines))
            self.assertIsNone(self.kept.records[0]["command"], line)

    def test_patterns(self) -> None:
        self.peer.dataReceived(b"ECHO pay 1234567890123456 sesame now\n")
        shown = "pay [card] [a\\1] now"
        self.assertEqual(self.kept.said, [("in", f"ECHO {shown}"), ("out", shown)])

    def test_patterns_where_it_is_cut(self) -> None:
        """What is cut away does not leave a part that no pattern knows."""
        padding = b"x" * (TEXT_LENGTH - 10)
        self.peer.dataReceived(b"ECHO " + padding + b"1234567890123456\n")
        self.assertNotIn(b"123", b"".join(self.kept.lines))


class FileTests(SynchronousTestCase):
    """Files that are full, renamed, or as long as they may be."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.events: list[Any] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def logged(self) -> list[str]:
        told = [event["log_format"].format(**event) for event in self.events]
        del self.events[:]
        return told

    def numbers(self, path: Path) -> list[str]:
        """What has been asked, as a file has it."""
        records = [json.loads(line) for line in path.read_bytes().splitlines()]
        return [each["text"] for each in records if each["direction"] == "in"]

    def test_appends(self) -> None:
        for number in range(2):
            transcript = Transcript(self.path)
            Serving(transcript).peer().dataReceived(b"ADD %d 1\n" % number)
            transcript.close()
        self.assertEqual(self.numbers(self.path), ["ADD 0 1", "ADD 1 1"])

    def test_is_private(self) -> None:
        self.addCleanup(os.umask, os.umask(0))
        Transcript(self.path).close()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_cannot_be_opened(self) -> None:
        error = self.assertRaises(FileNotFoundError, Transcript, "/nonexistent/transcript")
        self.assertEqual(str(error.filename), "/nonexistent/transcript")

    def test_the_disk_is_full(self) -> None:
        transcript = Transcript("/dev/full")
        peer = Serving(transcript).peer()
        peer.dataReceived(b"ADD 1 2\nADD 2 2\n")
        self.assertEqual(peer.transport.value(), b"3\r\n4\r\n")
        self.assertEqual((transcript.written, transcript.failures), (0, 4))
        expected = "transcript cannot be written: [Errno 28] No space left on device"
        self.assertEqual(self.logged(), [expected])
        transcript.close()

    def test_it_is_over(self) -> None:
        kept = Kept()
        clock = Clock()
        transcript = Transcript(kept, now=lambda: 1e9 + clock.seconds())
        peer = Serving(transcript).peer()
        for count in range(1, 3):
            clock.advance(60)
            kept.breaks = OSError("full")
            peer.dataReceived(b"ADD 1 2\n")
            self.assertEqual(self.logged(), ["transcript cannot be written: full"])
            kept.breaks = None
            peer.dataReceived(b"ADD 1 2\n")
            again = f"transcript is written again; {2 * count} lines were lost so far"
            self.assertEqual(self.logged(), [again])
        self.assertEqual((transcript.written, transcript.failures), (4, 4))

    def test_by_turns(self) -> None:
        """The log is told once a minute."""
        kept = Kept()
        clock = Clock()
        peer = Serving(Transcript(kept, now=lambda: 1e9 + clock.seconds())).peer()
        for _ in range(1000):
            kept.breaks = None if kept.breaks else OSError("full")
            peer.dataReceived(b"ADD 1 2\n")
            clock.advance(0.1)
        self.assertEqual(len(self.logged()), 4)

    def test_any_exception(self) -> None:
        kept = Kept()
        kept.breaks = RuntimeError("what is it")
        peer = Serving(Transcript(kept)).peer()
        peer.dataReceived(b"ADD 1 2\n")
        self.assertEqual(peer.transport.value(), b"3\r\n")

    def test_half_a_line(self) -> None:
        """What follows begins on a line of its own."""
        transcript = Transcript(self.path)
        peer = Serving(transcript).peer()
        file: Any = transcript._file
        stream = file._stream

        class Short:
            left = [50, 0, 1, None]

            def write(self, data: bytes) -> int | None:
                if not self.left:
                    return int(stream.write(data))
                most = self.left.pop(0)
                return None if most is None else int(stream.write(data[:most]))

        file._stream = Short()
        peer.dataReceived(b"ADD 1 1\nADD 2 2\nADD 3 3\n")
        file._stream = stream
        self.assertEqual((transcript.written, transcript.failures), (2, 4))
        lines = self.path.read_bytes().split(b"\n")
        self.assertEqual(len(lines[0]), 50)
        self.assertEqual([json.loads(line)["text"] for line in lines[1:-1]], ["ADD 3 3", "6"])
        transcript.close()

    def test_a_pipe_that_nobody_reads(self) -> None:
        os.mkfifo(self.path)
        self.assertRaises(OSError, Transcript, self.path)
        reading = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reading)
        transcript = Transcript(self.path)
        peer = Serving(transcript).peer()
        while not transcript.failures:
            peer.dataReceived(b"ECHO %s\n" % (b"x" * 500))
        self.assertGreater(transcript.written, 10)
        transcript.close()

    def test_reopen(self) -> None:
        transcript = Transcript(self.path)
        peer = Serving(transcript).peer()
        peer.dataReceived(b"ADD 1 1\n")
        old = self.path.rename(f"{self.path}.old")
        peer.dataReceived(b"ADD 2 1\n")
        transcript.reopen()
        peer.dataReceived(b"ADD 3 1\n")
        self.assertEqual(self.numbers(old), ["ADD 1 1", "ADD 2 1"])
        self.assertEqual(self.numbers(self.path), ["ADD 3 1"])
        transcript.close()
        peer.dataReceived(b"ADD 4 1\n")
        self.assertEqual(self.numbers(self.path), ["ADD 3 1"])

    def test_reopen_fails(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        path = directory / "transcript"
        transcript = Transcript(path)
        peer = Serving(transcript).peer()
        moved = directory.rename(f"{directory}.moved")
        transcript.reopen()
        self.assertIn("transcript: the file that is open goes on: [Errno 2]", self.logged()[0])
        peer.dataReceived(b"ADD 1 1\n")
        self.assertEqual(self.numbers(moved / "transcript"), ["ADD 1 1"])
        transcript.close()

    def test_reopen_what_is_no_file(self) -> None:
        transcript = Transcript(Kept())
        transcript.reopen()
        transcript.close()

    def test_rotation(self) -> None:
        transcript = Transcript(self.path, max_bytes=LONGEST, keep=2)
        peer = Serving(transcript).peer()
        total = 400
        for number in range(total):
            peer.dataReceived(b"ADD %d 1\n" % number)
        paths = [Path(f"{self.path}.2"), Path(f"{self.path}.1"), self.path]
        found = [each for path in paths for each in self.numbers(path)]
        self.assertEqual(found, [f"ADD {number} 1" for number in range(total)][-len(found) :])
        sizes = [path.stat().st_size for path in paths]
        self.assertLessEqual(max(sizes), LONGEST)
        self.assertGreater(min(sizes[:2]), LONGEST - 500)
        self.assertFalse(Path(f"{self.path}.3").exists())
        self.assertEqual(transcript.failures, 0)
        transcript.close()

    def test_rotation_of_what_was_there(self) -> None:
        self.path.write_bytes(b"{}\n" * (LONGEST // 3))
        transcript = Transcript(self.path, max_bytes=LONGEST)
        Serving(transcript).peer().dataReceived(b"ADD 1 1\n")
        self.assertEqual(self.numbers(self.path), ["ADD 1 1"])
        self.assertEqual(Path(f"{self.path}.1").stat().st_size, LONGEST // 3 * 3)
        transcript.close()

    def test_rotation_fails(self) -> None:
        """Nothing more is written than may be; the service goes on."""
        Path(f"{self.path}.1").mkdir()
        transcript = Transcript(self.path, max_bytes=LONGEST)
        peer = Serving(transcript).peer()
        for _ in range(200):
            peer.dataReceived(b"ADD 1 1\n")
        self.assertEqual(peer.transport.value(), b"2\r\n" * 200)
        self.assertGreater(transcript.failures, 0)
        self.assertLessEqual(self.path.stat().st_size, LONGEST)
        self.assertLessEqual(len(self.logged()), 2)
        transcript.close()
