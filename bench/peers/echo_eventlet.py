"""eventlet: ``listen`` and ``serve``, one green thread a connection."""

import eventlet
from eventlet.green import socket


def echo(client: socket.socket, _address: tuple[str, int]) -> None:
    """Write back what is read, until the client closes."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := client.recv(65536):
        client.sendall(data)


def main() -> None:
    """Listen on a free port of 127.0.0.1, print the port, and echo."""
    listener = eventlet.listen(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    eventlet.serve(listener, echo)


main()
