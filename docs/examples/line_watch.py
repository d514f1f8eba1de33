"""Step 7: a program that hears of changes, over TLS, whatever becomes of its connections."""

import os
import sys
from pathlib import Path

from twisted.internet import task
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IReactorTime
from twisted.internet.ssl import Certificate, optionsForClientTLS

from netsuite.line.client import LineClient

trusted = Certificate.loadPEM(Path("cert.pem").read_bytes())


async def main(reactor: IReactorTime, port: str = "9001", user: str = "bob") -> None:
    """Show what is published, until somebody stops it."""
    endpoint = wrapClientTLS(
        optionsForClientTLS("localhost", trusted), HostnameEndpoint(reactor, "localhost", int(port))
    )
    password = os.environ["NETSUITE_LINE_PASSWORD"]
    async with LineClient(endpoint, reactor=reactor, user=user, password=password) as client:
        subscription = await client.subscribe("names")
        print(*await client.lines("NAMES"), sep="\n", flush=True)
        async for message in subscription:
            print(message.text, flush=True)


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
