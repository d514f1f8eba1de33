"""Several processes that serve the same sockets, and the one that looks after them."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from itertools import count as counter
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from netsuite.service._reactor import reactor_flags
from netsuite.service._snapshot import FILES
from netsuite.service._stats import ServiceStats
from netsuite.service._worker_link import (
    ANSWERS,
    FILES_GIVEN,
    FIRST_SOCKET,
    VARIABLE,
    MessageProtocol,
    WorkerPlace,
)

#: Seconds before a worker that ended is started again; doubled each time that it ends young.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0

#: A worker that lives so long, in seconds, was not born sick.
GROWN_UP = 10.0

#: How long a worker may take to answer, in seconds.
ANSWER_SECONDS = 5.0

#: How often the workers' statistics are asked for, in seconds: what is lost at most if one dies.
STATS_SECONDS = 1.0

#: How long after a drain a worker may still be there, in seconds beyond its own timeout.
KILL_SECONDS = 10.0

#: How long after an abort, in seconds.
ABORT_SECONDS = 2.0

#: The longest line of a worker's log, in bytes; what is longer is cut.
MOST_LOG_LINE = 64 * 1024

Sockets = Sequence[Sequence[Sequence[socket.socket]]]


class WorkerLostError(Exception):
    """A worker ended before it answered."""


class Worker(ProcessProtocol):
    """One worker process.

    :param ended: called with this and the reason when it is gone.
    :param log_line: called with each line that it logs, without the line end.
    """

    def __init__(
        self,
        index: int,
        clock: Any,
        log_line: Callable[[str], object],
        ready: "Callable[[Worker], object]",
        ended: "Callable[[Worker, Failure], object]",
    ) -> None:
        self.index = index
        self.born: float = clock.seconds()
        self.is_ready = False
        #: What it last said of each of its daemons.
        self.stats: list[ServiceStats] = []
        self._clock = clock
        self._log_line = log_line
        self._tell_ready = ready
        self._tell_ended = ended
        self._numbers = counter(1)
        self._asked: dict[int, Deferred[Any]] = {}
        self._log_rest = b""
        self._messages = MessageProtocol(self._answered, lambda: None)

    def connectionMade(self) -> None:
        """It runs."""
        self._messages.makeConnection(self.transport)

    def ask(self, what: str, **arguments: Any) -> Deferred[Any]:
        """Ask it to do something; fires with the result.

        It fails with :class:`WorkerLostError` if the worker ends first, with ``TimeoutError`` if
        it does not answer, and with ``RuntimeError`` and its words if it refuses.
        """
        number = next(self._numbers)
        answer: Deferred[Any] = Deferred(lambda _: self._forget(number))
        self._asked[number] = answer
        self._messages.send({"do": what, "id": number, **arguments})
        return answer.addTimeout(ANSWER_SECONDS, self._clock, _no_answer)

    def _forget(self, number: int) -> None:
        self._asked.pop(number, None)

    def _answered(self, message: dict[str, Any]) -> None:
        if message.get("ready"):
            self.is_ready = True
            self._tell_ready(self)
            return
        if "stats" in message:
            self.remember(message["stats"])
            return
        answer = self._asked.pop(message["id"], None)
        if answer is None:
            return  # too late
        if "error" in message:
            answer.errback(RuntimeError(message["error"]))
        else:
            answer.callback(message["result"])

    def remember(self, texts: Sequence[str]) -> None:
        """Keep what it says of its daemons."""
        self.stats = [ServiceStats.from_json(text) for text in texts]

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """An answer, or something for the log."""
        if childFD == ANSWERS:
            self._messages.dataReceived(data)
            return
        *lines, self._log_rest = (self._log_rest + data).split(b"\n")
        for line in lines:
            self._pass_on(line)
        if len(self._log_rest) > MOST_LOG_LINE:
            self._pass_on(self._log_rest[:MOST_LOG_LINE])
            self._log_rest = b""

    def _pass_on(self, line: bytes) -> None:
        self._log_line(line.decode("utf-8", "backslashreplace"))

    def processEnded(self, reason: Failure) -> None:
        """It is gone, and all that it had to say is here."""
        if self._log_rest:
            self._pass_on(self._log_rest)
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            answer.errback(WorkerLostError(f"worker {self.index} is gone"))
        self._tell_ended(self, reason)

    def kill(self) -> None:
        """End it at once."""
        if self.transport is not None and self.transport.pid is not None:
            os.kill(self.transport.pid, signal.SIGKILL)

    @property
    def pid(self) -> int | None:
        """Its process, while there is one."""
        return None if self.transport is None else self.transport.pid


class WorkerPool:
    """Keeps workers running on the same sockets.

    The sockets are the supervisor's as well, and stay open whatever becomes of a worker: a
    new connection waits in the kernel for the next one to take it, and is never refused.

    :param arguments: of the service: its ``twistd`` name and its own options.
    :param count: how many workers.
    :param clock: seconds that do not jump, and delayed calls.
    :param log_line: where the workers' log lines go.
    :param files: a new file descriptor of what the configuration was read from.
    """

    _log = Logger()

    def __init__(
        self,
        arguments: Sequence[str],
        count: int,
        reactor: Any,
        clock: Any,
        log_line: Callable[[str], object],
        files: Callable[[], int] = FILES.handed_over,
    ) -> None:
        self._arguments = arguments
        self._files = files
        self._given_files = files()
        # Relative names on the command line are of here; twistd may go elsewhere.
        self._directory = Path.cwd()
        self.count = count
        self._reactor = reactor
        self._clock = clock
        self._log_line = log_line
        self._sockets: list[Sockets] = []
        self._workers: dict[int, Worker] = {}
        self._pauses: dict[int, float] = {}
        self._pending: dict[int, IDelayedCall] = {}
        self._gone: list[ServiceStats] = []
        self._bans: dict[tuple[int, str], float | None] = {}
        self._started: Deferred[None] | None = None
        self._stopping = False
        self._waiters: list[Deferred[None]] = []
        self._kill: IDelayedCall | None = None
        self._polling: IDelayedCall | None = None
        #: Workers that were started again after they had ended.
        self.restarts = 0
        #: Connections that workers have cut at the end.
        self.aborted = 0

    def start(self, sockets: Sequence[Sockets]) -> Deferred[None]:
        """Start all; fires when all are ready, fails if one ends before it ever was.

        :param sockets: for each worker, what it inherits: for each daemon, for each endpoint.
        """
        self._sockets = list(sockets)
        self._started = Deferred()
        for index in range(self.count):
            self._start_one(index)
        self._poll()
        return self._started

    def _start_one(self, index: int) -> None:
        self._pending.pop(index, None)
        worker = Worker(index, self._clock, self._log_line, self._ready, self._ended)
        self._workers[index] = worker
        files = os.dup(self._given_files)
        descriptors: dict[int, Any] = {0: "w", 1: "r", 2: "r", ANSWERS: "r", FILES_GIVEN: files}
        numbers = counter(FIRST_SOCKET)
        rows = [
            [[_give(descriptors, next(numbers), each) for each in part] for part in daemon]
            for daemon in self._sockets[index]
        ]
        place = WorkerPlace(index, rows)
        self._reactor.spawnProcess(
            worker,
            sys.executable,
            [sys.executable, "-P", "-m", "netsuite.service.worker", *self._arguments],
            env=_environment(place),
            path=str(self._directory),
            childFDs=descriptors,
        )
        os.close(files)

    def keep_files(self) -> None:
        """Start workers from now on with the files that were just read."""
        os.close(self._given_files)
        self._given_files = self._files()

    # What becomes of them.

    def _ready(self, worker: Worker) -> None:
        self._log.info("worker {index} is ready: pid {pid}", index=worker.index, pid=worker.pid)
        for (daemon, network), until in self._bans.items():
            left = None if until is None else until - self._clock.seconds()
            if left is None or left > 0:
                self._quietly(worker.ask("ban", daemon=daemon, network=network, seconds=left))
        if self._started is not None and all(
            index in self._workers and self._workers[index].is_ready for index in range(self.count)
        ):
            started, self._started = self._started, None
            started.callback(None)

    def _ended(self, worker: Worker, reason: Failure) -> None:
        del self._workers[worker.index]
        self._retire(worker)
        how = _how(reason)
        if self._stopping:
            self._finish_if_empty()
        elif self._started is not None and not worker.is_ready:
            started, self._started = self._started, None
            started.errback(WorkerLostError(f"worker {worker.index} {how} before it was ready"))
        else:
            self._restart_later(worker, how)

    def _restart_later(self, worker: Worker, how: str) -> None:
        young = self._clock.seconds() - worker.born < GROWN_UP
        pause = min(self._pauses.get(worker.index, 0.0) * 2, LONGEST_PAUSE) if young else 0.0
        self._pauses[worker.index] = pause = max(pause, FIRST_PAUSE)
        self.restarts += 1
        self._log.error(
            "worker {index} {how}: another one in {pause:g} s",
            index=worker.index,
            how=how,
            pause=pause,
        )
        self._pending[worker.index] = self._clock.callLater(pause, self._start_one, worker.index)

    def _retire(self, worker: Worker) -> None:
        """Keep what a worker has counted."""
        for place, stats in enumerate(worker.stats):
            self.aborted += sum(listener.cut.get("drain", 0) for listener in stats.listeners)
            for listener in stats.listeners:
                listener.active = 0
            stats.pids = []
            stats.draining = False
            if place < len(self._gone):
                self._gone[place] = ServiceStats.merge([self._gone[place], stats])
            else:
                self._gone.append(stats)

    # What they have done.

    @property
    def active(self) -> int:
        """Connections that were open when the workers were last asked."""
        return sum(stats.active for worker in self._workers.values() for stats in worker.stats)

    def _poll(self) -> None:
        self._polling = None
        asked = [self._ask_stats(worker) for worker in self._workers.values() if worker.is_ready]
        DeferredList(asked).addCallback(self._poll_later)

    def _poll_later(self, result: object) -> None:
        if self._polling is None and (not self._stopping or self._workers):
            self._polling = self._clock.callLater(STATS_SECONDS, self._poll)

    def _ask_stats(self, worker: Worker) -> Deferred[None]:
        asked: Deferred[None] = worker.ask("stats").addCallback(worker.remember)
        return asked.addErrback(self._no_answer, worker)

    def _no_answer(self, failure: Failure, worker: Worker) -> None:
        if not failure.check(WorkerLostError):
            self._log.warn(
                "worker {index} does not answer: {reason}",
                index=worker.index,
                reason=failure.getErrorMessage(),
            )

    def stats(self, daemon: int) -> Deferred[list[ServiceStats]]:
        """What all workers, those that are gone too, have done for one of the daemons."""
        asked = [self._ask_stats(worker) for worker in self._workers.values() if worker.is_ready]

        def collect(result: object) -> list[ServiceStats]:
            rows = [self._gone, *(worker.stats for worker in self._workers.values())]
            return [row[daemon] for row in rows if daemon < len(row)]

        return DeferredList(asked).addCallback(collect)

    # What they are told.

    def tell(self, what: str, **arguments: Any) -> Deferred[list[str]]:
        """Ask all; fires with the complaints of those that could not."""
        complaints: list[str] = []

        def complain(failure: Failure, worker: Worker) -> None:
            if not failure.check(WorkerLostError):
                complaints.append(f"worker {worker.index}: {failure.getErrorMessage()}")

        asked = [
            worker.ask(what, **arguments).addErrback(complain, worker)
            for worker in self._workers.values()
            if worker.is_ready
        ]
        return DeferredList(asked).addCallback(lambda _: complaints)

    def ban(self, daemon: int, network: str, seconds: float | None) -> None:
        """Have all refuse a network; those too that are yet to be started."""
        until = None if seconds is None else self._clock.seconds() + seconds
        self._bans[daemon, network] = until
        self._quietly(self.tell("ban", daemon=daemon, network=network, seconds=seconds))

    def unban(self, daemon: int, network: str) -> None:
        """Have all take a ban back."""
        self._bans.pop((daemon, network), None)
        self._quietly(self.tell("unban", daemon=daemon, network=network))

    def _quietly(self, asked: Deferred[Any]) -> None:
        asked.addErrback(lambda failure: self._log.debug("{it}", it=failure.getErrorMessage()))

    # The end.

    def stop(self, timeout: float) -> Deferred[None]:
        """Have all drain; fires when none is left. May be asked again.

        :param timeout: seconds that they have, by their own configuration.
        """
        stopped: Deferred[None] = Deferred()
        self._waiters.append(stopped)
        if len(self._waiters) == 1:
            self._stopping = True
            for call in self._pending.values():
                call.cancel()
            self._pending.clear()
            for worker in self._workers.values():
                self._quietly(worker.ask("drain"))
            self._kill = self._clock.callLater(timeout + KILL_SECONDS, self._kill_all)
        self._finish_if_empty()
        return stopped

    def abort(self) -> None:
        """Have all cut what they have open, and end; who does not is killed soon."""
        for worker in self._workers.values():
            self._quietly(worker.ask("abort"))
        if self._kill is not None:
            self._kill.reset(ABORT_SECONDS)

    def _kill_all(self) -> None:
        self._kill = None
        for worker in self._workers.values():
            self._log.error("worker {index} does not end: killed", index=worker.index)
            self.aborted += 1
            worker.kill()

    def _finish_if_empty(self) -> None:
        if not self._stopping or self._workers:
            return
        for call in (self._kill, self._polling):
            if call is not None and call.active():
                call.cancel()
        self._kill = self._polling = None
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)


def _no_answer(value: object, timeout: float) -> object:
    """What a worker's silence is called."""
    if isinstance(value, Failure) and value.check(CancelledError):
        raise TimeoutError(f"no answer in {timeout:g} s")
    return value


def _give(descriptors: dict[int, Any], number: int, given: socket.socket) -> tuple[int, int]:
    """Have a worker find a socket at a number; what it needs to know of it."""
    descriptors[number] = given.fileno()
    return number, int(given.family)


def worker_arguments(options: Any, reactor: Any) -> list[str]:
    """What a worker's command line has in common with ours: reactor, service, its options."""
    twistd: Any = getattr(options, "parent", None) or {}
    service = [twistd.subCommand] if twistd else []
    return [*reactor_flags(reactor, twistd), *service, *options.arguments]


def _environment(place: WorkerPlace) -> dict[str, str]:
    """What a worker finds: our modules, its place, and nothing that is meant for us alone."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS"}
    }
    path = os.pathsep.join(filter(None, sys.path))
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", VARIABLE: place.to_text()}


def _how(reason: Failure) -> str:
    """How a process ended."""
    if reason.check(ProcessDone):
        return "ended"
    number = getattr(reason.value, "signal", None)
    if number is not None:
        return f"was ended by {signal.Signals(number).name}"
    return f"ended with status {getattr(reason.value, 'exitCode', '?')}"
