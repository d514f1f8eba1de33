"""Loops that tests turn by hand, and coroutines to run on them."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from netsuite.net.aio import as_deferred, as_future

T = TypeVar("T")


class SomeError(Exception):
    """Something that goes wrong."""


class StubReactor:
    """As much of a reactor as counts here."""

    def __init__(self, loop: object) -> None:
        self.loop = loop


class LoopTestCase(SynchronousTestCase):
    """A loop, and what nobody caught in it."""

    new_loop: Callable[[], asyncio.AbstractEventLoop] = staticmethod(asyncio.new_event_loop)

    def setUp(self) -> None:
        self.loop = self.new_loop()
        self.addCleanup(self.loop.close)
        self.unhandled: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda loop, context: self.unhandled.append(context))

    def in_loop(self, scenario: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What a coroutine comes to."""
        return self.loop.run_until_complete(scenario())

    def turn(self) -> None:
        """Have the loop do what is due, and what comes of it."""
        self.loop.run_until_complete(turns())

    def started(self, coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
        """The Deferred of a task that has got as far as it can by itself."""

        async def start() -> Deferred[T]:
            deferred = as_deferred(coroutine)
            await turns()
            return deferred

        return self.in_loop(start)

    def awaited(self, deferred: Deferred[T]) -> asyncio.Task[T]:
        """A task that awaits a Deferred."""

        async def wait() -> T:
            return await as_future(deferred)

        task = self.loop.create_task(wait())
        self.turn()
        return task

    def reported(self) -> int:
        """How many errors nobody has handled, on either side."""
        gc.collect()
        self.turn()
        gc.collect()
        return len(self.unhandled) + len(self.flushLoggedErrors())


async def turns() -> None:
    """Give everything that is ready its turn."""
    for _ in range(10):
        await asyncio.sleep(0)


async def value(result: T) -> T:
    """Take a turn, then have a result."""
    await asyncio.sleep(0)
    return result


async def failing(error: BaseException) -> None:
    """Take a turn, then fail."""
    await asyncio.sleep(0)
    raise error


async def forever() -> None:
    """End only if cancelled."""
    await asyncio.Event().wait()


async def reluctant(leave: asyncio.Event, result: T) -> T:
    """End with a result when cancelled, but not before ``leave`` is set."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await leave.wait()
    return result


def failing_with(error: Exception) -> None:
    """Fail with this error."""
    raise error


#: Whether there is uvloop, which is an extra.
UVLOOP = find_spec("uvloop") is not None


class OnUVLoop:
    """The same on uvloop."""

    @staticmethod
    def new_loop() -> asyncio.AbstractEventLoop:
        """A loop of uvloop."""
        import uvloop  # noqa: PLC0415 - an extra

        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop
