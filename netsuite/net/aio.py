"""Deferreds and asyncio, both ways.

A reactor that runs on an asyncio loop (:class:`netsuite.net.reactor.UVReactor`, or Twisted's
own ``asyncioreactor``) runs asyncio code beside Twisted's. What one side waits for, the other
side cannot: a coroutine goes by what it awaits, asyncio's futures or Deferreds. These functions
stand where a program changes sides:

* :func:`as_deferred` has asyncio code run as a task, and gives Twisted code a Deferred for it::

    page = await as_deferred(fetch_with_aiohttp(url))  # in a coroutine of Deferreds

* :func:`as_future` gives asyncio code a future for a Deferred::

    answer = await as_future(agent.request(b"GET", uri))  # in a task

Either side's cancellation is the other side's, and is over when what was cancelled has ended.
An error that nobody handles is reported once, by the side that it was handed to.
"""

import asyncio
import sys
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python import threadable
from twisted.python.failure import Failure
from twisted.python.reflect import qual

T = TypeVar("T")

#: Loops know their tasks by weak references only: a task that nothing else holds may vanish.
_tasks: set[asyncio.Future[Any]] = set()


def as_deferred(awaitable: Awaitable[T], *, reactor: object = None) -> Deferred[T]:
    """Have Twisted code wait for asyncio code.

    A coroutine becomes a task of the loop at once, with a copy of the current context, and is
    kept alive until it ends, whatever becomes of the Deferred. A task or a future of the loop
    is waited for as it is; for one that is done the Deferred has fired. A Deferred is returned.

    ``cancel()`` cancels the task, as often as it is called. The Deferred fires once the task has
    ended: with :exc:`twisted.internet.defer.CancelledError`, whoever cancelled it, or with what
    the task came to all the same.

    :param awaitable: a coroutine that awaits asyncio's futures, a task, a future, or anything
        else that :func:`asyncio.ensure_future` takes.
    :param reactor: the reactor whose loop it is for. Needed only while no loop is running yet,
        as in ``makeService`` and in the first steps of what :func:`twisted.internet.task.react`
        calls: the task then starts with the loop.
    :raises RuntimeError: if there is no loop: the reactor has none, does not run yet, or runs in
        another thread.
    :raises ValueError: for a future of another loop.
    """
    if isinstance(awaitable, Deferred):
        return awaitable
    if asyncio.isfuture(awaitable) and awaitable.done():
        future: asyncio.Future[T] = awaitable
    else:
        try:
            future = asyncio.ensure_future(awaitable, loop=_loop(reactor))
        except RuntimeError:
            _give_up(awaitable)
            raise
    return _FutureDeferred(future)


def as_future(
    awaitable: Deferred[T] | Coroutine[Deferred[Any], Any, T] | asyncio.Future[T],
    *,
    reactor: object = None,
) -> asyncio.Future[T]:
    """Have asyncio code wait for Twisted code.

    The Deferred's result becomes the future's: a callback that is added to the Deferred
    afterwards gets None, as after :meth:`~twisted.internet.defer.Deferred.asFuture`. An error
    is the same object, with its traceback. For a Deferred that has fired the future is done.

    ``cancel()`` cancels the Deferred, and so does whatever cancels who awaits the future:
    :func:`asyncio.timeout`, a :class:`asyncio.TaskGroup`. As with a task, the future is done once
    the Deferred has fired: cancelled if that is with
    :exc:`twisted.internet.defer.CancelledError`, whoever cancelled it, or with what it came to
    all the same. A Deferred that cannot be cancelled is left alone, and the future cancelled.

    :param awaitable: a Deferred, or a coroutine that awaits Deferreds: it starts at once, as by
        :meth:`~twisted.internet.defer.Deferred.fromCoroutine`. A future is returned.
    :param reactor: as for :func:`as_deferred`.
    :raises RuntimeError: as for :func:`as_deferred`.
    :raises TypeError: for anything else.
    """
    if asyncio.isfuture(awaitable):
        return awaitable
    try:
        loop = _loop(reactor)
    except RuntimeError:
        _give_up(awaitable)
        raise
    if not isinstance(awaitable, Deferred):
        awaitable = Deferred.fromCoroutine(awaitable)
    return _DeferredFuture(awaitable, loop)


