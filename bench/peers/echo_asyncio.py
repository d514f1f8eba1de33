"""The standard library: an ``asyncio.Protocol`` on the default loop."""

import asyncio
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
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
