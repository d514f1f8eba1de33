"""A client of the calculator in ``calc.py``: ``python docs/examples/line_client.py``."""

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.task import react

from netsuite.line.client import LineClient, LineClientError, LineError


async def main(reactor: Any, where: str = "tcp:localhost:9001") -> None:
    """Give some commands."""
    endpoint = clientFromString(reactor, where)
    async with LineClient(endpoint, reactor=reactor) as client:
        print(await client.call("ADD", 1, 2))

        # A thousand calls at once: none waits for the reply to another.
        calls = [client.call("ADD", number, number) for number in range(1000)]
        print(sum([int(await call) for call in calls]))

        try:
            await client.call("DIV", 1, 0)
        except LineError as error:
            print(error.code)

        # As many lines as there are, and no more of them in memory than are on their way.
        async for line in client.stream("SQUARES", 100_000):
            number, square = line.split()
        print(number, square)


async def run(*arguments: Any) -> None:
    """End with one line if the server is not there."""
    try:
        await main(*arguments)
    except LineClientError as error:
        sys.exit(str(error))


react(lambda *arguments: Deferred.fromCoroutine(run(*arguments)), sys.argv[1:])
