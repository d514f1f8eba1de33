"""The standard library: ``asyncio`` streams, a task for each connection, ``readline``."""

import asyncio

from bench.peers.line_answers import answer


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each line, until the client closes. asyncio itself sets TCP_NODELAY."""
    while line := await reader.readline():
        writer.write(answer(line) + b"\r\n")
        await writer.drain()
    writer.close()


async def main() -> None:
    """Listen on a free port of 127.0.0.1, print the port, and answer."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
