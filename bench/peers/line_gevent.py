"""gevent: a ``StreamServer``, one greenlet a connection, lines of a file of its socket."""

from gevent import socket
from gevent.server import StreamServer

from bench.peers.line_answers import answer


def serve(client: socket.socket, _address: tuple[str, int]) -> None:
    """Answer each line, until the client closes."""
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    lines = client.makefile("rb")
    while line := lines.readline():
        client.sendall(answer(line) + b"\r\n")


def main() -> None:
    """Listen on a free port of 127.0.0.1, print the port, and answer."""
    server = StreamServer(("127.0.0.1", 0), serve)
    server.start()
    print(server.server_port, flush=True)
    server.serve_forever()


main()
