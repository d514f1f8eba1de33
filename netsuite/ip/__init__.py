"""Addresses and networks: what :mod:`ipaddress` lacks. Standard library only, no I/O.

``ipaddress`` objects go in and come out.
"""

from netsuite.ip._rate import IPAddress, IPNetwork, rate_key

__all__ = ["IPAddress", "IPNetwork", "rate_key"]
