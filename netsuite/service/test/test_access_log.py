import errno
import json
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from netsuite.service import json_line
from netsuite.service._access_log import OWN_LOG, AccessLog
from netsuite.service._admission import Refusal
from netsuite.service._connections import Connection
from netsuite.service._errors import ConfigError

NOON = 1_795_348_800.25  # 2026-11-22 12:00 UTC
PEER = IPv4Address("TCP", "192.0.2.7", 50_000)
DONE = Failure(ConnectionDone())


class Meter:
    bytes_received = 668
    bytes_sent = 1433


class AccessLogCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[Any] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def log(self, log_format: Any = "text", path: Path | None = None) -> AccessLog:
        self.path = path or Path(self.mktemp())
        log = AccessLog(self.path, log_format, self.clock.seconds, lambda: NOON)
        self.addCleanup(log.close)
        return log

    def close_one(
        self,
        log: AccessLog,
        peer: IAddress = PEER,
        reason: Failure = DONE,
        ended: str | None = None,
    ) -> Connection:
        connection = Connection(peer, self.clock.seconds())
        connection.entered = True
        connection.meter = Meter()  # type: ignore[assignment]  # enough of one
        connection.ended = ended
        self.clock.advance(0.0199654)
        log.observer("echo").closed(connection, reason)
        return connection

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    def words(self, line: str) -> dict[str, str]:
        return dict(word.split("=", 1) for word in line.split(" ")[1:])

    def messages(self) -> list[str]:
        return [json.loads(json_line(event) or "")["message"] for event in self.events]


class LineTests(AccessLogCase):
    def test_text(self) -> None:
        log = self.log()
        connection = self.close_one(log)
        self.assertEqual(
            self.lines(),
            [
                (
                    "2026-11-22T12:00:00.250+00:00 listener=echo client=192.0.2.7:50000 "
                    f"id={log._run}-{connection.number:x} duration=0.019965 received=668 sent=1433 "
                    "end=closed"
                )
            ],
        )

    def test_json(self) -> None:
        log = self.log("json")
        connection = self.close_one(log)
        self.assertEqual(
            [json.loads(line) for line in self.lines()],
            [
                {
                    "time": "2026-11-22T12:00:00.250+00:00",
                    "listener": "echo",
                    "client": "192.0.2.7:50000",
                    "id": f"{log._run}-{connection.number:x}",
                    "duration": 0.019965,
                    "received": 668,
                    "sent": 1433,
                    "end": "closed",
                }
            ],
        )

    def test_the_services_own_log(self) -> None:
        log = self.log(path=OWN_LOG)
        connection = self.close_one(log, ended="idle")
        self.assertEqual(
            self.messages(),
            [
                (
                    f"192.0.2.7:50000 echo {log._run}-{connection.number:x}: 0.020 s, "
                    "668 bytes received, 1433 sent, idle"
                )
            ],
        )
        log.reopen()
        log.close()
        self.close_one(log)
        self.assertEqual(len(self.messages()), 2)

    def test_each_line_is_there_at_once(self) -> None:
        log = self.log()
        for count in range(1, 4):
            self.close_one(log)
            self.assertEqual(len(self.lines()), count)

    def test_ends(self) -> None:
        log = self.log()
        self.close_one(log, reason=Failure(ConnectionLost()))
        self.close_one(log, reason=Failure(ConnectionLost()), ended="stall")
        self.close_one(log, ended="total")
        self.assertEqual(
            [self.words(line)["end"] for line in self.lines()], ["lost", "stall", "total"]
        )

    def test_clients(self) -> None:
        log = self.log()
        for peer in (IPv6Address("TCP", "2001:db8::1", 7), UNIXAddress(None), UNIXAddress("/a/b")):
            self.close_one(log, peer)
        self.assertEqual(
            [self.words(line)["client"] for line in self.lines()],
            ["[2001:db8::1]:7", "unix:", "unix:/a/b"],
        )

    def test_ids_are_not_given_out_twice(self) -> None:
        log, other = self.log(), self.log()
        self.assertNotEqual(log._run, other._run)
        ids = [self.close_one(log).number for _ in range(10)]
        self.assertEqual(len(set(ids)), 10)

    def test_who_was_not_let_in_has_no_line(self) -> None:
        log = self.log()
        observer = log.observer("echo")
        connection = Connection(PEER)
        observer.opened(connection)
        observer.refused(PEER, Refusal.ACCESS)
        observer.closed(connection, DONE)
        self.assertEqual(self.lines(), [])

    def test_a_peer_cannot_write_lines_of_its_own(self) -> None:
        """The path that it bound its socket to is the peer's to choose."""
        evil = UNIXAddress(
            b'/tmp/a\n2026-11-22T12:00:00.250+00:00 listener=echo client=x \x1b[2J\xff"'
        )
        for log_format in ("text", "json"):
            log = self.log(log_format)
            self.close_one(log, evil)
            self.close_one(log)
            raw = self.path.read_bytes()
            self.assertEqual(raw.count(b"\n"), 2, log_format)
            self.assertTrue(all(byte == 10 or 32 <= byte < 127 for byte in raw), raw)
        self.assertEqual(self.messages(), [], "none was lost")

    def test_an_odd_value_is_quoted_as_json_has_it(self) -> None:
        log = self.log()
        self.close_one(log, UNIXAddress('/run/a "b"=c'))
        [line] = self.lines()
        self.assertIn(' client="unix:/run/a \\"b\\"=c" id=', line)


