"""The services that are installed: ours and those of others, as plugins of ``twistd``."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from operator import attrgetter
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.python.reflect import namedAny

from netsuite.service._errors import ConfigError
from netsuite.service._options import ServerOptions

PREFIX = "netsuite-"


def services() -> dict[str, Any]:
    """The installed netsuite services by short name, as service makers."""
    makers = sorted(getPlugins(IServiceMaker), key=attrgetter("tapname"))
    return {
        maker.tapname.removeprefix(PREFIX): maker
        for maker in makers
        if maker.tapname.startswith(PREFIX)
    }


def tools(maker: Any) -> Any:
    """What a service's room has besides the service: its module ``tools``, if there is one.

    It has ``TOOLS``, names with what ``--help`` says of them, and ``main``, which is given the
    command line from the name on and returns the exit status.
    """
    package, _, _ = str(getattr(maker, "module", "")).rpartition(".")
    name = f"{package}.tools"
    try:
        there = bool(package) and find_spec(name) is not None
    except ImportError:  # what is wrong with the room is said when it is used
        return None
    return import_module(name) if there else None


def room(maker: Any) -> tuple[type[ServerOptions], Callable[[Any, Any], Any]]:
    """What a service's module offers to a suite: its options and ``build_service``.

    :raises ConfigError: if it does not.
    """
    name = str(getattr(maker, "module", ""))
    module: Any = namedAny(name) if name else None
    options = getattr(module, "Options", None)
    build = getattr(module, "build_service", None)
    if build is None or not (isinstance(options, type) and issubclass(options, ServerOptions)):
        raise ConfigError(
            f"{maker.tapname} cannot be in a suite: expected build_service, and Options made of "
            f"ServerOptions, in {name or 'its module'}"
        )
    return options, build
