"""A program of Twisted's and asyncio's code: ``python -m tests.asyncio_program REACTOR SCENARIO``.

It ends with status 0 and says nothing, unless its scenario is about what is said.
"""

import asyncio
import contextvars
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from io import BytesIO
from typing import Any

import pytest
from twisted.application.reactors import installReactor
from twisted.internet import defer, task
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol, Protocol
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.python.failure import Failure

from netsuite.net import reactor as native
from netsuite.net.aio import as_deferred, as_future, loop_of

#: More than what sockets hold.
BODY = bytes(range(256)) * 4096
#: Longer than any test lasts, in seconds.
NEVER = 3600.0

Scenario = Callable[[Any], Coroutine[Deferred[Any], Any, None]]

SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    SCENARIOS[function.__name__] = function
    return function


# HTTP.


def listen(reactor: Any) -> Any:
    """A web server of Twisted's: it answers in capitals."""
    from twisted.web.resource import Resource
    from twisted.web.server import Site

    class Upper(Resource):
        isLeaf = True

        def render_POST(self, request: Any) -> bytes:
            body: bytes = request.content.read()
            return body.upper()

    return reactor.listenTCP(0, Site(Upper()), interface="127.0.0.1")


class Body(Protocol):
    """The body of a response to a client of Twisted's."""

    def __init__(self) -> None:
        self.complete: Deferred[bytes] = Deferred()
        self._parts: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        self._parts.append(data)

    def connectionLost(self, reason: Any = None) -> None:
        self.complete.callback(b"".join(self._parts))


@scenario
async def aiohttp_client(reactor: Any) -> None:
    """aiohttp's client, twenty requests at a time, asks Twisted's server."""
    import aiohttp

    port = listen(reactor)
    url = f"http://127.0.0.1:{port.getHost().port}/"

    async def post(session: aiohttp.ClientSession, body: bytes) -> bytes:
        async with session.post(url, data=body) as response:
            return await response.read()

    async def fetch() -> list[bytes]:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
            tasks = [group.create_task(post(session, BODY[i:])) for i in range(20)]
        return [each.result() for each in tasks]

    answers = await as_deferred(fetch(), reactor=reactor)
    assert answers == [BODY[i:].upper() for i in range(20)]
    await port.stopListening()


@scenario
async def asgi(reactor: Any) -> None:
    """uvicorn serves an application that asks Twisted's client, and so does who asks it."""
    import uvicorn
    from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool

    pool = HTTPConnectionPool(reactor, persistent=False)
    agent = Agent(reactor, pool=pool)
    port = listen(reactor)

    async def post(number: int, body: bytes) -> bytes:
        uri = b"http://127.0.0.1:%d/" % number
        response = await agent.request(b"POST", uri, bodyProducer=FileBodyProducer(BytesIO(body)))
        collected = Body()
        response.deliverBody(collected)
        return await collected.complete

    async def application(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        answer = await as_future(post(port.getHost().port, body))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": answer})

    # Open before it serves: what connects too early waits.
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, lifespan="off", log_config=None))
    serving = as_deferred(server.serve(sockets=[listening]), reactor=reactor)
    number = listening.getsockname()[1]
    requests = [Deferred.fromCoroutine(post(number, BODY[i:])) for i in range(5)]
    answers = await defer.gatherResults(requests)
    assert answers == [BODY[i:].upper() for i in range(5)]
    server.should_exit = True
    await serving
    await port.stopListening()


@scenario
async def forgotten(reactor: Any) -> None:
    """What aiohttp says to who asks from Twisted's side."""
    import aiohttp

    await as_deferred(asyncio.sleep(0), reactor=reactor)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(RuntimeError, match="Timeout context manager should be used inside a"):
            await session.get("http://127.0.0.1/")


# Processes and threads.


class Child(ProcessProtocol):
    """A process of Twisted's, without a pipe that would tell that it has ended."""

    def __init__(self, reactor: Any) -> None:
        self.ended: Deferred[int] = Deferred()
        command = ["sleep", str(NEVER)]
        self._transport = reactor.spawnProcess(self, "/bin/sleep", command, childFDs={})

    async def end(self, number: int) -> int:
        self._transport.signalProcess(number)
        return await as_future(self.ended)

    def processEnded(self, reason: Failure) -> None:
        assert isinstance(reason.value, ProcessDone | ProcessTerminated)
        self.ended.callback(-(reason.value.signal or 0))


