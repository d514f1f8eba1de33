"""Delayed calls, threads, signals and processes, on our reactor as on Twisted's."""

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from threading import Thread, get_ident
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import AlreadyCalled, AlreadyCancelled, ReactorNotRunning
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.threads import blockingCallFromThread, deferToThreadPool
from twisted.python.failure import Failure

from netsuite.net.aio import as_deferred
from netsuite.net.reactor import NAME
from tests.reactors import PATIENCE, REACTORS, World, on, on_both, play
from tests.running import ROOT, environment

on_both_with_signals = on(*REACTORS, signals=True)
on_ours_with_signals = on(NAME, signals=True)


def fail(*_: object) -> None:
    raise AssertionError("it was cancelled")


# Time.


def order_of(name: str, delays: list[float]) -> list[int]:
    """In which order calls are made that were asked for in one moment."""
    order: list[int] = []

    async def scenario(world: World) -> None:
        moment = world.reactor.seconds()
        world.reactor.seconds = lambda: moment
        for index, delay in enumerate(delays):
            world.reactor.callLater(delay, order.append, index)
        last: Deferred[None] = Deferred()
        world.reactor.callLater(max(delays) + 0.001, last.callback, None)
        del world.reactor.seconds
        await last  # and no other call comes in between

    play(name, scenario)
    return order


@pytest.mark.parametrize("name", ["epoll", NAME])
@pytest.mark.parametrize("seed", range(3))
def test_calls_come_in_the_order_of_their_times(seed: int, name: str) -> None:
    """Those of equal times are in no order that Twisted promises."""
    dice = random.Random(seed)
    delays = [dice.choice([0, 0, 0.001, 0.002, 0.003]) for _ in range(200)]
    order = order_of(name, delays)
    assert [delays[index] for index in order] == sorted(delays)
    assert sorted(order) == list(range(200))


def test_calls_without_delay_come_in_the_order_of_asking() -> None:
    """Which Twisted does not promise either, and programs rely on."""
    assert order_of(NAME, [0.0] * 200) == list(range(200))


@on_both
async def test_cancelled_calls_are_dropped_while_others_come_without_delay(world: World) -> None:
    left: list[int] = []

    def again(waiting: list[Any]) -> None:
        left.append(len(world.reactor._pendingTimedCalls))
        for call in waiting:
            call.cancel()
        if len(left) < 1000:
            waiting = [world.reactor.callLater(3600, fail) for _ in range(20)]
            world.reactor.callLater(0, again, waiting)

    again([])
    await world.until(lambda: len(left) == 1000)
    assert max(left) < 200


@on_both
async def test_no_delay_comes_before_the_least_delay(world: World) -> None:
    order: list[str] = []

    def first() -> None:
        world.reactor.callLater(0, order.append, "none")
        world.reactor.callLater(1e-9, order.append, "least")

    world.reactor.callLater(0, first)
    await world.until(lambda: len(order) == 2)
    assert order == ["none", "least"]


@on_both
async def test_calls_from_a_call_from_a_thread(world: World) -> None:
    """What is to be called later comes before the next call from a thread."""
    order: list[str] = []

    def from_thread() -> None:
        world.reactor.callFromThread(order.append, "from thread")
        world.reactor.callLater(0, order.append, "later")

    world.reactor.callFromThread(from_thread)
    await world.until(lambda: len(order) == 2)
    assert order == ["later", "from thread"]


@on_both
async def test_no_call_comes_early(world: World) -> None:
    """By the reactor's own clock."""
    dice = random.Random(1)
    early: list[float] = []
    done: list[None] = []

    def called(due: float) -> None:
        done.append(None)
        if world.reactor.seconds() < due:
            early.append(due - world.reactor.seconds())

    for _ in range(300):
        delay = dice.uniform(0, 0.05)
        world.reactor.callLater(delay, called, world.reactor.seconds() + delay)
    await world.until(lambda: len(done) == 300)
    assert early == []


@on_both
async def test_a_call_from_a_call_is_for_a_later_turn(world: World) -> None:
    order: list[str] = []

    def first() -> None:
        order.append("first")
        world.reactor.callLater(0, order.append, "from the first")

    world.reactor.callLater(0, first)
    world.reactor.callLater(0, order.append, "second")
    await world.until(lambda: len(order) == 3)
    assert order == ["first", "second", "from the first"]


