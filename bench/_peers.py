"""The echo servers that are compared."""

import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from shutil import which
from typing import Protocol

from bench._compile import compiled, compiler
from bench._procs import PORT_FILE, BenchError
from netsuite._version import __version__

_PEERS = Path(__file__).parent / "peers"


class Peer(Protocol):
    """An echo server."""

    def command(self) -> list[str]:
        """Return the command line that starts it.

        :raises BenchError: if something must be installed first; the message says what.
        """

    def version(self) -> str:
        """Name the version of what is measured. To be called after :meth:`command`."""


@dataclass(frozen=True)
class Netsuite:
    """The echo service of netsuite, as twistd runs it."""

    def command(self) -> list[str]:
        """Start the plugin of this checkout in the foreground."""
        twistd = Path(sys.executable).with_name("twistd")
        if not twistd.exists():
            raise BenchError(f"no {twistd}: pip install netsuite[bench]")
        return [
            *(str(twistd), "-n", "--pidfile=", "--logfile=/dev/null", "--reactor=epoll"),
            *("netsuite-echo", "--listen=tcp:0:interface=127.0.0.1", "--port-file", PORT_FILE),
        ]

    def version(self) -> str:
        """Name the version of this checkout."""
        return f"netsuite {__version__}"


@dataclass(frozen=True)
class PythonPeer:
    """A module of :file:`bench/peers/`."""

    module: str
    package: str | None = None
    """What it needs from PyPI; None is for the standard library."""

    def command(self) -> list[str]:
        """Start it under this Python."""
        if self.package is not None:
            try:
                version(self.package)
            except PackageNotFoundError:
                raise BenchError(f"no {self.package}: pip install netsuite[bench]") from None
        return [sys.executable, "-m", f"bench.peers.{self.module}"]

    def version(self) -> str:
        """Name the version of the package."""
        if self.package is None:
            return f"asyncio {python_version()}"
        return f"{self.package} {version(self.package)}"


@dataclass(frozen=True)
class NodePeer:
    """A script of :file:`bench/peers/` for Node.js."""

    script: str

    def command(self) -> list[str]:
        """Start it under the ``node`` on the path."""
        node = which("node")
        if node is None:
            raise BenchError("no node: install the Debian package nodejs")
        return [node, str(_PEERS / self.script)]

    def version(self) -> str:
        """Name the version of Node.js."""
        return f"Node.js {_first_line(['node', '--version'])}"


@dataclass(frozen=True)
class CPeer:
    """A C program of :file:`bench/peers/`."""

    source: str

    def command(self) -> list[str]:
        """Compile it."""
        return [str(compiled(_PEERS / self.source))]

    def version(self) -> str:
        """Name the compiler."""
        return _first_line([compiler(), "--version"])


def _first_line(command: list[str]) -> str:
    return subprocess.check_output(command, text=True).partition("\n")[0]


REFERENCE = "twisted"
"""The peer that the ratios are taken to."""

PEERS: dict[str, Peer] = {
    "netsuite": Netsuite(),
    "twisted": PythonPeer("echo_twisted", "Twisted"),
    "asyncio": PythonPeer("echo_asyncio"),
    "uvloop": PythonPeer("echo_uvloop", "uvloop"),
    "gevent": PythonPeer("echo_gevent", "gevent"),
    "eventlet": PythonPeer("echo_eventlet", "eventlet"),
    "node": NodePeer("echo_node.js"),
    "epoll": CPeer("echo_epoll.c"),
}
