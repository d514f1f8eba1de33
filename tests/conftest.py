"""What the tests share: the reactor and certificates."""

import asyncio
import inspect
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from netsuite.service._reactor import shown_name
from tests.reactors import REACTORS
from tests.running import NATIVE, REACTOR_VARIABLE

# The machine may be slow whenever it likes.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


@pytest.hookimpl(trylast=True)  # pytest-twisted installs it
def pytest_configure() -> None:
    """What the tests start runs on the reactor that they run on: ``pytest --reactor NAME``."""
    from twisted.internet import reactor

    os.environ[REACTOR_VARIABLE] = shown_name(reactor)
    # A shell has what it runs in the background ignore this one, and so would all that we start.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not for this reactor.

    Tests that choose reactors themselves run on the one that all others run on, and what uses none
    (marked ``once``) runs with the native one. ``./check`` has a run for each.
    """
    here = os.environ[REACTOR_VARIABLE]
    left = [each for each in items if not _is_for(here, each)]
    config.hook.pytest_deselected(items=left)
    items[:] = [each for each in items if each not in left]


def _is_for(reactor: str, item: pytest.Item) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    chosen = parameters.get("reactor_name")
    if chosen is not None and (chosen in REACTORS or reactor != NATIVE):
        return bool(chosen == reactor)
    return reactor == NATIVE or item.get_closest_marker("once") is None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Call a test that is no coroutine, rather than have pytest-twisted's reactor call it."""
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    with no_loop():
        pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    return True


@contextmanager
def no_loop() -> Iterator[None]:
    """Hide from asyncio that the reactor's loop, in another greenlet, is not done."""
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a self-signed ``cert.pem`` and its ``key.pem`` for localhost."""
    directory = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", directory / "key.pem", "-out", directory / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return directory
