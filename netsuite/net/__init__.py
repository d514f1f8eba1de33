"""Sockets: endpoints, TLS, datagrams, and what protocols promise to the daemon above them.

* :mod:`netsuite.net.endpoints`: endpoint strings, dual-stack listening
* :mod:`netsuite.net.metered`: transports that count their bytes and keep to rates
* :mod:`netsuite.net.proxy`: the PROXY protocol
* :mod:`netsuite.net.certificates`: TLS certificates by host name, reloaded while in use
* :mod:`netsuite.net.tls`: TLS with half-close
* :mod:`netsuite.net.datagram`: UDP that knows where a datagram was sent to
"""

from netsuite.net._buckets import TokenBuckets
from netsuite.net._counters import ConnectionCounters, Counted, DatagramCounters
from netsuite.net._presence import ask_if_there, fileno_of, is_gone
from netsuite.net._promises import Drainable, Expirable, Refusing
from netsuite.net._transport import StreamTransport

__all__ = [
    "ConnectionCounters",
    "Counted",
    "DatagramCounters",
    "Drainable",
    "Expirable",
    "Refusing",
    "StreamTransport",
    "TokenBuckets",
    "ask_if_there",
    "fileno_of",
    "is_gone",
]
