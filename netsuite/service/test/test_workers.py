import json
import signal
import socket
from types import SimpleNamespace
from typing import Any
from unittest import mock

from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from netsuite.service._sockets import worker_sockets
from netsuite.service._stats import ListenerStats, ServiceStats
from netsuite.service._worker_link import ANSWERS, VARIABLE, MessageProtocol, WorkerPlace
from netsuite.service._workers import (
    FIRST_PAUSE,
    GROWN_UP,
    KILL_SECONDS,
    LONGEST_PAUSE,
    MOST_LOG_LINE,
    WorkerLostError,
    WorkerPool,
    worker_arguments,
)


class FakeProcess:
    """A worker's process: what is written to it, and what it says and does."""

    def __init__(self, protocol: Any, environment: dict[str, str], descriptors: Any) -> None:
        self.protocol = protocol
        self.place = json.loads(environment[VARIABLE])
        self.environment = environment
        self.descriptors = descriptors
        self.pid = 1000
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data

    def asked(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.written.splitlines()]

    def say(self, **message: Any) -> None:
        self.protocol.childDataReceived(ANSWERS, json.dumps(message).encode() + b"\n")

    def answer(self, what: str, result: Any = None, **more: Any) -> None:
        """Answer everything that was asked and is ``what``."""
        kept = []
        for message in self.asked():
            if message["do"] == what:
                self.say(id=message["id"], **(more or {"result": result}))
            else:
                kept.append(json.dumps(message).encode() + b"\n")
        self.written = b"".join(kept)

    def end(self, number: int | None = None, status: int | None = None) -> None:
        self.pid = None  # type: ignore[assignment]  # as Twisted has it
        error: Any = ProcessDone(0)
        if number is not None or status:
            error = ProcessTerminated(status, number)
        self.protocol.processEnded(Failure(error))


