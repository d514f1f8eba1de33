"""telnetlib3: a server with a shell that reads lines and writes, on asyncio.

The load answers no options. So as little is negotiated as can be, and not waited for.
"""

import asyncio

import telnetlib3

from bench.peers.line_answers import answer

WAIT = 0.01  # seconds for options


async def serve(reader: telnetlib3.TelnetReader, writer: telnetlib3.TelnetWriter) -> None:
    """Answer each line, until the client closes. asyncio itself sets TCP_NODELAY."""
    while line := await reader.readline():
        writer.write(answer(line) + b"\r\n")
        await writer.drain()
    writer.close()


async def main() -> None:
    """Listen on a free port of 127.0.0.1, print the port, and answer."""
    server = await telnetlib3.create_server(
        "127.0.0.1",
        0,
        shell=serve,
        encoding=False,
        line_mode=True,
        connect_maxwait=WAIT,
        timeout=False,
    )
    assert server.sockets is not None
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
