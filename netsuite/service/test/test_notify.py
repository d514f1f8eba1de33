from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from netsuite.service._notify import (
    MAX_STATUS,
    MAX_WAITING,
    RETRY_SECONDS,
    Notifier,
    NotifyService,
    Supervision,
    message,
)

WATCHED = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}


class SupervisionTest(SynchronousTestCase):
    def test_nobody(self) -> None:
        for environ in ({}, {"NOTIFY_SOCKET": ""}):
            self.assertEqual(Supervision.from_environment(environ), Supervision())

    def test_addresses(self) -> None:
        for text, address in (
            ("/run/systemd/notify", b"/run/systemd/notify"),
            ("@/org/x@y", b"\0/org/x@y"),
            ("/run/\udcff", b"/run/\xff"),
        ):
            found = Supervision.from_environment({"NOTIFY_SOCKET": text})
            self.assertEqual(found.address, address)

    def test_watchdog(self) -> None:
        found = Supervision.from_environment(WATCHED)
        self.assertEqual(found, Supervision(b"/run/notify", 30.0, 7))
        self.assertEqual(found.watchdog_interval(7), 15.0)
        self.assertIsNone(found.watchdog_interval(8))

    def test_a_watchdog_for_any_process(self) -> None:
        self.assertEqual(Supervision(b"/x", 1.0).watchdog_interval(8), 0.5)

    def test_no_watchdog(self) -> None:
        self.assertIsNone(Supervision(b"/x").watchdog_interval(7))
        self.assertIsNone(Supervision(None, 1.0).watchdog_interval(7))
        found = Supervision.from_environment({**WATCHED, "WATCHDOG_USEC": "0"})
        self.assertIsNone(found.watchdog_interval(7))

    def test_what_systemd_never_says(self) -> None:
        for name, value in (
            ("NOTIFY_SOCKET", "run/notify"),
            ("NOTIFY_SOCKET", "@"),
            ("NOTIFY_SOCKET", "vsock:2:1"),
            ("WATCHDOG_USEC", "-1"),
            ("WATCHDOG_USEC", "1.5"),
            ("WATCHDOG_USEC", "9" * 21),
            ("WATCHDOG_PID", "\u0661"),
        ):
            error = self.assertRaises(
                ValueError, Supervision.from_environment, {**WATCHED, name: value}
            )
            self.assertIn(f"{name}={value}: expected a ", str(error))


class MessageTest(SynchronousTestCase):
    def test_lines(self) -> None:
        self.assertEqual(message("READY=1", "STATUS=fünf"), "READY=1\nSTATUS=fünf".encode())

    def test_no_assignment_hides_in_another(self) -> None:
        self.assertEqual(
            message("STATUS=a\nMAINPID=1\r\0\udcff\u2028x"), b"STATUS=a MAINPID=1    x"
        )


class NotifierTest(SynchronousTestCase):
    def test_a_quiet_one(self) -> None:
        notifier = Notifier.from_environment({})
        self.assertFalse(notifier.enabled)
        self.assertTrue(notifier.send("READY=1"))

    def test_a_wrong_environment_is_said_and_quiet(self) -> None:
        self.assertFalse(Notifier.from_environment({"NOTIFY_SOCKET": "here"}).enabled)


class Recorder(Notifier):
    """Keeps what it is to send."""

    def __init__(self, environ: dict[str, str]) -> None:
        super().__init__(Supervision.from_environment(environ))
        self.sent: list[tuple[str, ...]] = []
        self.full = False

    def send(self, *assignments: str) -> bool:
        if not self.full:
            self.sent.append(assignments)
        return not self.full


class ServiceTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.make(WATCHED)

    def make(self, environ: dict[str, str], pid: int = 7) -> None:
        self.notifier = Recorder(environ)
        self.sent = self.notifier.sent
        self.service = NotifyService(self.notifier, self.clock, lambda: 12.3456789, lambda: pid)

    def assert_sent(self, *messages: tuple[str, ...]) -> None:
        self.assertEqual(self.sent, list(messages))
        del self.sent[:]

    def test_a_life(self) -> None:
        self.service.ready("serving")
        self.assert_sent(("READY=1", "MAINPID=7", "STATUS=serving"))
        self.service.status("3 connections")
        self.assert_sent(("STATUS=3 connections",))
        self.service.reloading()
        self.assert_sent(("RELOADING=1", "MONOTONIC_USEC=12345678", "STATUS=reloading"))
        self.service.ready()
        self.assert_sent(("READY=1", "MAINPID=7", "STATUS="))
        self.service.stopping(10)
        self.assert_sent(("STOPPING=1", "EXTEND_TIMEOUT_USEC=15000000", "STATUS=draining"))

    def test_watchdog(self) -> None:
        self.service.startService()
        self.assert_sent(("WATCHDOG=1",))
        self.service.startService()  # again changes nothing
        self.clock.advance(14.9)
        self.assert_sent()
        for _ in range(3):
            self.clock.advance(15)
            self.assert_sent(("WATCHDOG=1",))
        self.service.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_watchdog(self) -> None:
        for environ, pid in (({}, 7), ({"NOTIFY_SOCKET": "/x"}, 7), (WATCHED, 8)):
            self.make(environ, pid)
            self.service.startService()
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assert_sent()
            self.service.stopService()

    def test_a_status_is_cut(self) -> None:
        for size in (MAX_STATUS, MAX_STATUS + 1):
            self.service.status("x" * size)
            self.assert_sent(("STATUS=" + "x" * MAX_STATUS,))

    def test_a_full_socket_is_tried_again_in_order(self) -> None:
        self.notifier.full = True
        self.service.reloading()
        self.service.ready()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(RETRY_SECONDS)
        self.assert_sent()
        self.notifier.full = False
        self.clock.advance(RETRY_SECONDS)
        self.assertEqual([each[0] for each in self.sent], ["RELOADING=1", "READY=1"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_waits_is_bounded(self) -> None:
        self.notifier.full = True
        for number in range(MAX_WAITING + 1):
            self.service.status(str(number))
        self.notifier.full = False
        self.clock.advance(RETRY_SECONDS)
        self.assertEqual(len(self.sent), MAX_WAITING)
        self.assertEqual(self.sent[0], ("STATUS=1",))
        self.assertEqual(self.sent[-1], (f"STATUS={MAX_WAITING}",))

    def test_pings_do_not_pile_up(self) -> None:
        self.notifier.full = True
        self.service.startService()
        self.clock.pump([15.0] * 5)
        self.notifier.full = False
        self.clock.advance(RETRY_SECONDS)
        self.assert_sent(("WATCHDOG=1",))

    def test_the_last_word_is_tried_once_more(self) -> None:
        self.notifier.full = True
        self.service.stopping()
        self.notifier.full = False
        self.service.stopService()
        self.assertEqual([each[0] for each in self.sent], ["STOPPING=1"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_waits_once_it_is_stopped(self) -> None:
        self.notifier.full = True
        self.service.startService()
        self.service.stopping()
        self.service.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_inside_a_service(self) -> None:
        from_environment: Any = NotifyService(Notifier.from_environment({}), self.clock)
        from_environment.startService()
        from_environment.ready("serving")
        from_environment.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
