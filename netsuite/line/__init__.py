"""Line protocols: typed commands, answered in order, with limits on all that a peer can do.

:class:`LineApp` has the commands, :class:`LineFactory` serves them on any stream::

    from netsuite.line import LineApp, LineFactory

    app = LineApp("calculator")

    @app.command()
    def add(a: float, b: float) -> float:
        \"\"\"Add two numbers.\"\"\"
        return a + b

    endpoint.listen(LineFactory(app, reactor))
"""

from netsuite.line._arguments import Address, Block, Network, Quoted, Rest, Words
from netsuite.line._commands import Command
from netsuite.line._errors import CommandError, DefinitionError
from netsuite.line._limits import Limits
from netsuite.line._replies import ErrorReply, ReplyError
from netsuite.line._session import Session
from netsuite.line.app import LineApp
from netsuite.line.protocol import LineFactory, LineProtocol

__all__ = [
    "Address",
    "Block",
    "Command",
    "CommandError",
    "DefinitionError",
    "ErrorReply",
    "Limits",
    "LineApp",
    "LineFactory",
    "LineProtocol",
    "Network",
    "Quoted",
    "ReplyError",
    "Rest",
    "Session",
    "Words",
]
