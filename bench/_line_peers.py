"""The servers that are compared at lines, at a cache and at publishing."""

import subprocess
import sys
from dataclasses import dataclass
from shutil import which

from bench._peers import STOCK, UV, Netsuite, Peer, PythonPeer
from bench._procs import BenchError

REFERENCE = "linereceiver"
"""Of the lines: the peer that the ratios are taken to."""

LINE_APP = "bench.peers.line_app:app"


def netsuite_line(reactor: str, app: str) -> Netsuite:
    """The line service with an application: one of its own, or ``module:name``."""
    return Netsuite((f"--app={app}",), reactor, service="netsuite-line")


LINE_PEERS: dict[str, Peer] = {
    "netsuite": netsuite_line(UV, LINE_APP),
    "netsuite-epoll": netsuite_line(STOCK, LINE_APP),
    REFERENCE: PythonPeer("line_receiver", "Twisted", (STOCK,)),
    "linereceiver-uv": PythonPeer("line_receiver", "Twisted", (UV,)),
    "asyncio-streams": PythonPeer("line_asyncio"),
    "gevent": PythonPeer("line_gevent", "gevent"),
    "telnetlib3": PythonPeer("line_telnetlib3", "telnetlib3"),
}


@dataclass(frozen=True)
class Memcached:
    """memcached with one thread for its connections."""

    def command(self) -> list[str]:
        """Have :mod:`bench.peers.kv_memcached` become it."""
        return [sys.executable, "-m", "bench.peers.kv_memcached", self._program()]

    def version(self) -> str:
        """Name the version of memcached."""
        return subprocess.check_output([self._program(), "--version"], text=True).strip()

    def _program(self) -> str:
        program = which("memcached")
        if program is None:
            raise BenchError("no memcached: install the Debian package memcached")
        return program
