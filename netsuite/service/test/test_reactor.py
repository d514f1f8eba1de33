import sys
from types import ModuleType
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.pollreactor import PollReactor
from twisted.internet.selectreactor import SelectReactor
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from netsuite.net.reactor import UVReactor
from netsuite.service._reactor import (
    chosen_name,
    log_reactor,
    reactor_flags,
    reactor_name,
    shown_name,
)


def made(kind: Any) -> Any:
    """A reactor that has nothing but its class: no descriptor, no loop."""
    return kind.__new__(kind)


class ReactorNameTests(SynchronousTestCase):
    def test_names_are_those_of_the_command_line(self) -> None:
        for kind, name in (
            (SelectReactor, "select"),
            (PollReactor, "poll"),
            (EPollReactor, "epoll"),
            (UVReactor, "netsuite-uv"),
        ):
            self.assertEqual(reactor_name(made(kind)), name)
            self.assertEqual(shown_name(made(kind)), name)

    def test_others_have_none(self) -> None:
        class Own(EPollReactor):
            """Not what ``--reactor epoll`` would install."""

        self.assertIsNone(reactor_name(made(Own)))
        self.assertIsNone(reactor_name(MemoryReactorClock()))
        self.assertEqual(
            shown_name(MemoryReactorClock()), "twisted.internet.testing.MemoryReactorClock"
        )

    def test_what_the_command_line_asks_for(self) -> None:
        self.assertEqual(chosen_name({"reactor": "epoll"}), "epoll")
        self.assertEqual(chosen_name({"reactorName": "poll", "reactor": object()}), "poll")
        self.assertIsNone(chosen_name({"reactorName": "default", "reactor": object()}))
        self.assertIsNone(chosen_name({}))

    def test_another_process_runs_on_the_same(self) -> None:
        self.assertEqual(reactor_flags(made(UVReactor), {}), ["--reactor=netsuite-uv"])
        self.assertEqual(reactor_flags(made(EPollReactor), {}), ["--reactor=epoll"])
        self.assertEqual(
            reactor_flags(made(EPollReactor), {"reactor": "theirs"}), ["--reactor=theirs"]
        )
        self.assertEqual(reactor_flags(MemoryReactorClock(), {}), [])


class LogReactorTests(SynchronousTestCase):
    def said(self, kind: Any, *, uvloop: bool, **twistd: object) -> list[str]:
        """What is logged of a reactor, with and without uvloop, with its level."""
        modules = {name: each for name, each in sys.modules.items() if name != "uvloop"}
        if uvloop:
            modules["uvloop"] = ModuleType("uvloop")
            modules["uvloop"].__dict__["__version__"] = "0.99"
        self.patch(sys, "modules", modules)
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        try:
            log_reactor(made(kind), twistd)
        finally:
            globalLogPublisher.removeObserver(observer)
        return [f"{each['log_level'].name}: {formatEvent(each)}" for each in events]

    def test_ours(self) -> None:
        self.assertEqual(
            self.said(UVReactor, uvloop=True), ["info: reactor: netsuite-uv (uvloop 0.99)"]
        )

    def test_without_uvloop_it_is_said_quietly_what_it_takes(self) -> None:
        self.assertEqual(
            self.said(EPollReactor, uvloop=False),
            [
                "info: reactor: epoll",
                "debug: pip install netsuite[fast] for a faster reactor",
            ],
        )

    def test_not_to_those_who_have_chosen_or_cannot_have_it(self) -> None:
        epoll, poll = ["info: reactor: epoll"], ["info: reactor: poll"]
        self.assertEqual(self.said(EPollReactor, uvloop=False, reactor="epoll"), epoll)
        self.assertEqual(self.said(EPollReactor, uvloop=True), epoll)
        self.assertEqual(self.said(PollReactor, uvloop=False), poll)
