"""Blocks that are in no special-purpose registry: multicast, and a block that was given up.

Kept by hand. IANA has no table of multicast blocks: those of IPv4 are the headings of the
IPv4 Multicast Address Space registry (RFC 5771; as of 2026-06-26), those of IPv6 are its
scopes (RFC 7346 section 2; registry as of 2026-04-07).

The letters are as in :mod:`netsuite.ip._registry_data`, but nobody registers them: here they
follow from the RFCs. A group is never a source (RFC 1112 section 7.2, RFC 4291 section 2.7);
it is "globally reachable: no" where its scope ends before the Internet, and has no answer
elsewhere. The blocks were taken from a published copy of the registry's page and agree with
RFC 5771 as remembered; the scopes are from memory of RFC 7346.
"""

from netsuite.ip._registry_data import Row

MULTICAST_DATE = "2026-06-26"

#: As Row, with ranges for blocks: they need not be prefixes.
IPV4_MULTICAST: tuple[Row, ...] = (
    ("224.0.0.0-224.0.0.255", "Local Network Control Block", "RFC 5771", "NYNNN"),
    ("224.0.1.0-224.0.1.255", "Internetwork Control Block", "RFC 5771", "NYY-N"),
    ("224.0.2.0-224.0.255.255", "AD-HOC Block I", "RFC 5771", "NYY-N"),
    ("224.1.0.0-224.1.255.255", "Reserved multicast", "RFC 5771", "N---N"),
    ("224.2.0.0-224.2.255.255", "SDP/SAP Block", "RFC 5771", "NYY-N"),
    ("224.3.0.0-224.4.255.255", "AD-HOC Block II", "RFC 5771", "NYY-N"),
    ("224.5.0.0-224.251.255.255", "Reserved multicast", "RFC 5771", "N---N"),
    ("224.252.0.0-224.255.255.255", "DIS Transient Groups", "RFC 2365", "NYY-N"),
    ("225.0.0.0-231.255.255.255", "Reserved multicast", "RFC 5771", "N---N"),
    ("232.0.0.0-232.255.255.255", "Source-Specific Multicast Block", "RFC 4607", "NYY-N"),
    ("233.0.0.0-233.251.255.255", "GLOP Block", "RFC 3180", "NYY-N"),
    ("233.252.0.0-233.252.0.255", "MCAST-TEST-NET (documentation)", "RFC 6676", "NNNNN"),
    ("233.252.1.0-233.255.255.255", "AD-HOC Block III", "RFC 5771", "NYY-N"),
    ("234.0.0.0-234.255.255.255", "Unicast-Prefix-based Multicast", "RFC 6034", "NYY-N"),
    ("235.0.0.0-238.255.255.255", "Reserved multicast", "RFC 5771", "N---N"),
    ("239.0.0.0-239.255.255.255", "Organization-Local Scope", "RFC 2365", "NYYNN"),
)

#: By the four bits of scope; the other values are unassigned or reserved.
IPV6_MULTICAST_SCOPES: dict[int, tuple[str, str]] = {
    0x1: ("Interface-Local multicast scope", "NYNNN"),
    0x2: ("Link-Local multicast scope", "NYNNN"),
    0x3: ("Realm-Local multicast scope", "NYYNN"),
    0x4: ("Admin-Local multicast scope", "NYYNN"),
    0x5: ("Site-Local multicast scope", "NYYNN"),
    0x8: ("Organization-Local multicast scope", "NYYNN"),
    0xE: ("Global multicast scope", "NYY-N"),
}

IPV6_OTHER: tuple[Row, ...] = (
    ("ff00::/8", "Multicast of no assigned scope", "RFC 4291, Section 2.7", "N---N"),
    ("fec0::/10", "Deprecated (site-local)", "RFC 3879", "----N"),
)
