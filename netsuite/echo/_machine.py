"""Which datagrams deserve an answer. No clock, no sockets.

A datagram's source address is whatever its sender wrote there. A service that answers
everybody can be made to flood a third party (US-CERT TA14-017A), or to talk to another such
service for ever (CERT CA-1996-01). So an answer is never longer than the request, never
goes where another service would answer it, and each client network has a bucket of tokens.
"""

from collections.abc import Callable
from enum import StrEnum
from ipaddress import ip_address

from netsuite.ip import rate_key
from netsuite.net import TokenBuckets

#: Source ports that no client has: services that answer datagrams, or are used to amplify.
REFLECTOR_PORTS = frozenset(
    {
        0,  # reserved: nobody can be there
        7,  # echo, RFC 862
        9,  # discard, RFC 863
        11,  # active users, RFC 866
        13,  # daytime, RFC 867
        17,  # quote of the day, RFC 865
        19,  # character generator, RFC 864
        37,  # time, RFC 868
        53,  # DNS, RFC 1035
        69,  # TFTP, RFC 1350
        111,  # port mapper, RFC 1833
        123,  # NTP, RFC 5905
        137,  # NetBIOS names, RFC 1002
        161,  # SNMP, RFC 3430
        389,  # CLDAP, RFC 1798
        500,  # IKE, RFC 7296
        520,  # RIP, RFC 2453
        521,  # RIPng, RFC 2080
        1900,  # SSDP
        3478,  # STUN, RFC 8489
        3702,  # WS-Discovery
        5060,  # SIP, RFC 3261
        5353,  # multicast DNS, RFC 6762
        5683,  # CoAP, RFC 7252
        11211,  # memcached
        27015,  # Steam
        27960,  # Quake
    }
)

_IPV4_CLIENT = 24
_IPV6_CLIENT = 64


class Drop(StrEnum):
    """Why a datagram got no answer."""

    NO_ANSWER = "no_answer"
    NOT_UNICAST = "not_unicast"
    RATE = "rate"
    REFLECTOR_PORT = "reflector_port"
    SEND_FAILED = "send_failed"
    TOO_SHORT = "too_short"


class DatagramGuard:
    """Decides for every datagram of one program whether it may be answered.

    One guard serves all its ports: the buckets of a client network are shared, and no port
    answers another.

    :param rate: answers a second for each client network (IPv4 /24, IPv6 /64).
    :param burst: answers at once for each of them.
    """

    def __init__(self, rate: float = 20.0, burst: float = 40.0) -> None:
        self._buckets = TokenBuckets(rate, burst)
        self._own_ports: set[int] = set()

    def add_own_port(self, port: int) -> None:
        """Learn of a port that this program answers on."""
        self._own_ports.add(port)

    def check(self, host: str, port: int, now: float) -> Drop | None:
        """Why a request from ``host`` and ``port`` gets no answer; None if it gets one.

        :param now: seconds on a clock that does not jump.
        """
        if port in REFLECTOR_PORTS or port in self._own_ports:
            return Drop.REFLECTOR_PORT
        client = rate_key(ip_address(host), ipv4=_IPV4_CLIENT, ipv6=_IPV6_CLIENT)
        return None if self._buckets.take(client, now) else Drop.RATE


Answer = Callable[[bytes], bytes | None]
