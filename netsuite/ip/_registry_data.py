"""The IANA special-purpose address registries (RFC 6890, RFC 8190), row for row.

Written by tools/update_registries.py: edit that, not this. The rows are IANA's, who give
them to the public domain (CC0).

A row is: block, name, RFC, and a letter for each of: source, destination, forwardable,
globally reachable, reserved by protocol. "Y" is True and "N" is False; "-" is the registry's
"N/A", or a block that was given back: no answer. A row of two blocks is two rows here;
footnotes are left out.
"""

Row = tuple[str, str, str, str]

#: The "Last Updated" of both registries when this was written.
REGISTRY_DATE = "2025-10-09"

#: https://www.iana.org/assignments/iana-ipv4-special-registry/
IPV4_SPECIAL: tuple[Row, ...] = (
    ("0.0.0.0/8", '"This network"', "RFC 791, Section 3.2", "YNNNY"),
    ("0.0.0.0/32", '"This host on this network"', "RFC 1122, Section 3.2.1.3", "YNNNY"),
    ("10.0.0.0/8", "Private-Use", "RFC 1918", "YYYNN"),
    ("100.64.0.0/10", "Shared Address Space", "RFC 6598", "YYYNN"),
    ("127.0.0.0/8", "Loopback", "RFC 1122, Section 3.2.1.3", "NNNNY"),
    ("169.254.0.0/16", "Link Local", "RFC 3927", "YYNNY"),
    ("172.16.0.0/12", "Private-Use", "RFC 1918", "YYYNN"),
    ("192.0.0.0/24", "IETF Protocol Assignments", "RFC 6890, Section 2.1", "NNNNN"),
    ("192.0.0.0/29", "IPv4 Service Continuity Prefix", "RFC 7335", "YYYNN"),
    ("192.0.0.8/32", "IPv4 dummy address", "RFC 7600", "YNNNN"),
    ("192.0.0.9/32", "Port Control Protocol Anycast", "RFC 7723", "YYYYN"),
    ("192.0.0.10/32", "Traversal Using Relays around NAT Anycast", "RFC 8155", "YYYYN"),
    ("192.0.0.170/32", "NAT64/DNS64 Discovery", "RFC 8880, RFC 7050, Section 2.2", "NNNNY"),
    ("192.0.0.171/32", "NAT64/DNS64 Discovery", "RFC 8880, RFC 7050, Section 2.2", "NNNNY"),
    ("192.0.2.0/24", "Documentation (TEST-NET-1)", "RFC 5737", "NNNNN"),
    ("192.31.196.0/24", "AS112-v4", "RFC 7535", "YYYYN"),
    ("192.52.193.0/24", "AMT", "RFC 7450", "YYYYN"),
    ("192.88.99.0/24", "Deprecated (6to4 Relay Anycast)", "RFC 7526", "-----"),
    ("192.88.99.2/32", "6a44-relay anycast address", "RFC 6751", "YYYNN"),
    ("192.168.0.0/16", "Private-Use", "RFC 1918", "YYYNN"),
    ("192.175.48.0/24", "Direct Delegation AS112 Service", "RFC 7534", "YYYYN"),
    ("198.18.0.0/15", "Benchmarking", "RFC 2544", "YYYNN"),
    ("198.51.100.0/24", "Documentation (TEST-NET-2)", "RFC 5737", "NNNNN"),
    ("203.0.113.0/24", "Documentation (TEST-NET-3)", "RFC 5737", "NNNNN"),
    ("240.0.0.0/4", "Reserved", "RFC 1112, Section 4", "NNNNY"),
    ("255.255.255.255/32", "Limited Broadcast", "RFC 8190, RFC 919, Section 7", "NYNNY"),
)

#: https://www.iana.org/assignments/iana-ipv6-special-registry/
IPV6_SPECIAL: tuple[Row, ...] = (
    ("::1/128", "Loopback Address", "RFC 4291", "NNNNY"),
    ("::/128", "Unspecified Address", "RFC 4291", "YNNNY"),
    ("::ffff:0:0/96", "IPv4-mapped Address", "RFC 4291", "NNNNY"),
    ("64:ff9b::/96", "IPv4-IPv6 Translat.", "RFC 6052", "YYYYN"),
    ("64:ff9b:1::/48", "IPv4-IPv6 Translat.", "RFC 8215", "YYYNN"),
    ("100::/64", "Discard-Only Address Block", "RFC 6666", "YYYNN"),
    ("100:0:0:1::/64", "Dummy IPv6 Prefix", "RFC 9780", "YNNNN"),
    ("2001::/23", "IETF Protocol Assignments", "RFC 2928", "NNNNN"),
    ("2001::/32", "TEREDO", "RFC 4380, RFC 8190", "YYY-N"),
    ("2001:1::1/128", "Port Control Protocol Anycast", "RFC 7723", "YYYYN"),
    ("2001:1::2/128", "Traversal Using Relays around NAT Anycast", "RFC 8155", "YYYYN"),
    ("2001:1::3/128", "DNS-SD Service Registration Protocol Anycast", "RFC 9665", "YYYYN"),
    ("2001:2::/48", "Benchmarking", "RFC 5180, RFC Errata 1752", "YYYNN"),
    ("2001:3::/32", "AMT", "RFC 7450", "YYYYN"),
    ("2001:4:112::/48", "AS112-v6", "RFC 7535", "YYYYN"),
    ("2001:10::/28", "Deprecated (previously ORCHID)", "RFC 4843", "-----"),
    ("2001:20::/28", "ORCHIDv2", "RFC 7343", "YYYYN"),
    ("2001:30::/28", "Drone Remote ID Protocol Entity Tags (DETs) Prefix", "RFC 9374", "YYYYN"),
    ("2001:db8::/32", "Documentation", "RFC 3849", "NNNNN"),
    ("2002::/16", "6to4", "RFC 3056", "YYY-N"),
    ("2620:4f:8000::/48", "Direct Delegation AS112 Service", "RFC 7534", "YYYYN"),
    ("3fff::/20", "Documentation", "RFC 9637", "NNNNN"),
    ("5f00::/16", "Segment Routing (SRv6) SIDs", "RFC 9602", "YYYNN"),
    ("fc00::/7", "Unique-Local", "RFC 4193, RFC 8190", "YYYNN"),
    ("fe80::/10", "Link-Local Unicast", "RFC 4291", "YYNNY"),
)