@on_both
async def test_calls_without_end_leave_time_for_others(world: World) -> None:
    """A call that always comes again at once does not keep connections or threads waiting."""
    going = [True]
    heard: list[str] = []

    def again() -> None:
        if going[0]:
            world.reactor.callLater(0, again)

    again()
    world.reactor.callLater(0.01, heard.append, "later")
    Thread(target=world.reactor.callFromThread, args=(heard.append, "thread")).start()
    await world.until(lambda: sorted(heard) == ["later", "thread"])
    going[0] = False
    await world.turns()


@on_both
async def test_reset_delay_and_cancel(world: World) -> None:
    called: list[str] = []
    reactor = world.reactor
    sooner = reactor.callLater(1000, called.append, "sooner")
    later = reactor.callLater(0.001, called.append, "later")
    back = reactor.callLater(1000, called.append, "back")
    never = reactor.callLater(0, fail)
    far = reactor.callLater(5000, fail)
    later.delay(1000)
    never.cancel()
    with pytest.raises(AlreadyCancelled):
        never.cancel()
    waiting = reactor.getDelayedCalls()
    assert {sooner, later, back, far} <= set(waiting)
    assert never not in waiting
    sooner.reset(0)
    await world.until(lambda: called == ["sooner"])
    with pytest.raises(AlreadyCalled):
        sooner.reset(1)
    back.delay(-1000)
    await world.until(lambda: called == ["sooner", "back"])
    later.reset(0.001)
    await world.until(lambda: called == ["sooner", "back", "later"])
    assert far.active()
    far.cancel()
    assert not far.active()
    await world.turns()
    assert not (set(reactor.getDelayedCalls()) & {sooner, later, back, never, far})


@on_both
async def test_cancelling_all_but_one(world: World) -> None:
    """Twisted tidies up when many of its calls are cancelled ones."""
    called: list[int] = []
    calls = [world.reactor.callLater(0.01, called.append, index) for index in range(2000)]
    for call in calls[:-1]:
        call.cancel()
    await world.until(lambda: called)
    assert called == [1999]


@pytest.mark.parametrize("name", REACTORS)
def test_turns_by_hand(name: str) -> None:
    """``iterate`` before or without ``run``."""
    world = World(name)
    try:
        called: list[str] = []
        world.reactor.callLater(0, called.append, "now")
        call = world.reactor.callLater(0.02, called.append, "later")
        world.reactor.iterate()
        assert called == ["now"]
        while call.active():
            world.reactor.iterate(0.1)
        assert called == ["now", "later"]
        world.reactor.callFromThread(called.append, "a thread's")
        world.reactor.iterate()
        assert called[2:] == ["a thread's"]
    finally:
        world.dispose()


# Threads.


