#!/usr/bin/env python3
"""Write netsuite/ip/_registry_data.py from IANA's CSV files of the special-purpose registries.

Download these two, and note the "Last Updated" of the page each belongs to:

* https://www.iana.org/assignments/iana-ipv4-special-registry/iana-ipv4-special-registry-1.csv
* https://www.iana.org/assignments/iana-ipv6-special-registry/iana-ipv6-special-registry-1.csv

    tools/update_registries.py --date 2025-10-09 iana-ipv4-*.csv iana-ipv6-*.csv

Then read the difference, and run the tests: they know the blocks of the date they were
written at. The multicast blocks are no table at IANA; they are kept by hand in
netsuite/ip/_multicast_data.py.
"""

import argparse
import csv
import datetime
import ipaddress
import re
import sys
from collections.abc import Iterator
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "netsuite" / "ip" / "_registry_data.py"

_POLICIES = ("Source", "Destination", "Forwardable", "Globally Reachable", "Reserved-by-Protocol")
_COLUMNS = ("Address Block", "Name", "RFC", *_POLICIES)
_FOOTNOTE = re.compile(r"\s*\[\d+\]")
_ANSWERS = {"True": "Y", "False": "N", "N/A": "-", "": "-"}

_HEAD = '''\
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
REGISTRY_DATE = "{date}"
'''


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("ipv4", type=Path, help="iana-ipv4-special-registry-1.csv")
    parser.add_argument("ipv6", type=Path, help="iana-ipv6-special-registry-1.csv")
    parser.add_argument("--date", required=True, help="the registries' Last Updated, YYYY-MM-DD")
    parser.add_argument("--output", type=Path, default=TARGET, help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        options.output.write_text(module(options.ipv4, options.ipv6, options.date))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"update_registries: {error}\n")
        return 1
    return 0


def module(ipv4: Path, ipv6: Path, date: str) -> str:
    """The text of ``_registry_data.py``.

    :raises ValueError: for a date or a file that is not what it should be.
    """
    datetime.date.fromisoformat(date)
    return _HEAD.format(date=date) + "".join(
        f"\n#: https://www.iana.org/assignments/iana-ipv{version}-special-registry/\n"
        f"IPV{version}_SPECIAL: tuple[Row, ...] = (\n"
        + "".join(f"{_literal(row)}\n" for row in rows(path, version))
        + ")\n"
        for version, path in ((4, ipv4), (6, ipv6))
    )


def rows(path: Path, version: int) -> Iterator[tuple[str, str, str, str]]:
    """The rows of one registry's file.

    :raises ValueError: naming the file and line that is no such row.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if missing := set(_COLUMNS) - set(reader.fieldnames or ()):
            raise ValueError(f"{path}: no column {', '.join(sorted(missing))}")
        count = 0
        for record in reader:
            try:
                yield from _rows_of(record, version)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
            count += 1
        if not count:
            raise ValueError(f"{path}: no rows")


def _rows_of(record: dict[str, str], version: int) -> Iterator[tuple[str, str, str, str]]:
    answers = "".join(_answer(record[column]) for column in _POLICIES)
    for block in _FOOTNOTE.sub("", record["Address Block"]).split(","):
        network = ipaddress.ip_network(block.strip())
        if network.version != version:
            raise ValueError(f"{network} is not of IPv{version}")
        yield str(network), " ".join(record["Name"].split()), rfc_text(record["RFC"]), answers


def _answer(cell: str) -> str:
    text = _FOOTNOTE.sub("", cell).strip()
    if text not in _ANSWERS:
        raise ValueError(f"{cell!r}: expected True, False or N/A")
    return _ANSWERS[text]


def rfc_text(cell: str) -> str:
    """A reference as people write it: ``[RFC8190][RFC919], Section 7`` and the like."""
    text = re.sub(r"\]\s*\[", "], [", " ".join(cell.split()))
    return re.sub(r"\[(?:RFC\s*(\d+)|([^]]*))\]", lambda m: f"RFC {m[1]}" if m[1] else m[2], text)


def _literal(row: tuple[str, str, str, str]) -> str:
    """A row as source, formatted as ruff would."""
    return f"    ({', '.join(_quoted(item) for item in row)}),"


def _quoted(text: str) -> str:
    literal = repr(text)
    plain = "'" not in text and '"' not in text and "\\" not in literal
    return f'"{text}"' if plain else literal


if __name__ == "__main__":
    sys.exit(main())
