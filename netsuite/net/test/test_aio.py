"""Twisted code waits for asyncio code; and who forgets to say that it does."""

import asyncio
import contextvars
import gc
import inspect
import sys
import traceback
import weakref
from collections.abc import Generator
from typing import Any, assert_type
from unittest import mock

from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python import threadable

from netsuite.net.aio import as_deferred, loop_of
from netsuite.net.test.loops import (
    UVLOOP,
    LoopTestCase,
    OnUVLoop,
    SomeError,
    StubReactor,
    failing,
    failing_with,
    forever,
    reluctant,
    turns,
    value,
)

name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="nobody")


class AsDeferredTests(LoopTestCase):
    """Twisted code waits for asyncio code."""

    def test_result(self) -> None:
        """A coroutine's result is the Deferred's."""
        deferred = self.started(value(7))
        assert_type(deferred, Deferred[int])
        self.assertEqual(self.successResultOf(deferred), 7)

    def test_error(self) -> None:
        """A coroutine's error is the Deferred's, the same object, with where it comes from."""
        error = SomeError()
        failure = self.failureResultOf(self.started(failing(error)))
        self.assertIs(failure.value, error)
        self.assertIn("in failing", "".join(traceback.format_tb(error.__traceback__)))
        self.assertIn("failing", failure.getTraceback())

    def test_waits(self) -> None:
        """The Deferred fires when the task has ended."""
        event = asyncio.Event()
        deferred = self.started(event.wait())
        self.assertNoResult(deferred)
        event.set()
        self.turn()
        self.assertIs(self.successResultOf(deferred), True)

    def test_task(self) -> None:
        """A coroutine runs as a task: timeouts work, and whatever else asks for the task."""

        async def ask() -> asyncio.Task[Any] | None:
            async with asyncio.timeout(None):
                return await value(asyncio.current_task())

        self.assertIsInstance(self.successResultOf(self.started(ask())), asyncio.Task)

    def test_context(self) -> None:
        """The task has a copy of the caller's context; callbacks see the caller's."""
        seen = []

        async def task() -> None:
            seen.append(name.get())
            name.set("task")

        async def scenario() -> None:
            name.set("caller")
            as_deferred(task()).addCallback(lambda _: seen.append(name.get()))
            await turns()

        self.in_loop(scenario)
        self.assertEqual(seen, ["caller", "caller"])

    def test_future(self) -> None:
        """A future is waited for."""

        async def scenario() -> None:
            future = self.loop.create_future()
            deferred = as_deferred(future)
            self.assertNoResult(deferred)
            future.set_result(7)
            await turns()
            self.assertEqual(self.successResultOf(deferred), 7)

        self.in_loop(scenario)

    def test_done(self) -> None:
        """For a future that is done the Deferred has fired; no loop has to run for that."""
        future: asyncio.Future[int] = self.loop.create_future()
        future.set_result(7)
        self.assertEqual(self.successResultOf(as_deferred(future)), 7)

    def test_done_badly(self) -> None:
        """So it has for one that failed or was cancelled."""
        failed: asyncio.Future[int] = self.loop.create_future()
        failed.set_exception(SomeError())
        self.failureResultOf(as_deferred(failed), SomeError)
        cancelled: asyncio.Future[int] = self.loop.create_future()
        cancelled.cancel()
        self.failureResultOf(as_deferred(cancelled), CancelledError)
        del failed, cancelled
        self.assertEqual(self.reported(), 0)

    def test_awaitable(self) -> None:
        """Anything will do that a task can await."""

        class Awaitable:
            def __await__(self) -> Generator[Any, None, int]:
                return value(7).__await__()

        async def scenario() -> None:
            deferred = as_deferred(Awaitable())
            await turns()
            self.assertEqual(self.successResultOf(deferred), 7)

        self.in_loop(scenario)

    def test_deferred(self) -> None:
        """A Deferred is returned."""
        deferred: Deferred[int] = Deferred()
        self.assertIs(as_deferred(deferred), deferred)

    def test_nonsense(self) -> None:
        """What cannot be awaited is refused."""

        async def scenario() -> None:
            with self.assertRaises(TypeError):
                as_deferred(7)  # type: ignore[arg-type]

        self.in_loop(scenario)

    if sys.version_info >= (3, 12):

        def test_eager_task(self) -> None:
            """The Deferred of a task that ended at once, where the loop makes such, has fired."""

            async def at_once() -> int:
                return 7

            def eager_task(
                loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
            ) -> asyncio.Task[Any]:
                return asyncio.Task(coroutine, loop=loop, **{**options, "eager_start": True})

            async def scenario() -> None:
                self.loop.set_task_factory(eager_task)
                self.assertEqual(self.successResultOf(as_deferred(at_once())), 7)

            self.in_loop(scenario)

    def test_in_coroutine_of_deferreds(self) -> None:
        """A coroutine awaits Deferreds and asyncio code in turn."""

        async def work(gate: Deferred[int]) -> int:
            return await gate + await as_deferred(value(2))

        async def scenario() -> None:
            gate: Deferred[int] = Deferred()
            deferred = Deferred.fromCoroutine(work(gate))
            gate.callback(1)
            await turns()
            self.assertEqual(self.successResultOf(deferred), 3)

        self.in_loop(scenario)

    def test_kept(self) -> None:
        """A task runs to its end though nobody holds it or its Deferred."""
        futures = []
        ended = []

        async def work() -> None:
            future = self.loop.create_future()
            futures.append(weakref.ref(future))
            await future
            ended.append(True)

        self.started(work())
        gc.collect()
        future = futures[0]()
        assert future is not None
        future.set_result(None)
        self.turn()
        self.assertEqual(ended, [True])
        del future
        gc.collect()
        self.assertIsNone(futures[0]())

    def test_let_go(self) -> None:
        """Nothing holds a task that has ended."""

        async def ask() -> weakref.ref[asyncio.Task[Any]]:
            task = asyncio.current_task()
            assert task is not None
            return weakref.ref(task)

        task = self.successResultOf(self.started(ask()))
        gc.collect()
        self.assertIsNone(task())

    def test_unhandled(self) -> None:
        """An error that nobody handles is reported, once."""
        self.started(failing(SomeError()))
        self.assertEqual(self.reported(), 1)

    def test_handled(self) -> None:
        """One that is handled is not."""
        self.started(failing(SomeError())).addErrback(lambda failure: failure.trap(SomeError))
        self.assertEqual(self.reported(), 0)

    # Cancellation.

    def test_cancel(self) -> None:
        """The task is cancelled. The Deferred fires when it has ended, with Twisted's error."""
        leave = asyncio.Event()
        deferred = self.started(reluctant(leave, None))
        deferred.addCallback(lambda _: failing_with(SomeError()))
        deferred.cancel()
        self.turn()
        self.assertNoResult(deferred)
        leave.set()
        self.turn()
        self.failureResultOf(deferred, SomeError)

    def test_cancelled(self) -> None:
        """It fails with Twisted's CancelledError, and says where the task was."""
        deferred = self.started(forever())
        deferred.cancel()
        self.assertNoResult(deferred)
        self.turn()
        error = self.failureResultOf(deferred, CancelledError).value
        self.assertIsInstance(error.__cause__, asyncio.CancelledError)
        self.assertIn("in forever", "".join(traceback.format_tb(error.__cause__.__traceback__)))

    def test_cancel_swallowed(self) -> None:
        """A task that has a result all the same gives it."""
        leave = asyncio.Event()
        leave.set()
        deferred = self.started(reluctant(leave, 7))
        deferred.cancel()
        self.turn()
        self.assertEqual(self.successResultOf(deferred), 7)

    def test_cancel_turned_into_error(self) -> None:
        """So does one that fails otherwise."""

        async def bad_loser() -> None:
            try:
                await forever()
            except asyncio.CancelledError as cancelled:
                raise SomeError from cancelled

        deferred = self.started(bad_loser())
        deferred.cancel()
        self.turn()
        self.failureResultOf(deferred, SomeError)

    def test_cancel_before_start(self) -> None:
        """A task that is cancelled before its first step takes none, and warns of nothing."""
        steps = []

        async def step() -> None:
            steps.append(1)

        async def scenario() -> None:
            deferred = as_deferred(step())
            deferred.cancel()
            await turns()
            self.failureResultOf(deferred, CancelledError)

        self.in_loop(scenario)
        self.assertEqual(steps, [])
        self.assertEqual(self.reported(), 0)
        self.assertEqual(self.flushWarnings(), [])

    def test_cancel_again(self) -> None:
        """To cancel again is to cancel what the task is doing about it."""
        deferred = self.started(reluctant(asyncio.Event(), None))
        deferred.cancel()
        self.turn()
        self.assertNoResult(deferred)
        deferred.cancel()
        self.turn()
        self.failureResultOf(deferred, CancelledError)

    def test_cancel_too_late(self) -> None:
        """A Deferred that has fired has nothing to cancel."""
        deferred = self.started(value(7))
        deferred.cancel()
        self.assertEqual(self.successResultOf(deferred), 7)

    def test_cancel_between(self) -> None:
        """Nor has one whose task has ended, though it has not fired yet."""

        async def scenario() -> None:
            future = self.loop.create_future()
            deferred = as_deferred(future)
            future.set_result(7)
            deferred.cancel()
            await turns()
            self.assertEqual(self.successResultOf(deferred), 7)

        self.in_loop(scenario)

    def test_cancel_callback(self) -> None:
        """When a callback waits for another Deferred, that is what there is to cancel."""
        other: Deferred[None] = Deferred()
        deferred = self.started(value(7)).addCallback(lambda _: other)
        deferred.cancel()
        self.failureResultOf(deferred, CancelledError)

    def test_cancelled_by_asyncio(self) -> None:
        """A task that is cancelled as a task fails the Deferred in the same way."""

        async def scenario() -> None:
            task = self.loop.create_task(forever())
            deferred = as_deferred(task)
            await turns()
            task.cancel("enough")
            await turns()
            error = self.failureResultOf(deferred, CancelledError).value
            self.assertEqual(str(error), "enough")

        self.in_loop(scenario)

    def test_timeout(self) -> None:
        """Deferred.addTimeout says so as ever, once the task has ended."""
        clock = Clock()
        deferred = self.started(forever())
        deferred.addTimeout(5, clock)
        clock.advance(5)
        self.assertNoResult(deferred)
        self.turn()
        self.failureResultOf(deferred, defer.TimeoutError)

    def test_cancel_coroutine_of_deferreds(self) -> None:
        """Cancelling who awaits the Deferred cancels the task."""

        async def work() -> None:
            await as_deferred(forever())

        async def start() -> Deferred[None]:
            deferred = Deferred.fromCoroutine(work())
            await turns()
            return deferred

        deferred = self.in_loop(start)
        deferred.cancel()
        self.turn()
        self.failureResultOf(deferred, CancelledError)
        self.assertEqual(asyncio.all_tasks(self.loop), set())

    # Loops and reactors.

    def test_before_the_loop_runs(self) -> None:
        """With the reactor given, a task starts when its loop does."""
        deferred = as_deferred(value(7), reactor=StubReactor(self.loop))
        self.assertNoResult(deferred)
        self.turn()
        self.assertEqual(self.successResultOf(deferred), 7)

    def refused(self, kind: type[Exception], message: str, reactor: object = None) -> None:
        """A coroutine is not taken; there is one error, and no warning beside it."""
        coroutine = value(7)
        error = self.assertRaises(kind, as_deferred, coroutine, reactor=reactor)
        self.assertIn(message, str(error))
        self.assertEqual(inspect.getcoroutinestate(coroutine), inspect.CORO_CLOSED)
        del coroutine
        gc.collect()
        self.assertEqual(self.flushWarnings(), [])

    def test_no_loop_runs(self) -> None:
        """Without the reactor, and before its loop runs, nobody knows where a task is to run."""
        with mock.patch.dict(sys.modules, {"twisted.internet.reactor": StubReactor(self.loop)}):
            self.refused(RuntimeError, "pass the reactor")

    def test_no_reactor(self) -> None:
        """The same without any reactor."""
        with mock.patch.dict(sys.modules):
            sys.modules.pop("twisted.internet.reactor", None)
            self.refused(RuntimeError, "pass the reactor")

    def test_reactor_without_loop(self) -> None:
        """A reactor that has no loop is named, and what to do about it."""
        with mock.patch.dict(sys.modules, {"twisted.internet.reactor": Clock()}):
            self.refused(RuntimeError, "twisted.internet.task.Clock has no asyncio loop")
        self.refused(RuntimeError, "twistd --reactor netsuite-uv", reactor=Clock())

    def test_another_thread(self) -> None:
        """Another thread than the reactor's is told the way."""
        self.patch(threadable, "ioThread", object())
        self.refused(RuntimeError, "reactor.callFromThread", reactor=StubReactor(self.loop))

    def test_another_loop(self) -> None:
        """A reactor whose loop is not the one that runs here is refused."""
        other = self.new_loop()
        self.addCleanup(other.close)

        async def scenario() -> None:
            self.refused(RuntimeError, "not the loop of", reactor=StubReactor(other))
            future: asyncio.Future[int] = other.create_future()
            with self.assertRaises(ValueError):
                as_deferred(future)

        self.in_loop(scenario)


