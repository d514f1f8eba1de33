"""One listening socket for all workers, or one for each."""

import socket
from typing import Any

from netsuite.net.endpoints import BACKLOG
from netsuite.service._config import WorkerSockets


def worker_sockets(port: Any, count: int, sockets: WorkerSockets) -> list[socket.socket]:
    """What workers are to listen on, for one port: one after the other.

    One queue that all share (``shared``) is robust: whatever waits in it is taken by whoever
    has time, and a worker that is gone takes nothing along. A queue for each (``reuseport``)
    spreads new connections evenly, and has them wait for a worker that is being started
    again. UNIX sockets are always shared; ``auto`` shares.

    :param port: a listening port of Twisted's.
    :raises OSError: if there can be no socket of its own for each.
    """
    first: socket.socket = port.socket
    if sockets != "reuseport" or first.family == socket.AF_UNIX:
        return [first] * count
    made = [first]
    try:
        while len(made) < count:
            made.append(_another(first))
    except OSError:
        for each in made[1:]:
            each.close()
        raise
    return made


def _another(first: socket.socket) -> socket.socket:
    new = socket.socket(first.family, first.type)
    try:
        new.setblocking(False)
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        new.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if first.family == socket.AF_INET6:
            only = first.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            new.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        new.bind(first.getsockname())
        new.listen(BACKLOG)
    except OSError:
        new.close()
        raise
    return new
