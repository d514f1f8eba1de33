"""For the tests of programs that use netsuite.

:mod:`netsuite.testing.pytest_reactors` has pytest run on any of Twisted's reactors.
"""
