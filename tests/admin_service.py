"""An admin site over a service that does not exist: its numbers are made up.

Run as a process (``python -m tests.admin_service``) for tests that need a real socket or a
browser, and for the picture in the documentation.
"""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogBeginner, textFileLogObserver

from netsuite.net.endpoints import listening_ports, server_endpoint
from netsuite.service._stats import ListenerStats, ServiceStats
from netsuite.service.admin import build_admin_site
from netsuite.service.test.admin_source import FakeSource
from tests.forking import Forked
from tests.running import ROOT, environment, install_reactor, wait_for

TOKEN = "the-token-of-the-tests"
DAY = 86_400.0
#: Seconds between two changes of the numbers.
STEP = 0.25


class Traffic:
    """Makes up what a busy service does."""

    def __init__(self, now: float) -> None:
        self._random = Random(7)
        self.stats = ServiceStats(
            service="echo",
            version="0.1.0",
            pids=[2841, 2842, 2843, 2844],
            started=now - 3.2 * DAY,
            listeners=[
                _listener("echo", 1_284_233, "0.0.0.0:9000", "[::]:9000"),
                _listener("echo-tls", 412_870, "0.0.0.0:9443", "[::]:9443"),
                _listener("discard", 18_204, "unix:/run/netsuite/discard.sock"),
            ],
            certificates={
                "/etc/netsuite/tls/echo.example.net.pem": now + 74.4 * DAY,
                "/etc/netsuite/tls/old.example.net.pem": now + 12.3 * DAY,
            },
            banned={
                "203.0.113.0/24": now + 2_530.0,
                "198.51.100.7/32": now + 71_000.0,
                "2001:db8:bad::/48": None,
            },
            reloads={"ok": 5, "failed": 1},
            restarts=1,
        )

    def step(self, now: float) -> None:
        """Let :data:`STEP` seconds pass, up to ``now``."""
        random = self._random
        wave = 1 + 0.25 * math.sin(now / 47) + 0.12 * math.sin(now / 11)
        storm = 4.0 if now % 240 < 25 else 0.15
        for listener, share in zip(self.stats.listeners, (1.0, 0.45, 0.05), strict=True):
            came = int(random.gauss(48, 7) * wave * share * STEP + random.random())
            listener.accepted += max(0, came)
            listener.active = int(390 * wave * share + random.gauss(0, 4))
            listener.bytes_received += int(2.9e6 * wave * share * random.uniform(0.8, 1.2) * STEP)
            listener.bytes_sent += int(2.6e6 * wave * share * random.uniform(0.8, 1.2) * STEP)
            for _ in range(came):
                self.stats.durations.observe(random.lognormvariate(0.4, 1.9))
            if listener.name != "discard":
                _more(listener.refused, "accept_rate", random.random() < storm * share / 2, came)
                _more(listener.refused, "banned", random.random() < 0.5 * share, 2)
                _more(listener.cut, "idle", random.random() < 0.35 * share, 1)
        for _ in range(4):
            self.stats.reactor_lag.observe(random.lognormvariate(-7.0 + storm / 5, 0.7))


def _listener(name: str, accepted: int, *addresses: str) -> ListenerStats:
    return ListenerStats(
        name=name,
        addresses=list(addresses),
        accepted=accepted,
        refused={} if name == "discard" else {"accept_rate": 1_911, "banned": 4_130, "access": 86},
        cut={} if name == "discard" else {"idle": 730, "stall": 12},
        bytes_received=accepted * 61_000,
        bytes_sent=accepted * 57_500,
    )


def _more(counts: dict[str, int], reason: str, happens: bool, number: int) -> None:
    if happens:
        counts[reason] = counts.get(reason, 0) + number


class SwitchedClock:
    """A clock that runs through the past at once, and then is the reactor's."""

    def __init__(self, reactor: Any, now: float) -> None:
        self.past = Clock()
        self.past.advance(now)
        self._reactor = reactor
        self._now: Any = self.past

    def seconds(self) -> float:
        return float(self._now.seconds())

    def callLater(self, delay: float, function: Callable[..., object], *args: object) -> Any:
        return self._now.callLater(delay, function, *args)

    def catch_up(self) -> None:
        self._now = self._reactor


@contextmanager
def admin_service(directory: Path, *options: str) -> Iterator[tuple[Forked, int]]:
    """This program as a process, and the port that it listens on, until the block ends."""
    port_file, log = directory / "admin-port", directory / "admin-log"
    command = [sys.executable, "-m", "tests.admin_service", f"--port-file={port_file}", *options]
    with (
        log.open("wb") as output,
        Forked(command, cwd=ROOT, env=environment(), stderr=output) as process,
    ):

        def listens() -> bool:
            assert process.poll() is None, log.read_text()
            return port_file.exists()

        try:
            wait_for(listens, "the admin site")
            yield process, int(port_file.read_text())
        finally:
            process.kill()
            assert "Traceback" not in log.read_text()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", default="tcp:0:interface=127.0.0.1")
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--name", default="echo", help="what the service is called")
    parser.add_argument("--past", type=float, default=0.0, help="seconds of history to make up")
    options = parser.parse_args()
    reactor = install_reactor()
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    serve(options, reactor)


def serve(options: argparse.Namespace, reactor: Any) -> None:
    clock = SwitchedClock(reactor, time.time() - options.past)
    traffic = Traffic(time.time())
    traffic.stats.service = options.name
    source = FakeSource()
    source.current = traffic.stats
    site = build_admin_site(source, options.token, clock, time.monotonic, now=clock.seconds)  # type: ignore[arg-type]  # enough of a clock
    site.doStart()
    while clock.seconds() < time.time() - STEP:
        clock.past.advance(STEP)
        traffic.step(clock.seconds())
    site.doStop()
    clock.catch_up()

    def go_on() -> None:
        source.now = time.time()
        traffic.step(source.now)
        reactor.callLater(STEP, go_on)

    def listens(port: Any) -> None:
        [host] = [each.getHost() for each in listening_ports(port)]
        new = options.port_file.with_suffix(".new")
        new.write_text(f"{getattr(host, 'port', 0)}\n")
        new.replace(options.port_file)

    go_on()
    server_endpoint(reactor, options.endpoint).listen(site).addCallback(listens)
    reactor.run()


if __name__ == "__main__":
    main()
