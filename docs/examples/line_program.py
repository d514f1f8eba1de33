"""Step 4: the calculator in a program of one's own."""

import sys

from line_calculator import app  # type: ignore[import-not-found]  # beside this file
from twisted.internet import endpoints, task
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore, IReactorTime

from netsuite.line import LineFactory


async def main(reactor: IReactorCore, description: str = "tcp:9001") -> None:
    """Serve until somebody stops it."""
    factory = LineFactory(app, IReactorTime(reactor))
    await endpoints.serverFromString(reactor, description).listen(factory)
    await Deferred()


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
