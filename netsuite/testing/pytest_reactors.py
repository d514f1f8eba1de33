"""pytest-twisted on any reactor, netsuite's own among them.

pytest-twisted runs tests on a reactor, and lets one choose from two or three. With this plugin it
lets one choose from all that ``twistd --help-reactors`` names::

    pytest -p netsuite.testing.pytest_reactors --reactor netsuite-uv

Both may be in ``addopts`` of pytest's configuration. It has to be ``-p``: by the time that a
``conftest.py`` is read, pytest-twisted knows what it lets one choose from.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import pytest_twisted  # type: ignore[import-untyped]  # it has no types
from twisted.application.reactors import getReactorTypes
from twisted.python.reflect import qual

_INSTALLED = "twisted.internet.reactor"


def install(reactor: Any) -> None:
    """Install a reactor, and have pytest-twisted run the tests on it.

    :param reactor: one of :func:`twisted.application.reactors.getReactorTypes`.
    :raises pytest.UsageError: if it cannot be had, or if there is another one already.
    """
    name = reactor.shortName
    before = sys.modules.get(_INSTALLED)
    if before is not None and not type(before).__module__.startswith(reactor.moduleName):
        raise pytest.UsageError(
            f"--reactor {name}: there is a {qual(type(before))} already: something that pytest "
            f"loads, a plugin or a conftest.py, imports {_INSTALLED} when it is imported"
        )
    if before is None:
        try:
            reactor.install()
        except ImportError as error:
            raise pytest.UsageError(f"--reactor {name}: {error}") from error
    pytest_twisted._instances.reactor = sys.modules[_INSTALLED]
    pytest_twisted.init_twisted_greenlet()


def installers() -> dict[str, Callable[[], None]]:
    """What installs which reactor, by name."""
    return {each.shortName: partial(install, each) for each in getReactorTypes()}


def _teach() -> None:
    # What pytest-twisted can do by itself stays as it is.
    for name, installer in installers().items():
        pytest_twisted.reactor_installers.setdefault(name, installer)


_teach()

__all__ = ["install", "installers"]
