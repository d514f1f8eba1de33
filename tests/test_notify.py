"""Messages to systemd, over real datagram sockets."""

import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher

from netsuite.service._notify import RETRY_SECONDS, Notifier, NotifyService
from tests.running import PATIENCE


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """What would be systemd's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        if request.param == "path":
            listening.bind(str(tmp_path / "notify"))
        else:
            listening.bind(f"\0netsuite-test-{os.getpid()}")
        listening.settimeout(PATIENCE)
        yield listening


def environment(systemd: socket.socket) -> dict[str, str]:
    name = systemd.getsockname()
    text = name if isinstance(name, str) else "@" + name[1:].decode()
    return {"NOTIFY_SOCKET": text, "WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}


def test_a_life(systemd: socket.socket) -> None:
    clock = Clock()
    service = NotifyService(Notifier.from_environment(environment(systemd)), clock)
    service.startService()
    assert systemd.recv(4096) == b"WATCHDOG=1"
    service.ready("grüße")
    assert systemd.recv(4096) == f"READY=1\nMAINPID={os.getpid()}\nSTATUS=grüße".encode()
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    service.reloading()
    lines = systemd.recv(4096).decode().split("\n")
    after = time.clock_gettime(time.CLOCK_MONOTONIC)
    assert lines[0] == "RELOADING=1"
    assert int(before * 1e6) <= int(lines[1].removeprefix("MONOTONIC_USEC=")) <= after * 1e6
    clock.advance(1)
    assert systemd.recv(4096) == b"WATCHDOG=1"
    service.stopping(2.5)
    assert systemd.recv(4096) == b"STOPPING=1\nEXTEND_TIMEOUT_USEC=7500000\nSTATUS=draining"
    service.stopService()
    assert clock.getDelayedCalls() == []


def test_a_full_socket_neither_blocks_nor_loses(systemd: socket.socket) -> None:
    clock = Clock()
    notifier = Notifier.from_environment(environment(systemd))
    service = NotifyService(notifier, clock)
    sent = 0
    while notifier.send("STATUS=fill"):
        sent += 1
    service.ready()
    for _ in range(sent):
        assert systemd.recv(4096) == b"STATUS=fill"
    assert not select.select([systemd], [], [], 0)[0]
    clock.advance(RETRY_SECONDS)
    assert systemd.recv(4096).startswith(b"READY=1\n")


@pytest.mark.parametrize("name", ["/nowhere/notify", "@netsuite-nobody-listens", "/" + "x" * 200])
def test_nobody_listens_which_is_said_once(name: str) -> None:
    events: list[LogEvent] = []
    observe: Any = events.append
    globalLogPublisher.addObserver(observe)
    try:
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": name})
        assert notifier.enabled
        assert notifier.send("READY=1")
        assert notifier.send("READY=1")
    finally:
        globalLogPublisher.removeObserver(observe)
    assert [event["log_format"] for event in events] == ["systemd is not notified: {reason}"]
