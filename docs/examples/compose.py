"""Netsuite's echo, served by a plain Twisted program."""

import sys

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorCore

from netsuite.echo import EchoFactory

endpoints = ("tcp:9000",)


async def main(reactor: IReactorCore, *descriptions: str) -> None:
    """Serve until the process is told to stop."""
    for description in descriptions or endpoints:
        await serverFromString(reactor, description).listen(EchoFactory())
    await Deferred()


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
