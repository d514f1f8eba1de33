"""Addresses and networks: what :mod:`ipaddress` lacks. Standard library only.

``ipaddress`` objects go in and come out; everything that they do stays as it is.

* :class:`IPRange`, :class:`IPSet`: any run of addresses, and any set of them, with algebra
* :class:`PrefixMap`: values for networks, found by longest-prefix match
* :func:`collapse`, :func:`subtract`, :func:`spanning`, :func:`summarize`: lists of networks
* :func:`parse_address`, :func:`parse_lenient`, :func:`is_numeric_host`: what a text says, and
  what a system would take it for
* :func:`classify`, :func:`effective`, :func:`is_global`: the IANA registries' word
* :func:`embedded_ipv4`, :func:`mac_of`, :func:`ptr_name` and their relatives: addresses inside
  addresses and names
* :class:`AccessList`, :class:`TrustedProxies`, :func:`rate_key`: who is it, and may it come in
* :func:`truncate`, :func:`pseudonym`, :class:`CryptoPAn`: logs without addresses
* :func:`interfaces`: this machine's; the one function here that asks the system
"""

from netsuite.ip._access import AccessList, Decision, Rule
from netsuite.ip._anonymize import CryptoPAn, pseudonym, truncate
from netsuite.ip._embed import (
    WELL_KNOWN_NAT64,
    Embedding,
    EmbeddingKind,
    TeredoParts,
    embedded_ipv4,
    eui64_address,
    isatap_address,
    mac_of,
    mapped_address,
    multicast_mac,
    nat64_address,
    six_to_four_network,
    solicited_node,
    teredo_address,
    teredo_parts,
)
from netsuite.ip._errors import AddressError
from netsuite.ip._forwarded import TrustedProxies, parse_forwarded, parse_x_forwarded_for
from netsuite.ip._frozen import FrozenPrefixMap
from netsuite.ip._interfaces import Interface, interfaces
from netsuite.ip._mac import MAC, MACNotation
from netsuite.ip._names import from_ptr, ptr_name, ptr_zones
from netsuite.ip._networks import Summary, collapse, next_network, spanning, subtract, summarize
from netsuite.ip._parse import (
    HostPort,
    LenientAddress,
    Notation,
    is_numeric_host,
    parse_address,
    parse_host_port,
    parse_lenient,
    parse_network,
)
from netsuite.ip._prefixmap import PrefixMap
from netsuite.ip._range import IPRange
from netsuite.ip._rate import IPAddress, IPNetwork, rate_key
from netsuite.ip._registry import Entry, classify, effective, entries, is_global
from netsuite.ip._set import IPSet, IPSetBuilder

__all__ = [
    "MAC",
    "WELL_KNOWN_NAT64",
    "AccessList",
    "AddressError",
    "CryptoPAn",
    "Decision",
    "Embedding",
    "EmbeddingKind",
    "Entry",
    "FrozenPrefixMap",
    "HostPort",
    "IPAddress",
    "IPNetwork",
    "IPRange",
    "IPSet",
    "IPSetBuilder",
    "Interface",
    "LenientAddress",
    "MACNotation",
    "Notation",
    "PrefixMap",
    "Rule",
    "Summary",
    "TeredoParts",
    "TrustedProxies",
    "classify",
    "collapse",
    "effective",
    "embedded_ipv4",
    "entries",
    "eui64_address",
    "from_ptr",
    "interfaces",
    "is_global",
    "is_numeric_host",
    "isatap_address",
    "mac_of",
    "mapped_address",
    "multicast_mac",
    "nat64_address",
    "next_network",
    "parse_address",
    "parse_forwarded",
    "parse_host_port",
    "parse_lenient",
    "parse_network",
    "parse_x_forwarded_for",
    "pseudonym",
    "ptr_name",
    "ptr_zones",
    "rate_key",
    "six_to_four_network",
    "solicited_node",
    "spanning",
    "subtract",
    "summarize",
    "teredo_address",
    "teredo_parts",
    "truncate",
]