class Reactor(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.processes: list[FakeProcess] = []

    def spawnProcess(
        self, protocol: Any, executable: str, arguments: Any, env: Any, childFDs: Any, path: str
    ) -> None:
        process = FakeProcess(protocol, env, childFDs)
        self.arguments = arguments
        self.processes.append(process)
        protocol.makeConnection(process)


def stats(active: int = 0, accepted: int = 0, **cut: int) -> str:
    listener = ListenerStats(name="echo", active=active, accepted=accepted, cut=cut)
    return ServiceStats(service="echo", version="1", pids=[7], listeners=[listener]).to_json()


class WorkerPoolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reactor = Reactor()
        self.lines: list[str] = []
        self.pool = WorkerPool(
            ["netsuite-echo", "--port=7"], 2, self.reactor, self.reactor, self.lines.append
        )
        self.socket: Any = mock.Mock(family=socket.AF_UNIX)
        self.socket.fileno.return_value = 77
        self.started = self.pool.start([[[[self.socket]]]] * 2)

    @property
    def processes(self) -> list[FakeProcess]:
        return self.reactor.processes

    def ready(self) -> None:
        for process in self.processes:
            process.say(ready=True)

    def test_each_worker_is_told_its_place(self) -> None:
        self.assertEqual([each.place["index"] for each in self.processes], [0, 1])
        [[[[number, family]]]] = self.processes[0].place["sockets"]
        self.assertEqual(self.processes[0].descriptors[number], 77)
        self.assertEqual(family, socket.AF_UNIX)
        self.assertEqual(self.reactor.arguments[-2:], ["netsuite-echo", "--port=7"])

    def test_what_is_for_the_supervisor_alone_is_not_passed_on(self) -> None:
        with mock.patch.dict("os.environ", {"NOTIFY_SOCKET": "/run/x", "COLOUR": "green"}):
            self.pool._start_one(0)
        self.assertNotIn("NOTIFY_SOCKET", self.processes[-1].environment)
        self.assertEqual(self.processes[-1].environment["COLOUR"], "green")

    def test_it_has_started_when_all_are_ready(self) -> None:
        self.processes[0].say(ready=True)
        self.assertNoResult(self.started)
        self.processes[1].say(ready=True)
        self.successResultOf(self.started)

    def test_one_that_ends_before_it_was_ready(self) -> None:
        self.processes[0].say(ready=True)
        self.processes[1].end(status=1)
        error = self.failureResultOf(self.started, WorkerLostError).value
        self.assertEqual(str(error), "worker 1 ended with status 1 before it was ready")

    def test_one_that_ends_has_a_successor_on_the_same_sockets(self) -> None:
        self.ready()
        self.processes[0].end(number=signal.SIGKILL)
        self.reactor.advance(FIRST_PAUSE - 0.01)
        self.assertEqual(len(self.processes), 2)
        self.reactor.advance(0.01)
        self.assertEqual(self.processes[2].place, self.processes[0].place)
        self.assertEqual(self.pool.restarts, 1)

    def test_pauses_grow_while_they_die_young(self) -> None:
        self.ready()
        pauses = []
        for _ in range(12):
            self.processes[-1].end(status=1)
            started, count = self.reactor.seconds(), len(self.processes)
            while len(self.processes) == count:
                self.reactor.advance(0.05)
            pauses.append(round(self.reactor.seconds() - started, 1))
            self.processes[-1].say(ready=True)
        self.assertEqual(pauses[:4], [0.1, 0.2, 0.4, 0.8])
        self.assertEqual(max(pauses), LONGEST_PAUSE)
        self.reactor.advance(GROWN_UP)
        self.processes[-1].end()
        self.reactor.advance(FIRST_PAUSE)
        self.assertEqual(len(self.processes), 15)

    def test_its_log_lines_are_passed_on_whole(self) -> None:
        self.processes[0].protocol.childDataReceived(1, b"one\ntw")
        self.processes[0].protocol.childDataReceived(1, b"o\nthr\xff")
        self.processes[0].end()
        self.assertEqual(self.lines, ["one", "two", "thr\\xff"])
        self.failureResultOf(self.started, WorkerLostError)

    def test_a_line_without_an_end_is_cut(self) -> None:
        self.processes[0].protocol.childDataReceived(1, b"x" * MOST_LOG_LINE)
        self.assertEqual(self.lines, [])
        self.processes[0].protocol.childDataReceived(1, b"x")
        self.assertEqual(self.lines, ["x" * MOST_LOG_LINE])

    def test_statistics_add_up_and_outlive_a_worker(self) -> None:
        self.ready()
        asked = self.pool.stats(0)
        self.processes[0].answer("stats", [stats(active=2, accepted=5)])
        self.processes[1].answer("stats", [stats(active=1, accepted=1)])
        found: list[ServiceStats] = self.successResultOf(asked)
        total = ServiceStats.merge(found)
        self.assertEqual((total.active, total.listeners[0].accepted), (3, 6))
        self.assertEqual(self.pool.active, 3)
        self.processes[0].end(number=signal.SIGKILL)
        asked = self.pool.stats(0)
        self.processes[1].answer("stats", [stats(active=1, accepted=2)])
        found = self.successResultOf(asked)
        total = ServiceStats.merge(found)
        self.assertEqual((total.active, total.listeners[0].accepted), (1, 7))
        self.assertEqual(total.pids, [7])

    def test_a_worker_that_does_not_answer_holds_nobody_up(self) -> None:
        self.ready()
        asked = self.pool.stats(0)
        self.processes[0].answer("stats", [stats(accepted=5)])
        self.assertNoResult(asked)
        self.reactor.advance(5)
        self.assertEqual(len(self.successResultOf(asked)), 1)

    def test_it_is_asked_again_and_again(self) -> None:
        self.ready()
        self.reactor.advance(1)
        for _ in range(3):
            for process in self.processes:
                self.assertEqual([each["do"] for each in process.asked()], ["stats"])
                process.answer("stats", [stats()])
            self.reactor.advance(1)

    def test_complaints_have_names(self) -> None:
        self.ready()
        told = self.pool.tell("reload")
        self.processes[0].answer("reload")
        self.processes[1].answer("reload", error="no such file")
        self.assertEqual(self.successResultOf(told), ["worker 1: no such file"])

    def test_bans_reach_those_that_are_yet_to_come(self) -> None:
        self.ready()
        self.pool.ban(0, "192.0.2.0/24", 60.0)
        self.pool.ban(0, "198.51.100.0/24", None)
        self.pool.ban(0, "203.0.113.0/24", 1.0)
        self.pool.unban(0, "198.51.100.0/24")
        for process in self.processes:
            process.answer("ban")
            process.answer("unban", True)
            process.answer("stats", [stats()])
        self.reactor.advance(10)
        self.processes[0].end()
        self.reactor.advance(FIRST_PAUSE)
        self.processes[-1].say(ready=True)
        [ban] = [each for each in self.processes[-1].asked() if each["do"] == "ban"]
        self.assertEqual(ban["network"], "192.0.2.0/24")
        self.assertAlmostEqual(ban["seconds"], 49.9)

    def test_stopping_drains_and_waits(self) -> None:
        self.ready()
        stopped = self.pool.stop(10.0)
        for process in self.processes:
            self.assertIn("drain", [each["do"] for each in process.asked()])
            process.answer("drain")
            process.say(stats=[stats(drain=2)])
        self.processes[0].end()
        self.assertNoResult(stopped)
        self.processes[1].end()
        self.successResultOf(stopped)
        self.assertEqual(self.pool.aborted, 4)
        self.assertEqual(self.pool.restarts, 0)

    def test_stopping_while_one_is_about_to_be_started(self) -> None:
        self.ready()
        for process in self.processes:
            process.end()
        self.successResultOf(self.pool.stop(10.0))
        self.reactor.advance(60)
        self.assertEqual(len(self.processes), 2)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_one_that_does_not_end_is_killed(self) -> None:
        self.ready()
        killed: list[tuple[int, int]] = []
        self.patch(__import__("os"), "kill", lambda *arguments: killed.append(arguments))
        stopped = self.pool.stop(10.0)
        self.processes[0].end()
        self.reactor.advance(10.0 + KILL_SECONDS)
        self.assertEqual(killed, [(1000, signal.SIGKILL)])
        self.processes[1].end(number=signal.SIGKILL)
        self.successResultOf(stopped)
        self.reactor.advance(60)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_abort(self) -> None:
        self.ready()
        self.pool.abort()
        self.assertIn("abort", [each["do"] for each in self.processes[0].asked()])


class LinkTests(SynchronousTestCase):
    def test_places_survive_the_environment(self) -> None:
        place = WorkerPlace(3, [[[(10, 2), (11, 10)]], [[]]])
        found = WorkerPlace.from_environment({VARIABLE: place.to_text()})
        assert found is not None
        self.assertEqual(found.index, 3)
        self.assertEqual(found.sockets, [[[[10, 2], [11, 10]]], [[]]])
        self.assertIsNone(WorkerPlace.from_environment({}))

    def test_messages_come_in_any_pieces(self) -> None:
        received: list[Any] = []
        lost: list[int] = []
        protocol = MessageProtocol(received.append, lambda: lost.append(1))
        for byte in b'{"a": 1}\n{"b": "\\u00e9"}\n':
            protocol.dataReceived(bytes([byte]))
        self.assertEqual(received, [{"a": 1}, {"b": "é"}])
        protocol.connectionLost()
        self.assertEqual(lost, [1])

    def test_arguments_of_a_worker(self) -> None:
        class Twistd(dict[str, Any]):
            subCommand = "netsuite-echo"

        options = SimpleNamespace(parent=Twistd(reactor="epoll"), arguments=["--port=7"])
        reactor: Any = object()
        wanted = ["--reactor=epoll", "netsuite-echo", "--port=7"]
        self.assertEqual(worker_arguments(options, reactor), wanted)


class SocketsTests(SynchronousTestCase):
    def test_shared(self) -> None:
        port = mock.Mock()
        for sockets in ("shared", "auto"):
            self.assertEqual(worker_sockets(port, 3, sockets), [port.socket] * 3)

    def test_unix_sockets_always_are(self) -> None:
        port = mock.Mock()
        port.socket.family = socket.AF_UNIX
        self.assertEqual(worker_sockets(port, 2, "reuseport"), [port.socket] * 2)