@on_both
async def test_calls_from_threads(world: World) -> None:
    """All come, those of each thread in its order, in the reactor's thread."""
    heard: list[tuple[int, int, int]] = []

    def work(thread: int) -> None:
        for index in range(1000):
            world.reactor.callFromThread(
                lambda index=index: heard.append((thread, index, get_ident()))
            )

    threads = [Thread(target=work, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    await world.until(lambda: len(heard) == 8000)
    for each in threads:
        each.join()
    assert {ident for _, _, ident in heard} == {get_ident()}
    for number in range(8):
        assert [index for thread, index, _ in heard if thread == number] == list(range(1000))


@on_both
async def test_a_call_from_a_thread_wakes_a_reactor_that_sleeps(world: World) -> None:
    pool = world.reactor.getThreadPool()

    def work() -> int:
        return sum(blockingCallFromThread(world.reactor, lambda: 1) for _ in range(50))

    assert await deferToThreadPool(world.reactor, pool, work) == 50


# Starting and stopping.


@pytest.mark.parametrize("name", REACTORS)
def test_stop_when_running(name: str) -> None:
    world = World(name)
    events: list[str] = []
    reactor = world.reactor
    try:
        with pytest.raises(ReactorNotRunning):
            reactor.stop()
        for phase in ("before", "during", "after"):
            reactor.addSystemEventTrigger(phase, "shutdown", events.append, phase)
        reactor.callWhenRunning(events.append, "running")
        reactor.callWhenRunning(reactor.stop)
        reactor.run(installSignalHandlers=False)
        assert events == ["running", "before", "during", "after"]
        with pytest.raises(ReactorNotRunning):
            reactor.stop()
    finally:
        world.dispose()


@pytest.mark.parametrize("name", REACTORS)
def test_crash(name: str) -> None:
    """The end without an end."""
    world = World(name)
    events: list[str] = []
    reactor = world.reactor
    try:
        reactor.addSystemEventTrigger("before", "shutdown", events.append, "shutdown")
        reactor.callLater(0, reactor.crash)
        reactor.run(installSignalHandlers=False)
        assert events == []
        reactor.callLater(0, reactor.stop)
        reactor.run(installSignalHandlers=False)
        assert events == ["shutdown"]
    finally:
        world.dispose()


PROGRAM = """
import os, signal, sys
from twisted.application.reactors import installReactor
installReactor(sys.argv[1])
from twisted.internet import reactor
reactor.addSystemEventTrigger("after", "shutdown", print, "in order")
reactor.callWhenRunning(print, "running", flush=True)
if sys.argv[2] == "itself":
    reactor.callWhenRunning(os.kill, os.getpid(), signal.SIGTERM)
reactor.run()
print("stopped", reactor._exitSignal if hasattr(reactor, "_exitSignal") else "")
"""


@pytest.mark.parametrize("name", REACTORS)
@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, None])
def test_a_signal_stops_a_reactor_that_sleeps(name: str, sent: signal.Signals | None) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, name, "itself" if sent is None else "other"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "running\n"
            if sent is not None:
                process.send_signal(sent)
            process.wait(PATIENCE)
            out = process.stdout.read()
        finally:
            process.kill()
    expected = signal.SIGTERM if sent is None else sent
    assert out.splitlines()[0] == "in order"
    assert out.splitlines()[1].startswith("stopped")
    assert process.returncode in (0, -expected)


# Processes.


class Child(ProcessProtocol):
    """Keeps what becomes of a process."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.ends: list[Failure] = []

    def outReceived(self, data: bytes) -> None:
        self.out += data

    def processEnded(self, reason: Failure) -> None:
        self.ends.append(reason)


def spawn(world: World, script: str) -> Child:
    child = Child()
    world.reactor.spawnProcess(child, "/bin/sh", ["sh", "-c", script], env={})
    return child


def statuses(children: list[Child]) -> list[list[Any]]:
    return [[getattr(end.value, "exitCode", None) for end in each.ends] for each in children]


@on_both_with_signals
async def test_processes_that_end_at_once(world: World) -> None:
    """All at the same time."""
    children = [spawn(world, f"echo {number}; exit {number}") for number in range(20)]
    await world.until(lambda: all(each.ends for each in children))
    assert statuses(children) == [[number] for number in range(20)]
    assert [int(each.out) for each in children] == list(range(20))


async def asyncio_process(status: int) -> int | None:
    process = await asyncio.create_subprocess_exec("/bin/sh", "-c", f"exit {status}")
    return await process.wait()


@pytest.mark.parametrize("first", ["twisted", "asyncio"])
@on_ours_with_signals
async def test_processes_of_both_kinds(world: World, first: str) -> None:
    """Neither takes the other's signal away."""
    await world.pause()  # until the loop runs
    ours: list[Child] = []
    theirs: list[Any] = []
    makers: list[Callable[[int], object]] = [
        lambda number: ours.append(spawn(world, f"exit {number}")),
        lambda number: theirs.append(as_deferred(asyncio_process(number))),
    ]
    if first == "asyncio":
        makers.reverse()
    for number in range(20):
        for make in makers:
            make(number)
    for number, each in enumerate(theirs):
        assert await each == number
    await world.until(lambda: all(each.ends for each in ours))
    assert statuses(ours) == [[number] for number in range(20)]
    later = [spawn(world, "exit 3"), spawn(world, "exit 4")]
    await world.until(lambda: all(each.ends for each in later))
    assert statuses(later) == [[3], [4]]


@on_both_with_signals
async def test_a_process_that_is_killed(world: World) -> None:
    child = Child()
    process = world.reactor.spawnProcess(child, "/bin/sleep", ["sleep", "1000"], env={})
    world.reactor.callLater(0.01, partial(process.signalProcess, "KILL"))
    await world.until(lambda: child.ends)
    assert getattr(child.ends[0].value, "signal", None) == signal.SIGKILL
    await world.turns()
    assert len(child.ends) == 1
