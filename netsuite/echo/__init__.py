"""Echo and its siblings: the small services of RFC 862, 863, 864, 865, 867 and 868.

Over streams (:mod:`netsuite.echo.protocol`) each has a factory that any Twisted program
can serve. Over UDP (:mod:`netsuite.echo.datagram`) they are never a reflector: an answer is
no longer than its request, well-known reflector ports and our own get none, nor does what
was sent to a broadcast or multicast address, and each client network has a token bucket.
``twistd -n netsuite-echo`` (:mod:`netsuite.echo.service`) serves them all.
"""

from netsuite.echo._machine import REFLECTOR_PORTS, DatagramGuard, Drop
from netsuite.echo.datagram import AnsweringDatagramProtocol
from netsuite.echo.protocol import (
    ChargenFactory,
    ChargenProtocol,
    DaytimeFactory,
    DiscardFactory,
    DiscardProtocol,
    EchoFactory,
    EchoProtocol,
    QuoteFactory,
    TimeFactory,
)

__all__ = [
    "REFLECTOR_PORTS",
    "AnsweringDatagramProtocol",
    "ChargenFactory",
    "ChargenProtocol",
    "DatagramGuard",
    "DaytimeFactory",
    "DiscardFactory",
    "DiscardProtocol",
    "Drop",
    "EchoFactory",
    "EchoProtocol",
    "QuoteFactory",
    "TimeFactory",
]
