"""A cache of values by key that speaks memcached's text protocol.

:func:`kv_app` makes it, an application of :mod:`netsuite.line`. ``netsuite line --app kv --port
11211`` serves it, and so does any Twisted program::

    from netsuite.line import LineFactory
    from netsuite.line.kv import kv_app

    endpoint.listen(LineFactory(kv_app(memory=256 * 1024 * 1024), reactor))

The protocol is that of memcached 1.6.18 (its ``doc/protocol.txt``), byte for byte, with these
exceptions:

* The commands are get, gets, gat, gats, bget, set, add, replace, append, prepend, cas, delete,
  incr, decr, touch, flush_all, stats (general, settings, items, slabs, sizes, reset), version,
  verbosity and quit. Those that manage memcached itself (slabs, lru, lru_crawler, watch,
  cache_memlimit, shutdown, stats detail, conns and cachedump) are not there, nor are the meta
  commands (mg, ms, ...), the binary protocol, SASL and UDP: the answer is ``ERROR``.
* Lines may have 256 KiB. memcached takes lines of any length for get and gets, and closes the
  connection on others when 2048 bytes have come without a line end; here a line that is too long is
  answered with ``CLIENT_ERROR line too long``, and then the connection is closed.
* With a key that is too long, get makes memcached forget its replies to the commands before, as
  does a line of HTTP. Here they are answered.
* The largest value is exactly as large as it is set. memcached counts the key and its own
  needs too.
* Time has fractions: what expires in a second expires a second later, not in the next but one,
  and ``flush_all 1`` is not at once.
* After flush_all nothing brings the values back; in memcached another one that is to come does.
* Values of more than 512 KiB can be counted up and down, if they are numbers.
* An item costs what it costs in Python, about 480 bytes beside key and value, and that counts.
"""

import time
from collections.abc import Callable

from netsuite.line._limits import Limits
from netsuite.line.app import LineApp
from netsuite.line.kv._commands import StoreCommands, error_reply, unknown
from netsuite.line.kv._store import MIB, Item, NotANumberError, Store, TooLargeError
from netsuite.line.kv._wire import words_of

__all__ = ["Item", "NotANumberError", "Store", "TooLargeError", "kv_app"]

_LINE_LENGTH = 256 * 1024
_LINE_END = 2


def kv_app(
    store: Store | None = None,
    *,
    memory: int = 64 * MIB,
    value_size: int = MIB,
    now: Callable[[], float] = time.time,
) -> LineApp:
    """A cache that speaks memcached's text protocol.

    Connections may be silent for as long as they like, as pools of clients expect.

    :param store: what has the items; by default one that is made of what follows.
    :param memory: bytes that all items may take, keys and what Python needs for each included.
    :param value_size: bytes of the longest value.
    :param now: seconds since 1970.
    :raises ValueError: for a limit below 1.
    """
    if store is None:
        store = Store(memory, value_size=value_size, now=now)
    app = LineApp(
        "kv",
        limits=Limits(
            line_length=_LINE_LENGTH, literal=store.value_size + _LINE_END, idle=None, login=None
        ),
        exact=True,
        builtins=False,
        words=words_of,
        fallback=unknown,
        format_error=error_reply,
    )
    app.add(StoreCommands(store))
    return app
