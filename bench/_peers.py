"""The echo servers that are compared."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version
from shutil import which
from typing import Protocol

from bench._compile import Program, compiled, compiler
from bench._procs import PORT_FILE, BenchError
from bench._tls import Certificate
from netsuite._version import __version__

_PEERS = Path(__file__).parent / "peers"

UV = "netsuite-uv"
"""The reactor of :mod:`netsuite.net.reactor`."""

STOCK = "epoll"
"""Twisted's own reactor on Linux."""

LISTEN = "tcp:0:interface=127.0.0.1"


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
    """A service of netsuite, as twistd runs it."""

    options: tuple[str, ...] = ()
    """Of the service."""

    reactor: str = UV

    listen: str = LISTEN
    """Its endpoint."""

    service: str = "netsuite-echo"
    """Its name for twistd."""

    def command(self) -> list[str]:
        """Start the plugin of this checkout in the foreground."""
        twistd = Path(sys.executable).with_name("twistd")
        if not twistd.exists():
            raise BenchError(f"no {twistd}: pip install netsuite[bench]")
        return [
            *(str(twistd), "-n", "--pidfile=", "--logfile=/dev/null", f"--reactor={self.reactor}"),
            *(self.service, f"--listen={self.listen}", "--port-file", PORT_FILE),
            *self.options,
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

    arguments: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """Start it under this Python."""
        if self.package is not None:
            try:
                version(self.package)
            except PackageNotFoundError:
                raise BenchError(f"no {self.package}: pip install netsuite[bench]") from None
        return [sys.executable, "-m", f"bench.peers.{self.module}", *self.arguments]

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
        return [str(compiled(Program(_PEERS / self.source)))]

    def version(self) -> str:
        """Name the compiler."""
        return _first_line([compiler(), "--version"])


@dataclass(frozen=True)
class Nginx:
    """nginx with one worker, an HTTP server: by itself it has no echo."""

    slots: int
    """Connections that it may have: it takes memory for all of them when it starts."""

    scratch: Path
    """A directory for its files."""

    def command(self) -> list[str]:
        """Have :mod:`bench.peers.http_nginx` configure and become it."""
        module = [sys.executable, "-m", "bench.peers.http_nginx"]
        return [*module, self._program(), str(self.slots), str(self.scratch)]

    def version(self) -> str:
        """Name the version of nginx."""
        done = subprocess.run([self._program(), "-v"], capture_output=True, text=True, check=True)
        return done.stderr.strip().removeprefix("nginx version: ").replace("/", " ")

    def _program(self) -> str:
        nginx = which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
        if nginx is None:
            raise BenchError("no nginx: install the Debian package nginx-light")
        return nginx


def _first_line(command: list[str]) -> str:
    return subprocess.check_output(command, text=True).partition("\n")[0]


def commands_of(peers: Mapping[str, Peer]) -> dict[str, list[str]]:
    """Prepare the peers.

    :raises BenchError: with a line for each that is missing.
    """
    commands, missing = {}, []
    for name, peer in peers.items():
        try:
            commands[name] = peer.command()
        except BenchError as error:
            missing.append(f"{name}: {error}")
    if missing:
        raise BenchError("\nbench: ".join([*missing, "or choose other peers with --peers"]))
    return commands


ACCESS_RULES = 4096


def every_limit(scratch: Path) -> tuple[str, ...]:
    """Every limit that netsuite-echo has, at values that none of our connections comes near.

    The last rule of the access file is the one that lets them in.

    :param scratch: a directory for the access file and the access log.
    """
    access = scratch / "access"
    denied = [f"deny 10.{index >> 8}.{index & 255}.0/25\n" for index in range(ACCESS_RULES - 1)]
    access.write_text("".join([*denied, "allow 127.0.0.0/8\n"]))
    return (
        *("--deny=192.0.2.0/24", "--allow=198.51.100.0/24", f"--access-file={access}"),
        *("--max-connections=15000", "--max-per-client=15000"),
        *("--accept-rate=1000000", "--client-accept-rate=1000000"),
        *("--idle-timeout=60", "--stall-timeout=60", "--total-timeout=86400"),
        *("--rate=10G", "--client-rate=10G"),
        *(f"--access-log={scratch / 'access.log'}", "--admin=0"),
    )


def twisted_echo(reactor: str, *arguments: str) -> PythonPeer:
    """Make the echo of stock Twisted on some reactor."""
    return PythonPeer("echo_twisted", "Twisted", (reactor, *arguments))


REFERENCE = "twisted"
"""The peer that the ratios are taken to."""

PEERS: dict[str, Peer] = {
    "netsuite": Netsuite(),
    "netsuite-epoll": Netsuite(reactor=STOCK),
    "twisted-uv": twisted_echo(UV),
    "twisted": twisted_echo(STOCK),
    "asyncio": PythonPeer("echo_asyncio"),
    "uvloop": PythonPeer("echo_uvloop", "uvloop"),
    "gevent": PythonPeer("echo_gevent", "gevent"),
    "eventlet": PythonPeer("echo_eventlet", "eventlet"),
    "node": NodePeer("echo_node.js"),
    "epoll": CPeer("echo_epoll.c"),
}


def under_tls(certificate: Certificate) -> dict[str, Peer]:
    """Make the peers that are compared under TLS, all with one certificate."""
    file = str(certificate.private)
    listen = f"ssl:0:interface=127.0.0.1:privateKey={file}:certKey={file}"
    return {
        "netsuite": Netsuite(listen=listen),
        "netsuite-epoll": Netsuite(reactor=STOCK, listen=listen),
        "twisted-uv": twisted_echo(UV, file),
        "twisted": twisted_echo(STOCK, file),
        "uvloop": PythonPeer("echo_uvloop", "uvloop", (file,)),
    }
