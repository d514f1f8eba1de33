"""Twisted at native speed: a reactor whose TCP connections are uvloop's own.

Protocols, factories and endpoints stay as they are::

    from netsuite.net.reactor import install

    install()  # before anything imports twisted.internet.reactor

    from twisted.internet import reactor

or ``twistd --reactor netsuite-uv``, ``trial --reactor netsuite-uv``. The reactor behaves like
Twisted's epoll reactor; the bytes of TCP connections go through libuv instead of Python. It is
an asyncio loop too (:attr:`UVReactor.loop`), so asyncio code runs beside Twisted's
(:mod:`netsuite.net.aio`).

uvloop comes with ``pip install netsuite[fast]``, and is imported when a reactor is made.
"""

import select
import sys
from asyncio import AbstractEventLoop
from importlib.util import find_spec
from typing import TYPE_CHECKING

from twisted.internet.main import installReactor

from netsuite.net.reactor._errors import ReactorUnavailable

if TYPE_CHECKING:
    from netsuite.net.reactor._reactor import UVReactor

#: The reactor's name for ``--reactor``.
NAME = "netsuite-uv"

_INSTALLED = "twisted.internet.reactor"


def __getattr__(name: str) -> object:
    # Not before it is asked for: where there is no epoll, there is nothing to import.
    if name != "UVReactor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not hasattr(select, "epoll"):
        raise ReactorUnavailable("the reactor netsuite-uv needs epoll, which this system has not")
    from netsuite.net.reactor._reactor import UVReactor  # noqa: PLC0415

    return UVReactor


def install(loop: AbstractEventLoop | None = None) -> "UVReactor":
    """Make this the reactor of the process.

    :param loop: a loop of uvloop to run on; by default a new one.
    :raises ReactorUnavailable: without uvloop, or on a system without epoll.
    :raises twisted.internet.error.ReactorAlreadyInstalledError: if there is one already.
    """
    make: type[UVReactor] = __getattr__("UVReactor")  # type: ignore[assignment]  # it is
    reactor = make(loop)
    installReactor(reactor)
    return reactor


def is_available() -> bool:
    """Whether :func:`install` would find what it needs."""
    try:
        return hasattr(select, "epoll") and find_spec("uvloop") is not None
    except ValueError:  # somebody has put nothing in its place
        return False


def prefer() -> bool:
    """Make this the reactor of the process if nobody has chosen one and uvloop is there.

    :returns: whether it is the reactor of the process now.
    """
    installed = sys.modules.get(_INSTALLED)
    if installed is None and is_available():
        return install() is not None
    return any(kind.__module__ == __name__ for kind in type(installed).__mro__)


__all__ = [
    "NAME",
    "ReactorUnavailable",
    "UVReactor",
    "install",
    "is_available",
    "prefer",
]