class WithoutTests(LoopTestCase):
    """What the manual says of those who forget to change sides."""

    def test_deferred_in_task(self) -> None:
        """A task cannot await a Deferred."""

        async def forgetful() -> None:
            await Deferred()

        failure = self.failureResultOf(self.started(forgetful()), RuntimeError)
        self.assertIn("Task got bad yield: <Deferred at ", str(failure.value))

    def test_future_in_coroutine_of_deferreds(self) -> None:
        """A coroutine of Deferreds cannot await a future."""

        async def forgetful() -> None:
            await asyncio.get_running_loop().create_future()

        async def scenario() -> None:
            failure = self.failureResultOf(Deferred.fromCoroutine(forgetful()), RuntimeError)
            self.assertEqual(str(failure.value), "await wasn't used with future")

        self.in_loop(scenario)

    def test_timeout_in_coroutine_of_deferreds(self) -> None:
        """Nor can it use what needs a task."""

        async def forgetful() -> None:
            async with asyncio.timeout(None):
                await Deferred()

        deferreds: list[Deferred[None]] = []
        self.loop.call_soon(lambda: deferreds.append(Deferred.fromCoroutine(forgetful())))
        self.turn()
        error = self.failureResultOf(deferreds[0], RuntimeError).value
        self.assertEqual(str(error), "Timeout should be used inside a task")


class LoopOfTests(LoopTestCase):
    """The loop of a reactor."""

    def test_ours(self) -> None:
        """Ours says which it is."""
        self.assertIs(loop_of(StubReactor(self.loop)), self.loop)

    def test_twisted(self) -> None:
        """Twisted's has it under another name."""
        reactor = mock.Mock(spec=["_asyncioEventloop"], _asyncioEventloop=self.loop)
        self.assertIs(loop_of(reactor), self.loop)

    def test_none(self) -> None:
        """Others have none, whatever else they call a loop."""
        error = self.assertRaises(RuntimeError, loop_of, StubReactor("a loop of wool"))
        self.assertIn("StubReactor has no asyncio loop", str(error))


if UVLOOP:

    class AsDeferredOnUVLoopTests(OnUVLoop, AsDeferredTests):
        """The same on uvloop."""

    class WithoutOnUVLoopTests(OnUVLoop, WithoutTests):
        """The same messages on uvloop."""
