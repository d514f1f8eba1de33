"""Step 7: a program that hears of changes, over TLS, whatever becomes of its connections."""

import os
import sys
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import Certificate, optionsForClientTLS

from netsuite.line.client import LineClient, LineClientError

trusted = Certificate.loadPEM(Path("cert.pem").read_bytes())


async def watch(reactor: Any, port: str = "9001", user: str = "bob") -> None:
    """Show what is published."""
    endpoint = wrapClientTLS(
        optionsForClientTLS("localhost", trusted), HostnameEndpoint(reactor, "localhost", int(port))
    )
    password = os.environ["NETSUITE_LINE_PASSWORD"]
    async with LineClient(endpoint, reactor=reactor, user=user, password=password) as client:
        subscription = await client.subscribe("names")
        print(*await client.lines("NAMES"), sep="\n", flush=True)
        async for message in subscription:
            print(message.text, flush=True)


async def main(reactor: Any, *arguments: str) -> None:
    """Watch until somebody stops it."""
    watching = Deferred.fromCoroutine(watch(reactor, *arguments))
    reactor.addSystemEventTrigger("before", "shutdown", watching.cancel)
    try:
        await watching
    except CancelledError:
        pass
    except LineClientError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
