"""Whether a peer is still there, while nobody reads what it says.

A transport that is not read from, or was read to its end, is not looked at by its reactor: of a
peer that resets its connection, or closes it for good, nobody hears before something is sent.
"""

import os
import select
import socket
import sys
from contextlib import suppress
from stat import S_ISSOCK
from typing import Any

#: Where a hang-up means that both directions are closed.
_TELLS = sys.platform == "linux"

_PROBES = 4


def is_gone(transport: Any) -> bool:
    """Whether the kernel knows that a connection is over.

    :param transport: TCP or a UNIX socket, under TLS or not; of others it is not known.
    """
    descriptor = _descriptor(transport)
    if descriptor is None:
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return bool(poll.poll(0))  # nothing but errors and the end is reported unasked


def ask_if_there(transport: Any, seconds: float) -> None:
    """Have the kernel ask a silent peer whether it is there, and know it if it is not.

    :param seconds: of silence before the first question, and between the next ones
        (RFC 9293 section 3.8.4).
    """
    descriptor = _descriptor(transport)
    if descriptor is None:
        return
    interval = max(1, round(seconds))
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as its:
        if its.family in {socket.AF_INET, socket.AF_INET6}:
            its.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, interval)
            its.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
            its.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _PROBES)
            its.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def fileno_of(transport: Any) -> int:
    """The descriptor of what may have none; then -1."""
    fileno = getattr(transport, "fileno", None)
    return -1 if fileno is None else int(fileno())


def _descriptor(transport: Any) -> int | None:
    """The socket's, if it is one that tells."""
    descriptor = fileno_of(transport) if _TELLS else -1
    try:
        return descriptor if descriptor >= 0 and S_ISSOCK(os.fstat(descriptor).st_mode) else None
    except OSError:
        return None
