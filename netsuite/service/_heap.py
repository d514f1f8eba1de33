"""How the C library keeps the memory of a process."""

import ctypes

_M_TOP_PAD = -2  # <malloc.h> of glibc
_TOP_PAD = 1024 * 1024


def keep_spare_memory() -> bool:
    """Let the heap keep a mebibyte to spare instead of giving it back at once.

    A server reads into buffers of 64 KiB and frees them. When such a buffer lies at the
    end of the heap, glibc returns its pages to the system and asks for them again with the
    next message, which costs more than the message.

    :returns: whether this C library can do that.
    """
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_TOP_PAD, _TOP_PAD))
    except (AttributeError, OSError):
        return False  # not glibc: its own rules hold