def loop_of(reactor: object) -> asyncio.AbstractEventLoop:
    """The asyncio loop that a reactor runs on, whether it runs yet or not.

    :raises RuntimeError: if it runs on none.
    """
    for name in ("loop", "_asyncioEventloop"):  # ours, and Twisted's, which has no public one
        loop = getattr(reactor, name, None)
        if isinstance(loop, asyncio.AbstractEventLoop):
            return loop
    raise RuntimeError(
        f"{qual(type(reactor))} has no asyncio loop: choose a reactor that has one, "
        "with twistd --reactor netsuite-uv or netsuite.net.reactor.install()"
    )


class _FutureDeferred(Deferred[T]):
    """What a future comes to."""

    def __init__(self, future: asyncio.Future[T]) -> None:
        super().__init__()
        self._future = future
        if future.done():
            self._done(future)
            return
        if isinstance(future, asyncio.Task):
            _tasks.add(future)
        future.add_done_callback(self._done)

    def cancel(self) -> None:
        """Cancel the future. What it makes of that is the result, and may take its time."""
        if self.called:
            super().cancel()  # one of our callbacks may be waiting for another Deferred
        else:
            self._future.cancel()

    def _done(self, future: asyncio.Future[T]) -> None:
        _tasks.discard(future)
        outcome = _outcome(future)
        self.callback(outcome)


class _DeferredFuture(asyncio.Future[T]):
    """What a Deferred comes to."""

    _log = Logger()

    def __init__(self, deferred: Deferred[T], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._deferred = deferred
        self._message: Any = None
        deferred.addBoth(self._fired)

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the Deferred. What it makes of that is the result, and may take its time."""
        if self.done():
            return False
        if _is_cancellable(self._deferred):
            self._message = msg
            try:
                self._deferred.cancel()
            except Exception:  # noqa: BLE001 - whatever it is, who waits must not wait for ever
                self._log.failure("{deferred} cannot be cancelled", deferred=self._deferred)
            else:
                return True
        return super().cancel(msg)

    def _fired(self, result: T | Failure) -> T | Failure | None:
        if self.done():
            return result  # nobody waits for it here
        if not isinstance(result, Failure):
            self.set_result(result)
        elif result.check(CancelledError, asyncio.CancelledError):
            super().cancel(self._message)
        else:
            self.set_exception(_exception(result))
        return None


def _outcome(future: asyncio.Future[T]) -> T | Failure:
    """What a future has come to, in Twisted's terms. To ask is to have handled its error."""
    try:
        error = future.exception()
    except asyncio.CancelledError as cancelled:
        ours = CancelledError(*cancelled.args)
        ours.__cause__ = cancelled  # where the task was
        return Failure(ours)
    return future.result() if error is None else Failure(error)


def _exception(failure: Failure) -> BaseException:
    """What can be raised for a failure."""
    value: object = failure.value
    if isinstance(value, BaseException) and not isinstance(value, StopIteration):
        return value if value.__traceback__ else value.with_traceback(failure.tb)
    # No future takes these.
    error = RuntimeError(f"a Deferred failed with {value!r}")
    error.__cause__ = value if isinstance(value, BaseException) else None
    return error


def _is_cancellable(deferred: Deferred[Any]) -> bool:
    """Whether cancelling does anything, to it or to what it waits for."""
    while deferred.called:
        if not isinstance(deferred.result, Deferred):
            return False  # in the middle of its callbacks, or paused
        deferred = deferred.result
    return True


def _loop(reactor: object) -> asyncio.AbstractEventLoop:
    """The loop to use here and now.

    :raises RuntimeError: if there is none.
    """
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None
    if threadable.ioThread not in (None, threadable.getThreadID()):
        raise RuntimeError(
            "the reactor runs in another thread: call this in its thread, "
            "by reactor.callFromThread() or blockingCallFromThread()"
        )
    if reactor is not None:
        loop = loop_of(reactor)
        if running not in (None, loop):
            raise RuntimeError(f"{running} is running here, not the loop of {reactor}")
        return loop
    if running is None:
        installed = sys.modules.get("twisted.internet.reactor")
        if installed is not None:
            loop_of(installed)
        raise RuntimeError("no asyncio loop is running yet: pass the reactor, reactor=reactor")
    return running


def _give_up(awaitable: object) -> None:
    """There is an error already: no warning that a coroutine was never awaited, too."""
    if asyncio.iscoroutine(awaitable):
        awaitable.close()


__all__ = ["as_deferred", "as_future", "loop_of"]