class AsyncioChild:
    """The same of asyncio's."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def end(self, number: int) -> int:
        self._process.send_signal(number)
        return await self._process.wait()


@scenario
async def processes(reactor: Any) -> None:
    """Twisted's processes and asyncio's side by side, whichever starts and ends first."""

    async def start(kind: type) -> Child | AsyncioChild:
        if kind is Child:
            return Child(reactor)
        return AsyncioChild(await asyncio.create_subprocess_exec("sleep", str(NEVER)))

    async def both(*kinds: type, reverse: bool) -> None:
        children = [await start(kind) for kind in kinds]
        if reverse:
            children.reverse()
        for child, number in zip(children, (signal.SIGKILL, signal.SIGTERM), strict=True):
            assert await child.end(number) == -number

    async def all_orders() -> None:
        orders = [
            (kinds, reverse)
            for kinds in ((Child, AsyncioChild), (AsyncioChild, Child))
            for reverse in (False, True)
        ]
        for kinds, reverse in orders * 3:
            await both(*kinds, reverse=reverse)
        async with asyncio.TaskGroup() as group:
            for kinds, reverse in orders * 5:
                group.create_task(both(*kinds, reverse=reverse))

    await as_deferred(all_orders(), reactor=reactor)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@scenario
async def threads(reactor: Any) -> None:
    """asyncio's threads and Twisted's."""

    async def work() -> list[int]:
        loop = asyncio.get_running_loop()
        idents = [
            await asyncio.to_thread(threading.get_ident),
            await loop.run_in_executor(None, threading.get_ident),
            await as_future(deferToThread(threading.get_ident)),
        ]
        call = asyncio.run_coroutine_threadsafe
        return [*idents, await asyncio.to_thread(lambda: call(asyncio.sleep(0, 7), loop).result())]

    *idents, seven = await as_deferred(work(), reactor=reactor)
    assert threading.get_ident() not in idents
    assert seven == 7


@scenario
async def another_thread(reactor: Any) -> None:
    """Another thread is refused, and the way it is told works."""

    def in_thread() -> int:
        for function in (as_deferred, as_future):
            with pytest.raises(RuntimeError, match="blockingCallFromThread"):
                function(asyncio.sleep(0, 7), reactor=reactor)
        call: Any = blockingCallFromThread
        seven: int = call(reactor, as_deferred, asyncio.sleep(0, 7))
        return seven

    assert await deferToThread(in_thread) == 7


# Time and cancellation.


@scenario
async def timeouts(reactor: Any) -> None:
    """Either side's timeouts, TaskGroup and all, end what the other side waits for."""

    async def work() -> None:
        later = task.deferLater(reactor, NEVER, lambda: None)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await as_future(later)
        assert later.called

        async def wait() -> None:
            await as_future(task.deferLater(reactor, NEVER, lambda: None))

        async def fail() -> None:
            raise KeyError

        async def group() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(wait())
                tasks.create_task(fail())

        with pytest.raises(ExceptionGroup):
            await group()

    await as_deferred(work(), reactor=reactor)
    assert not reactor.getDelayedCalls()

    with pytest.raises(defer.TimeoutError):
        await as_deferred(asyncio.sleep(NEVER), reactor=reactor).addTimeout(0.01, reactor)
    assert not asyncio.all_tasks(loop_of(reactor))


@scenario
async def context(reactor: Any) -> None:
    """Context variables go along, both ways, over real turns of the loop."""
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")

    async def deferreds() -> str:
        await task.deferLater(reactor, 0.01, lambda: None)
        return name.get()

    async def tasks() -> list[str]:
        await asyncio.sleep(0.01)
        return [name.get(), await as_future(deferreds()), name.get()]

    name.set("here")
    assert await as_deferred(tasks(), reactor=reactor) == ["here"] * 3
    assert name.get() == "here"


@scenario
async def anyio(reactor: Any) -> None:
    """Code that asks which library it runs on finds asyncio."""
    import anyio
    import anyio.to_thread

    async def work() -> list[int]:
        numbers: list[int] = []

        async def append(number: int) -> None:
            await anyio.sleep(0)
            numbers.append(await as_future(task.deferLater(reactor, 0, lambda: number)))

        async with anyio.create_task_group() as group:
            for number in range(3):
                group.start_soon(append, number)
        with anyio.move_on_after(0.01) as scope:
            await as_future(Deferred())
        assert scope.cancelled_caught
        numbers.append(await anyio.to_thread.run_sync(lambda: 3))
        return numbers

    assert sorted(await as_deferred(work(), reactor=reactor)) == [0, 1, 2, 3]


# Starting and stopping.


@scenario
async def when_running(reactor: Any) -> None:
    """The reactor is needed until its loop runs, and not afterwards."""
    with pytest.raises(RuntimeError, match="pass the reactor"):
        as_deferred(asyncio.sleep(0))
    assert await as_deferred(asyncio.sleep(0, 7), reactor=reactor) == 7
    assert asyncio.get_running_loop() is loop_of(reactor)
    assert await as_deferred(asyncio.sleep(0, 7)) == 7
    # From the reactor's own callbacks, too.
    await task.deferLater(reactor, 0, lambda: as_deferred(asyncio.sleep(0)))


@scenario
async def shutdown(reactor: Any) -> None:
    """What is to end with the reactor is cancelled by it, and waited for."""
    event = asyncio.Event()

    async def work() -> None:
        try:
            event.set()
            await asyncio.sleep(NEVER)
        finally:
            await as_future(task.deferLater(reactor, 0.01, lambda: None))
            sys.stdout.write("ended in order\n")

    working = as_deferred(work(), reactor=reactor)

    def stop() -> Deferred[Any]:
        working.cancel()
        return working.addErrback(lambda failure: bool(failure.trap(CancelledError)))

    reactor.addSystemEventTrigger("before", "shutdown", stop)
    await as_deferred(event.wait(), reactor=reactor)


@scenario
async def unhandled(reactor: Any) -> None:
    """An error that nobody handles, on each side; the reactor runs on."""

    async def fail(kind: type[Exception]) -> None:
        await asyncio.sleep(0)
        raise kind

    async def forget() -> None:
        as_future(defer.fail(ValueError("forgotten by asyncio code")))

    as_deferred(fail(KeyError), reactor=reactor)
    await as_deferred(forget(), reactor=reactor)
    await task.deferLater(reactor, 0.01, lambda: None)


@scenario
async def refused(reactor: Any) -> None:
    """A reactor without a loop."""
    await task.deferLater(reactor, 0, lambda: None)
    await as_deferred(asyncio.sleep(0))


def main(reactor: str, name: str) -> None:
    if reactor == native.NAME:
        native.install()
    else:
        installReactor(reactor)
    task.react(SCENARIOS[name])


if __name__ == "__main__":
    main(*sys.argv[1:])
