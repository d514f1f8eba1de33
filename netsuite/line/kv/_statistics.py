"""What ``stats`` says, by memcached's names."""

import os
import resource
import sys
from collections.abc import Iterable

from netsuite._version import __version__
from netsuite.line._session import Session
from netsuite.line.kv._store import Store
from netsuite.line.kv._wire import END, KEY_LENGTH

#: The version of memcached whose text protocol this is, and ours.
VERSION = f"1.6.18-netsuite-{__version__}"


class Statistics:
    """Statistics of a store and of the process that has it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._begun = store.now()
        self._connections = 0
        self._total_connections = 0

    def connected(self, session: Session) -> None:
        """Count a connection."""
        self._connections += 1
        self._total_connections += 1
        session.on_end(self._disconnected)

    def _disconnected(self) -> None:
        self._connections -= 1

    def reset(self) -> None:
        """Count from the beginning."""
        self._total_connections = 0

    def general(self) -> bytes:
        """What ``stats`` says without a word behind it."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        now = self._store.now()
        return _lines(
            {
                "pid": os.getpid(),
                "uptime": int(now - self._begun),
                "time": int(now),
                "version": VERSION,
                "pointer_size": sys.maxsize.bit_length() + 1,
                "rusage_user": f"{usage.ru_utime:.6f}",
                "rusage_system": f"{usage.ru_stime:.6f}",
                "curr_connections": self._connections,
                "total_connections": self._total_connections,
                "threads": 1,
                **self._store.statistics(),
            }.items()
        )

    def of(self, what: str) -> bytes | None:
        """What ``stats`` says with a word behind it; None for one that it does not know."""
        store = self._store
        match what:
            case "settings":
                return _lines(
                    {
                        "maxbytes": store.memory,
                        "evictions": "on",
                        "cas_enabled": "yes",
                        "item_size_max": store.value_size,
                        "flush_enabled": "yes",
                        "key_size_max": KEY_LENGTH,
                        "binding_protocol": "ascii",
                        "num_threads": 1,
                        "verbosity": 0,
                    }.items()
                )
            case "items":
                if not len(store):
                    return END
                counts = store.counts
                return _lines(
                    (f"items:1:{name}", value)
                    for name, value in (
                        ("number", len(store)),
                        ("mem_requested", store.bytes),
                        ("evicted", counts.evictions),
                        ("outofmemory", counts.store_no_memory),
                        ("reclaimed", counts.reclaimed),
                    )
                )
            case "slabs":
                return _lines({"active_slabs": 0, "total_malloced": store.bytes}.items())
            case "sizes":
                return _lines({"sizes_status": "disabled"}.items())
            case _:
                return None


def _lines(values: Iterable[tuple[str, object]]) -> bytes:
    lines = [f"STAT {name} {value}\r\n" for name, value in values]
    return "".join(lines).encode() + END
