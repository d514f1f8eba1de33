"""gevent: a ``StreamServer``, one greenlet a connection."""

from gevent import socket
from gevent.server import StreamServer


def echo(client: socket.socket, _address: tuple[str, int]) -> None:
    """Write back what is read, until the client closes."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := client.recv(65536):
        client.sendall(data)


def main() -> None:
    """Listen on a free port of 127.0.0.1, print the port, and echo."""
    server = StreamServer(("127.0.0.1", 0), echo)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()


main()
