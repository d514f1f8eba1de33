"""For the tests of programs that use netsuite.

:class:`LineTestClient` is a peer of a :class:`netsuite.line.LineApp` in memory, and
:mod:`netsuite.testing.pytest_reactors` has pytest run on any of Twisted's reactors.
"""

from netsuite.line._test_client import LineTestClient, NoReplyError

__all__ = ["LineTestClient", "NoReplyError"]
