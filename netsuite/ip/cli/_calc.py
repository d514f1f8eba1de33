"""``netsuite ip calc`` and ``classify``: all that can be said of an address or a network."""

from argparse import Namespace
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address, ip_interface

from netsuite.ip._embed import embedded_ipv4, mac_of
from netsuite.ip._errors import AddressError
from netsuite.ip._names import ptr_name, ptr_zones
from netsuite.ip._networks import spanning
from netsuite.ip._range import BITS, IPRange
from netsuite.ip._rate import IPAddress, IPNetwork
from netsuite.ip._registry import Entry, classify, effective, is_global
from netsuite.ip.cli._input import read_items
from netsuite.ip.cli._streams import Streams

Fields = dict[str, object]
Item = IPRange | tuple[IPAddress, IPNetwork]

_WIDTH = 22
_SHOWN = 8  # items of a list in text; JSON has all
_MAX_PREFIXES = 256  # of a range, in JSON too: an IPv6 range has at most 254
_NAMES = {"ipv4": "IPv4", "ipv6": "IPv6", "rfc": "RFC", "mac": "MAC"}


def calc(options: Namespace, streams: Streams) -> int:
    """Print what addresses, networks and ranges come to."""
    items = read_items(options.items, options.file, item_of, streams, options.skip_bad)
    _print([item_fields(text, item) for text, item in items], options, streams)
    return 0


def classify_command(options: Namespace, streams: Streams) -> int:
    """Print what the registries say of addresses."""
    items = read_items(options.items, options.file, address_of, streams, options.skip_bad)
    _print([class_fields(text, address) for text, address in items], options, streams)
    return 0


def item_of(text: str) -> Item:
    """A range, or an address and the network that it is in, itself alone if none is given.

    :raises AddressError: for any other text.
    """
    try:
        found = ip_interface(text)
    except ValueError:
        return IPRange.parse(text)
    return found.ip, found.network


def address_of(text: str) -> IPAddress:
    """An address.

    :raises AddressError: for any other text.
    """
    try:
        return ip_address(text)
    except ValueError:
        raise AddressError(text, "an IPv4 or IPv6 address") from None


def item_fields(text: str, item: Item) -> Fields:
    """What there is to say of an item.

    :param text: that it was written as.
    """
    return _range_fields(text, item) if isinstance(item, IPRange) else _fields(text, *item)


def _fields(text: str, address: IPAddress, network: IPNetwork) -> Fields:
    """An address in its network."""
    first, last = network.network_address, network.broadcast_address
    single = network.prefixlen == BITS[network.version]
    fields: Fields = {"input": text, "address": str(address)}
    if isinstance(address, IPv6Address):
        fields["expanded"] = IPv6Address(int(address)).exploded
    fields["network"] = str(network)
    if network.version == 4:
        point_to_point = network.prefixlen >= 31  # RFC 3021
        fields |= {
            "mask": str(network.netmask),
            "wildcard": str(network.hostmask),
            "broadcast": None if point_to_point else str(last),
            "first_host": str(first if point_to_point else first + 1),
            "last_host": str(last if point_to_point else last - 1),
            "hosts": network.num_addresses - (0 if point_to_point else 2),
        }
    else:
        fields |= {"first_address": str(first), "last_address": str(last)}
    fields["size"] = network.num_addresses
    fields["class"] = _entry_fields(classify(address))
    fields["reverse"] = ptr_name(address)
    fields["zones"] = None if single else ptr_zones(network)
    fields |= _numbers(address)
    if isinstance(address, IPv6Address):
        fields["embedded"] = [
            {"kind": str(found.kind), "ipv4": str(found.ipv4)} for found in embedded_ipv4(address)
        ]
        mac = mac_of(address)
        fields["mac"] = None if mac is None else str(mac)
    return fields


def _numbers(address: IPAddress) -> Fields:
    return {"hex": f"0x{address.packed.hex()}", "integer": int(address)}


def _range_fields(text: str, item: IPRange) -> Fields:
    prefixes = [str(prefix) for prefix in item.prefixes()]
    return {
        "input": text,
        "first_address": str(item.first),
        "last_address": str(item.last),
        "size": item.size,
        "prefixes": prefixes,
        "spanning": str(spanning([item])),
        "class": _entry_fields(classify(item.first)),
        "class_of_last": _entry_fields(classify(item.last)),
    }


def _entry_fields(entry: Entry) -> Fields:
    return {
        "name": entry.name,
        "block": str(entry.block),
        "rfc": entry.rfc,
        "source": entry.source,
        "destination": entry.destination,
        "forwardable": entry.forwardable,
        "globally_reachable": entry.globally_reachable,
        "reserved_by_protocol": entry.reserved_by_protocol,
    }


def class_fields(text: str, address: IPAddress) -> Fields:
    """What the registries say of an address.

    :param text: that it was written as.
    """
    return {
        "input": text,
        **_entry_fields(classify(address)),
        "effective": [
            {"address": str(each), "name": classify(each).name} for each in effective(address)
        ],
        "is_global": is_global(address),
    }


def _print(items: list[Fields], options: Namespace, streams: Streams) -> None:
    if options.json:
        streams.write_json(items)
        return
    streams.write("\n".join("".join(map(field_line, item.items())) for item in items))


def field_line(field: tuple[str, object]) -> str:
    """A field as people read it; nothing for what is not there."""
    name, value = field
    text = _text(value)
    if not text:
        return ""
    label = " ".join(_NAMES.get(word, word) for word in name.split("_"))
    return f"{label[0].upper() + label[1:]:{_WIDTH}}{text}\n"


def _text(value: object) -> str:
    """A value as people read it; empty for what is not there."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        shown = ", ".join(_text(each) for each in value[:_SHOWN])
        return f"{shown}, ... ({len(value)})" if len(value) > _SHOWN else shown
    if not isinstance(value, Mapping):
        return str(value)
    if "block" not in value:
        return " ".join(str(each) for each in value.values())
    rfc = f", {value['rfc']}" if value["rfc"] else ""
    reachable = {True: "", False: ", not global", None: ", perhaps not global"}
    return f"{value['name']} ({value['block']}{rfc}{reachable[value['globally_reachable']]})"