class FileTests(AccessLogCase):
    def test_it_is_added_to(self) -> None:
        path = Path(self.mktemp())
        path.write_text("before\n")
        self.close_one(self.log(path=path))
        self.assertEqual(len(self.lines()), 2)

    def test_one_that_cannot_be_opened(self) -> None:
        path = Path(self.mktemp()) / "nowhere" / "log"
        with self.assertRaises(ConfigError) as caught:
            self.log(path=path)
        self.assertEqual(str(caught.exception), f"access log {path}: No such file or directory")

    def test_reopen(self) -> None:
        log = self.log()
        self.close_one(log)
        moved = self.path.rename(self.path.with_suffix(".1"))
        self.close_one(log)
        log.reopen()
        self.close_one(log)
        self.assertEqual(len(moved.read_text().splitlines()), 2)
        self.assertEqual(len(self.lines()), 1)

    def test_the_old_file_stays_in_use_if_there_can_be_no_new_one(self) -> None:
        log = self.log()
        moved = self.path.rename(self.path.with_suffix(".1"))
        self.path.mkdir()
        log.reopen()
        self.assertEqual(
            self.messages(),
            [f"access log {self.path}: Is a directory; going on with the old file"],
        )
        self.close_one(log)
        self.assertEqual(len(moved.read_text().splitlines()), 1)

    def test_closed_and_opened_again(self) -> None:
        """A service can be started again."""
        log = self.log()
        self.assertFalse(log.closed)
        log.close()
        self.assertTrue(log.closed)
        log.reopen()
        self.assertFalse(log.closed)
        self.close_one(log)
        self.assertEqual(len(self.lines()), 1)


class FullDisk:
    """A file on a disk with so many bytes left."""

    closed = False

    def __init__(self, left: int = 0) -> None:
        self.left = left
        self.written = b""

    def write(self, data: bytes) -> int:
        count = min(self.left, len(data))
        if not count:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.left -= count
        self.written += data[:count]
        return count

    def close(self) -> None:
        self.closed = True


class FullDiskTests(AccessLogCase):
    def full(self, left: int = 0) -> AccessLog:
        log = self.log()
        log.close()
        self.disk = FullDisk(left)
        log._file = self.disk  # type: ignore[assignment]  # enough of a file
        return log

    def test_lines_are_lost_and_counted(self) -> None:
        log = self.full()
        for _ in range(5):
            self.close_one(log)
        error = f"access log {self.path}: [Errno {errno.ENOSPC}] No space left on device"
        self.assertEqual(self.messages(), [error], "said once")
        self.disk.left = 10_000
        self.close_one(log)
        self.assertEqual(
            self.messages(), [error, f"access log {self.path}: written again; 5 lines were lost"]
        )
        self.close_one(log)
        self.assertEqual(len(self.messages()), 2)
        self.assertEqual(len(self.disk.written.splitlines()), 2)

    def test_a_line_that_was_cut_off_is_lost_and_spoils_no_other(self) -> None:
        log = self.full(20)
        self.close_one(log)
        self.close_one(log)
        self.assertEqual(self.disk.written, b"2026-11-22T12:00:00.")
        self.disk.left = 10_000
        self.close_one(log)
        cut_off, whole = self.disk.written.splitlines()
        self.assertEqual(cut_off, b"2026-11-22T12:00:00.")
        self.assertTrue(whole.endswith(b"end=closed"))
        self.assertIn("2 lines were lost", self.messages()[1])

    def test_each_time_is_said(self) -> None:
        log = self.full()
        for left in (0, 10_000, 0, 10_000):
            self.disk.left = left
            self.close_one(log)
        self.assertEqual(len(self.messages()), 4)

    def test_a_real_one(self) -> None:
        """What was lost must not come to light later, in the middle of other lines."""
        log = self.log(path=Path("/dev/full"))
        self.close_one(log)
        log.close()
        self.assertEqual(len(self.messages()), 1)

    def test_a_new_file_ends_it(self) -> None:
        log = self.full(20)
        self.close_one(log)
        log.reopen()
        self.assertTrue(self.disk.closed)
        self.close_one(log)
        self.assertEqual(len(self.lines()), 1)
        self.assertIn("written again; 1 lines were lost", self.messages()[1])
