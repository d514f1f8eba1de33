"""Addresses and networks: what :mod:`ipaddress` lacks. Standard library only, no I/O.

``ipaddress`` objects go in and come out.
"""

from netsuite.ip._errors import AddressError
from netsuite.ip._rate import IPAddress, IPNetwork, rate_key

__all__ = ["AddressError", "IPAddress", "IPNetwork", "rate_key"]
