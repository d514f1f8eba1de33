"""memcached with one thread for its connections. Becomes memcached itself.

A port is chosen before it is there to listen on it. So a child waits until it does, and prints it.
"""

import os
import pwd
import socket
import sys
import time

PATIENCE = 10.0  # seconds


def announce(port: int) -> None:
    """Print the port once somebody listens on it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.01)
        else:
            print(port, flush=True)
            return


def main() -> None:
    """Have memcached listen on a free port of 127.0.0.1, and print the port.

    The command line names memcached, and what is added to its options.
    """
    program, *more = sys.argv[1:]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    if os.fork() == 0:
        announce(port)
        os._exit(0)
    user = pwd.getpwuid(os.geteuid()).pw_name  # it asks root to say who it is to be
    options = ("-t", "1", "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-u", user)
    os.execv(program, [program, *options, *more])


if __name__ == "__main__":
    main()
