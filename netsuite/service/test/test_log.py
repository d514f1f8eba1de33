import json
from io import StringIO
from typing import Any

from twisted.logger import Logger, LogLevel, LogPublisher, globalLogPublisher
from twisted.python import log as legacy_log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from netsuite.service import at_level, file_observer, json_line


class JSONTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[Any] = []
        publisher = LogPublisher(self.events.append)  # type: ignore[arg-type]  # a list will do
        self.log = Logger("netsuite.test", observer=publisher)

    def line(self) -> dict[str, Any]:
        [event] = self.events
        event["log_time"] = 1_795_348_800.25
        text = json_line(event)
        assert text is not None
        self.assertTrue(text.endswith("\n"))
        self.assertEqual(text.count("\n"), 1)
        loaded: dict[str, Any] = json.loads(text)
        return loaded

    def test_the_keys(self) -> None:
        self.log.info("{peer} sent {count}", peer="192.0.2.1", count=3)
        self.assertEqual(
            self.line(),
            {
                "time": "2026-11-22T12:00:00.250000+00:00",
                "level": "info",
                "logger": "netsuite.test",
                "message": "192.0.2.1 sent 3",
                "peer": "192.0.2.1",
                "count": 3,
            },
        )

    def test_values_are_flat(self) -> None:
        self.log.warn(
            "x", a=[1, 2], b={"c": 1}, d=b"\xff", e=None, f=True, g=float("nan"), h=1.5, i=2**70
        )
        line = self.line()
        self.assertEqual(line["level"], "warn")
        self.assertEqual(
            [line[name] for name in "abdefghi"],
            ["[1, 2]", "{'c': 1}", "\\xff", None, True, "nan", 1.5, 2**70],
        )

    def test_names_that_are_taken(self) -> None:
        self.log.info("x", logger="wood", traceback="none")
        self.events[0]["level"] = "high"
        line = self.line()
        self.assertEqual((line["level"], line["level_"]), ("info", "high"))
        self.assertEqual((line["traceback_"], line["logger_"]), ("none", "wood"))

    def test_line_ends_stay_inside_the_line(self) -> None:
        self.log.info("{name}", name='a\nb\r\u2028"{}')
        self.assertEqual(self.line()["name"], 'a\nb\r\u2028"{}')

    def test_a_value_that_cannot_be_shown(self) -> None:
        class Shy:
            def __str__(self) -> str:
                raise RuntimeError("no")

        self.log.info("x", value=Shy())
        self.assertEqual(self.line()["value"], "<Shy that cannot be shown>")

    def test_failures_have_a_traceback(self) -> None:
        self.log.failure("it failed", Failure(ValueError("what went wrong")))
        line = self.line()
        self.assertEqual((line["level"], line["message"]), ("critical", "it failed"))
        self.assertIn("ValueError: what went wrong", line["traceback"])

    def test_legacy_events(self) -> None:
        seen: list[Any] = []
        observer: Any = seen.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        legacy_log.msg("an old one", system="old", isError=0)
        self.events = [event for event in seen if event.get("log_system") == "old"]
        line = self.line()
        self.assertEqual((line["message"], line["level"]), ("an old one", "info"))
        self.assertEqual(set(line), {"time", "level", "logger", "message"})


class ObserverTests(SynchronousTestCase):
    def test_formats(self) -> None:
        for log_format, expected in [("json", '"message": "hello"'), ("text", "#info] hello")]:
            output = StringIO()
            Logger("n", observer=file_observer(output, log_format)).info("hello")  # type: ignore[arg-type]  # both are
            self.assertIn(expected, output.getvalue())

    def test_level(self) -> None:
        for level in ("debug", "info", "warn", "error", "critical"):
            output = StringIO()
            log = Logger("n", observer=at_level(file_observer(output, "text"), level))
            for each in LogLevel.iterconstants():
                log.emit(each, "it is {name}", name=each.name)
            shown = [line.rpartition(" ")[2] for line in output.getvalue().splitlines()]
            self.assertEqual(shown[0], level)
            self.assertEqual(
                len(shown), 5 - ["debug", "info", "warn", "error", "critical"].index(level)
            )
