"""Send a line, say that it was the last, read the answer to its end."""

import socket
import sys

with socket.create_connection(("localhost", int(sys.argv[1]))) as connection:
    connection.sendall(b"hello\n")
    connection.shutdown(socket.SHUT_WR)
    with connection.makefile("rb") as answer:
        print(answer.read().decode(), end="")
