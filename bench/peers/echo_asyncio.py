"""The standard library: an ``asyncio.Protocol`` on the default loop.

A certificate and its key on the command line, in one file in PEM, put the same under TLS.
"""

import asyncio
import ssl
import sys
from typing import cast


class Echo(asyncio.Protocol):
    """Write back what is read. asyncio itself sets TCP_NODELAY."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Echo."""
        self.transport.write(data)


async def main() -> None:
    """Listen on a free port of 127.0.0.1, print the port, and echo."""
    context = None
    for certificate in sys.argv[1:]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
