"""Addresses and networks: what :mod:`ipaddress` lacks. Standard library only.

``ipaddress`` objects go in and come out; everything that they do stays as it is.

* :class:`IPRange`, :class:`IPSet`: any run of addresses, and any set of them, with algebra
* :class:`PrefixMap`: values for networks, found by longest-prefix match
* :func:`collapse`, :func:`subtract`, :func:`spanning`, :func:`summarize`: lists of networks
"""

from netsuite.ip._errors import AddressError
from netsuite.ip._frozen import FrozenPrefixMap
from netsuite.ip._networks import Summary, collapse, next_network, spanning, subtract, summarize
from netsuite.ip._prefixmap import PrefixMap
from netsuite.ip._range import IPRange
from netsuite.ip._rate import IPAddress, IPNetwork, rate_key
from netsuite.ip._set import IPSet, IPSetBuilder

__all__ = [
    "AddressError",
    "FrozenPrefixMap",
    "IPAddress",
    "IPNetwork",
    "IPRange",
    "IPSet",
    "IPSetBuilder",
    "PrefixMap",
    "Summary",
    "collapse",
    "next_network",
    "rate_key",
    "spanning",
    "subtract",
    "summarize",
]
