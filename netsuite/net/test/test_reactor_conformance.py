"""Twisted's own tests of its reactors, run on ours.

Twisted writes a reactor's tests once, in builders, and makes test cases of them for each of
its reactors. Here they are made for :class:`~netsuite.net.reactor.UVReactor`: each test has a
reactor and a loop of its own, and real sockets, in the process of trial.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from twisted.internet.test.reactormixins import ReactorBuilder
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from netsuite.net.reactor import UVReactor

#: What of ``twisted.internet.test`` has builders for systems with epoll.
MODULES = (
    "test_core",
    "test_fdset",
    "test_newtls",
    "test_process",
    "test_socket",
    "test_stdio",
    "test_tcp",
    "test_threads",
    "test_time",
    "test_tls",
    "test_udp",
    "test_unix",
)


class EPollReactor(UVReactor):
    """Ours, under the name by which Twisted's tests know what epoll cannot do.

    ``test_lostFileDescriptor`` is the one that they leave out for a reactor of this name: a
    closed descriptor drops out of an epoll instance and nobody is told, and without the name
    that test waits for two minutes.
    """


class OnUVReactor(ReactorBuilder, SynchronousTestCase):
    """What goes around a builder: it makes and cleans up the reactor."""

    reactorFactory = EPollReactor

    def setUp(self) -> None:
        super().setUp()
        if self._testMethodName == "test_changeUID" and os.geteuid() == 0:
            self.patch(sys.modules["twisted.internet.test.test_process"], "pyExe", python_for(1))

    def buildReactor(self) -> Any:
        try:
            return super().buildReactor()
        except SkipTest as skip:
            # For Twisted, a reactor that cannot be made or lacks an interface is not there.
            self.fail(str(skip))

    def _unbuildReactor(self, reactor: UVReactor) -> None:
        super()._unbuildReactor(reactor)
        reactor.dispose()
        asyncio.set_event_loop(None)


def python_for(uid: int) -> bytes:
    """The path of a Python that a user may run.

    Root's own is often below /root, where others may not read: this test of Twisted's then
    fails on each of its reactors.

    :raises SkipTest: if there is none.
    """
    for path in (sys.executable, shutil.which("python3", path=os.defpath)):
        try:
            if path and subprocess.run([path, "-c", ""], user=uid, check=False).returncode == 0:
                return os.fsencode(path)
        except PermissionError:
            continue
    raise SkipTest(f"user {uid} may not run {sys.executable}, and has no other python3")


def test_cases(module: ModuleType) -> dict[str, type[SynchronousTestCase]]:
    """The test cases to be made from a module, by name.

    Its builders are told by the cases that it has made of them for Twisted's reactors. A builder
    with a list of reactors of its own is about these.
    """
    builders = {
        case.__bases__[0]
        for case in vars(module).values()
        if isinstance(case, type)
        and issubclass(case, ReactorBuilder)
        and issubclass(case, SynchronousTestCase)
    }
    return {
        builder.__name__: type(builder.__name__, (OnUVReactor, builder), {"__module__": __name__})
        for builder in builders
        if "_reactors" not in vars(builder)
    }


missing: str | None = None
try:
    import_module("uvloop")
    cases = {name: test_cases(import_module(f"twisted.internet.test.{name}")) for name in MODULES}
except ImportError as error:
    if (error.name or "").startswith("twisted."):
        raise
    missing = f"needs {error.name}: pip install netsuite[fast] twisted[test]"
    cases = {}
for each in cases.values():
    globals().update(each)


class ModulesTests(SynchronousTestCase):
    """That there is something to run."""

    skip = missing

    def test_every_module_has_test_cases(self) -> None:
        """None has lost its builders in a version of Twisted; no two have one of the same name."""
        self.assertEqual([], [name for name in MODULES if not cases[name]])
        names = [name for module in cases.values() for name in module]
        self.assertEqual(sorted(set(names)), sorted(names))
