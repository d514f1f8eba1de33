"""Asyncio code waits for Twisted code."""

import asyncio
import inspect
import traceback
from typing import assert_type

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from netsuite.net.aio import as_deferred, as_future
from netsuite.net.test.loops import (
    UVLOOP,
    LoopTestCase,
    OnUVLoop,
    SomeError,
    StubReactor,
    failing,
    failing_with,
)


class AsFutureTests(LoopTestCase):
    """Asyncio code waits for Twisted code."""

    def test_result(self) -> None:
        """A Deferred's result is the future's."""
        deferred: Deferred[int] = Deferred()
        task = self.awaited(deferred)
        self.assertFalse(task.done())
        deferred.callback(7)
        self.turn()
        self.assertEqual(task.result(), 7)

    def test_fired(self) -> None:
        """For a Deferred that has fired the future is done."""

        async def scenario() -> None:
            future = as_future(succeed(7))
            assert_type(future, asyncio.Future[int])
            self.assertEqual(future.result(), 7)
            failed = as_future(fail(SomeError()))
            self.assertIsInstance(failed.exception(), SomeError)

        self.in_loop(scenario)

    def test_taken(self) -> None:
        """Earlier callbacks have had the result, later ones get None."""

        async def scenario() -> None:
            deferred: Deferred[int] = Deferred()
            deferred.addCallback(lambda result: result + 1)
            future = as_future(deferred)
            deferred.callback(6)
            self.assertEqual(future.result(), 7)
            self.assertIsNone(self.successResultOf(deferred))

        self.in_loop(scenario)

    def test_error(self) -> None:
        """An error is the same object, with where it comes from."""
        error = SomeError()

        async def scenario() -> None:
            deferred = succeed(None).addCallback(lambda _: failing_with(error))
            with self.assertRaises(SomeError) as caught:
                await as_future(deferred)
            self.assertIs(caught.exception, error)
            self.assertIn("in failing_with", "".join(traceback.format_tb(error.__traceback__)))

        self.in_loop(scenario)

    def test_failure_has_the_traceback(self) -> None:
        """A traceback that only the Failure has is put back."""
        try:
            failing_with(SomeError())
        except SomeError as error:
            where = error.__traceback__
        failure = Failure(SomeError(), exc_tb=where)

        async def scenario() -> None:
            error = as_future(fail(failure)).exception()
            assert error is not None
            self.assertIs(error.__traceback__, where)

        self.in_loop(scenario)

    def test_what_no_future_takes(self) -> None:
        """StopIteration, and a Failure without an exception, come in an exception."""

        async def scenario() -> None:
            stop = StopIteration()
            error = as_future(fail(stop)).exception()
            self.assertIsInstance(error, RuntimeError)
            self.assertIs(error and error.__cause__, stop)
            odd = as_future(fail(Failure("odd"))).exception()
            self.assertIsInstance(odd, RuntimeError)
            self.assertIn("'odd'", str(odd))

        self.in_loop(scenario)

    def test_coroutine(self) -> None:
        """A coroutine that awaits Deferreds starts at once."""
        gate: Deferred[int] = Deferred()
        steps = []

        async def work() -> int:
            steps.append(1)
            return await gate

        async def scenario() -> None:
            future = as_future(work())
            assert_type(future, asyncio.Future[int])
            self.assertEqual(steps, [1])
            gate.callback(7)
            self.assertEqual(await future, 7)

        self.in_loop(scenario)

    def test_future(self) -> None:
        """A future is returned."""
        future: asyncio.Future[int] = self.loop.create_future()
        self.assertIs(as_future(future), future)

    def test_nonsense(self) -> None:
        """Anything else is refused."""

        async def scenario() -> None:
            with self.assertRaises(TypeError):
                as_future(7)  # type: ignore[arg-type]

        self.in_loop(scenario)

    def test_unhandled(self) -> None:
        """An error that nobody handles is reported, once."""

        async def scenario() -> None:
            as_future(fail(SomeError()))

        self.in_loop(scenario)
        self.assertEqual(self.reported(), 1)

    def test_handled(self) -> None:
        """One that is handled is not."""
        task = self.awaited(fail(SomeError()))
        self.assertIsInstance(task.exception(), SomeError)
        self.assertEqual(self.reported(), 0)

    def test_no_loop(self) -> None:
        """Without a loop there is one error, and no warning beside it."""

        async def work() -> int:
            return await succeed(7)

        coroutine = work()
        error = self.assertRaises(RuntimeError, as_future, coroutine, reactor=Clock())
        self.assertIn("--reactor netsuite-uv", str(error))
        self.assertEqual(inspect.getcoroutinestate(coroutine), inspect.CORO_CLOSED)

    def test_before_the_loop_runs(self) -> None:
        """With the reactor given, a future can be had before the loop runs."""
        deferred: Deferred[int] = Deferred()
        future = as_future(deferred, reactor=StubReactor(self.loop))
        self.assertIs(future.get_loop(), self.loop)
        deferred.callback(7)
        self.assertEqual(future.result(), 7)

    # Cancellation.

    def test_cancel(self) -> None:
        """Cancelling the future cancels the Deferred."""
        cancelled: list[Deferred[None]] = []
        deferred: Deferred[None] = Deferred(cancelled.append)

        async def scenario() -> None:
            future = as_future(deferred)
            self.assertTrue(future.cancel())
            self.assertEqual(cancelled, [deferred])
            self.assertTrue(future.cancelled())
            self.assertFalse(future.cancel())

        self.in_loop(scenario)
        self.assertEqual(self.reported(), 0)

    def test_cancel_task(self) -> None:
        """Cancelling the task that awaits it does, too, and the task learns what it was told."""
        deferred: Deferred[None] = Deferred()
        task = self.awaited(deferred)
        task.cancel("enough")
        self.turn()
        self.assertTrue(task.cancelled())
        self.assertTrue(deferred.called)
        with self.assertRaises(asyncio.CancelledError) as caught:
            task.result()
        self.assertEqual(caught.exception.args, ("enough",))

    def test_cancel_too_late(self) -> None:
        """Cancelling a future that is done leaves alone what the Deferred went on to."""
        other: Deferred[None] = Deferred()
        deferred = succeed(7)
        future = as_future(deferred, reactor=StubReactor(self.loop))
        deferred.addCallback(lambda _: other)
        self.assertFalse(future.cancel())
        self.assertFalse(other.called)

    def test_cancel_takes_its_time(self) -> None:
        """The task waits until what it awaited has ended."""
        gate: Deferred[None] = Deferred()

        async def tidy() -> None:
            try:
                await Deferred()
            finally:
                await gate

        task = self.awaited(Deferred.fromCoroutine(tidy()))
        task.cancel()
        self.turn()
        self.assertFalse(task.done())
        gate.callback(None)
        self.turn()
        self.assertTrue(task.cancelled())

    def test_cancel_swallowed(self) -> None:
        """A Deferred that has a result all the same gives it, as a task would."""
        deferred: Deferred[int] = Deferred(lambda self: self.callback(7))
        task = self.awaited(deferred)
        task.cancel()
        self.turn()
        self.assertEqual(task.result(), 7)

    def test_cancel_turned_into_error(self) -> None:
        """So does one that fails otherwise."""
        deferred: Deferred[int] = Deferred(lambda self: self.errback(SomeError()))
        task = self.awaited(deferred)
        task.cancel()
        self.turn()
        self.assertIsInstance(task.exception(), SomeError)

    def test_cancel_reaches_what_a_callback_waits_for(self) -> None:
        """A Deferred that waits for another one has that cancelled."""
        inner: Deferred[None] = Deferred()
        task = self.awaited(succeed(None).addCallback(lambda _: inner))
        task.cancel()
        self.turn()
        self.assertTrue(inner.called)
        self.assertTrue(task.cancelled())

    def test_cancelled_by_twisted(self) -> None:
        """A Deferred that somebody else cancels leaves the future cancelled."""
        for error in CancelledError(), asyncio.CancelledError():
            deferred: Deferred[None] = Deferred()
            future = as_future(deferred, reactor=StubReactor(self.loop))
            deferred.errback(error)
            self.assertTrue(future.cancelled())
        self.assertEqual(self.reported(), 0)

    def test_canceller_fails(self) -> None:
        """If cancelling a Deferred fails, that is logged, and nobody waits for it any more."""

        def cancel(_: Deferred[None]) -> None:
            raise SomeError

        deferred: Deferred[None] = Deferred(cancel)
        task = self.awaited(deferred)
        task.cancel()
        self.turn()
        self.assertTrue(task.cancelled())
        self.assertEqual(len(self.flushLoggedErrors(SomeError)), 1)
        deferred.callback(None)
        self.assertIsNone(self.successResultOf(deferred))

    def test_cannot_be_cancelled(self) -> None:
        """A Deferred that cannot be cancelled now keeps nobody, and what it comes to is its own."""
        deferred: Deferred[int] = succeed(7)
        deferred.pause()
        task = self.awaited(deferred)
        task.cancel()
        self.turn()
        self.assertTrue(task.cancelled())
        deferred.unpause()
        self.assertEqual(self.successResultOf(deferred), 7)

    def test_cancel_by_its_own_callback(self) -> None:
        """A task that a callback of the Deferred cancels is cancelled: the result is late."""
        deferred: Deferred[int] = Deferred()
        tasks: list[asyncio.Task[int]] = []

        def cancel(result: int) -> int:
            tasks[0].cancel()
            return result

        deferred.addCallback(cancel)
        tasks.append(self.awaited(deferred))
        deferred.callback(7)
        self.turn()
        self.assertTrue(tasks[0].cancelled())
        self.assertEqual(self.successResultOf(deferred), 7)

    def test_left_error(self) -> None:
        """An error that comes after the future was given up is Twisted's to report."""
        deferred: Deferred[int] = succeed(7)
        deferred.pause()
        deferred.addCallback(lambda _: failing_with(SomeError()))
        self.awaited(deferred).cancel()
        deferred.unpause()
        del deferred
        self.assertEqual(self.reported(), 1)

    def test_timeout(self) -> None:
        """asyncio.timeout cancels the Deferred."""
        deferred: Deferred[None] = Deferred()

        async def scenario() -> None:
            with self.assertRaises(TimeoutError):
                async with asyncio.timeout(0):
                    await as_future(deferred)

        self.in_loop(scenario)
        self.assertTrue(deferred.called)

    def test_wait_for(self) -> None:
        """asyncio.wait_for cancels the Deferred, and has the result of one that has it by then."""
        deferred: Deferred[None] = Deferred()

        async def scenario() -> None:
            with self.assertRaises(TimeoutError):
                await asyncio.wait_for(as_future(deferred), 0)
            self.assertEqual(await asyncio.wait_for(as_future(succeed(7)), 0), 7)

        self.in_loop(scenario)
        self.assertTrue(deferred.called)

    def test_task_group(self) -> None:
        """A group that ends for one task's error cancels the Deferred that another awaits."""
        deferred: Deferred[None] = Deferred()

        async def wait() -> None:
            await as_future(deferred)

        async def scenario() -> None:
            with self.assertRaises(ExceptionGroup) as caught:
                async with asyncio.TaskGroup() as group:
                    group.create_task(wait())
                    group.create_task(failing(SomeError()))
            self.assertEqual(len(caught.exception.exceptions), 1)

        self.in_loop(scenario)
        self.assertTrue(deferred.called)

    def test_shield(self) -> None:
        """asyncio.shield keeps a Deferred from being cancelled."""
        deferred: Deferred[int] = Deferred()

        async def wait() -> int:
            return await asyncio.shield(as_future(deferred))

        task = self.loop.create_task(wait())
        self.turn()
        task.cancel()
        self.turn()
        self.assertTrue(task.cancelled())
        self.assertFalse(deferred.called)
        deferred.callback(7)

    def test_gather(self) -> None:
        """asyncio.gather waits for several, and cancels them."""

        async def scenario() -> None:
            deferreds: list[Deferred[int]] = [Deferred(), Deferred()]
            together = asyncio.gather(*map(as_future, deferreds))
            together.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await together
            self.assertTrue(all(deferred.called for deferred in deferreds))
            self.assertEqual(await asyncio.gather(*map(as_future, map(succeed, [1, 2]))), [1, 2])

        self.in_loop(scenario)

    def test_there_and_back(self) -> None:
        """Cancellation goes through any number of changes of side."""

        async def outer() -> None:
            await as_future(middle())

        async def middle() -> None:
            await as_deferred(inner())

        async def inner() -> None:
            await as_future(end)

        end: Deferred[None] = Deferred()
        deferred = self.started(outer())
        deferred.cancel()
        self.turn()
        self.assertTrue(end.called)
        self.failureResultOf(deferred, CancelledError)
        self.assertEqual(self.reported(), 0)


if UVLOOP:

    class AsFutureOnUVLoopTests(OnUVLoop, AsFutureTests):
        """The same on uvloop."""
