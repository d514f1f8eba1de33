"""Which reactor a process runs on: ours if nobody has chosen another, and what it is called."""

import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from twisted.application.reactors import getReactorTypes
from twisted.logger import Logger
from twisted.python.reflect import qual

_log = Logger()


def take_reactor() -> None:
    """Install netsuite's own reactor, if uvloop is there and no reactor is installed yet."""
    # Not before it is known that something will run: it brings the reactor with it.
    from netsuite.net.reactor import prefer  # noqa: PLC0415

    prefer()


def reactor_name(reactor: Any) -> str | None:
    """What ``--reactor`` calls a reactor; None if it has no name for it."""
    return _name_of(type(reactor).__module__)


@cache
def _name_of(module: str) -> str | None:
    for installer in getReactorTypes():
        # A reactor's install() is in the module of its class, or in the package of that.
        found: str = getattr(installer, "moduleName", "")
        if found and f"{module}.".startswith(f"{found}."):
            return str(installer.shortName)
    return None


def shown_name(reactor: Any) -> str:
    """What a reactor is called in logs and metrics."""
    return reactor_name(reactor) or qual(type(reactor))


def chosen_name(twistd: Mapping[str, Any]) -> str | None:
    """The reactor that the command line asks for, if it does.

    :param twistd: the options of the ``twistd`` or ``twist`` that this process is.
    """
    # What twistd calls "reactor" is "reactorName" in twist, whose "reactor" is the reactor.
    name = twistd.get("reactorName", twistd.get("reactor"))
    return None if not name or name == "default" else str(name)


def reactor_flags(reactor: Any, twistd: Mapping[str, Any]) -> list[str]:
    """What has another ``twistd`` run on the reactor of this process."""
    name = chosen_name(twistd) or reactor_name(reactor)
    return [] if name is None else [f"--reactor={name}"]


def log_reactor(reactor: Any, twistd: Mapping[str, Any]) -> None:
    """Say which reactor runs, and what it takes to have ours."""
    name = shown_name(reactor)
    uvloop = sys.modules.get("uvloop")
    if name == "netsuite-uv" and uvloop is not None:
        _log.info("reactor: {reactor} (uvloop {uvloop})", reactor=name, uvloop=uvloop.__version__)
        return
    _log.info("reactor: {reactor}", reactor=name)
    if name == "epoll" and uvloop is None and chosen_name(twistd) is None:
        _log.debug("pip install netsuite[fast] for a faster reactor")
