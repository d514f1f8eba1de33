"""The commands and their options."""

import argparse
import sys
from collections.abc import Callable, Sequence

from netsuite._command_line import CommandParser
from netsuite.ip.cli._calc import calc, classify_command
from netsuite.ip.cli._grep import grep
from netsuite.ip.cli._sets import aggregate, diff, free
from netsuite.ip.cli._streams import Streams

Command = Callable[[argparse.Namespace, Streams], int]

_MAX_COUNT = 1_000_000
_MAX_FIELD = 1000

_DESCRIPTION = "Sums with addresses and networks, IPv4 and IPv6."
_LINES = (
    "Files have an address, network or range a line (192.0.2.5-192.0.2.9, 10.0.*.*); # starts a "
    "comment. - is the standard input, which is also read when no file is named."
)
_FOUND = (
    "Found are addresses that are not glued to letters, digits or dots: 10.0.0.1:80 and "
    "[2001:db8::1] have one, 1.2.3.4.5 and 10.0.0.1abc have none. 10.0.0.0/24 is found if all of "
    "it is in the set, ::ffff:10.0.0.1 also where 10.0.0.1 is. Status: 0 if a line was "
    "selected, 1 if none was, 2 for trouble."
)


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line.

    :raises SystemExit: after printing what was wrong with it, or help.
    """
    parser = CommandParser(prog="netsuite ip", description=_DESCRIPTION, allow_abbrev=False)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: Command, summary: str, epilog: str = "") -> argparse.ArgumentParser:
        command = commands.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + ".", epilog=epilog,
            allow_abbrev=False,
        )  # fmt: skip
        command.set_defaults(command=name, run=run)
        command.add_argument("--json", action="store_true", help="write JSON")
        command.add_argument(
            "--skip-bad", action="store_true", help="go on without lines that are wrong"
        )
        return command

    _describe(add("calc", calc, "all about addresses, networks and ranges", _LINES), "ITEM")
    _describe(
        add("classify", classify_command, "what the IANA registries say of addresses", _LINES),
        "ADDRESS",
    )

    command = add("aggregate", aggregate, "the fewest prefixes for what the files have", _LINES)
    command.add_argument("files", nargs="*", metavar="FILE")
    command.add_argument(
        "--max",
        type=_integer(1, _MAX_COUNT),
        metavar="N",
        help="no more than N, and say which addresses they have too many",
    )
    command.add_argument(
        "--exclude", action="append", default=[], metavar="FILE", help="take these away"
    )

    command = add(
        "diff", diff, "prefixes that were removed (-) and added (+)",
        f"{_LINES} Status: 0 if there are none, 1 if there are, 2 for trouble.",
    )  # fmt: skip
    command.add_argument("old", metavar="OLD")
    command.add_argument("new", metavar="NEW")

    _describe_grep(
        add("grep", grep, "lines with an address that is in a set", f"{_LINES} {_FOUND}")
    )
    _describe_free(add("free", free, "prefixes that are not in use", _LINES))
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] in commands.choices:
        # Options may stand between files, which a sub-parser's own parser would not allow.
        chosen: argparse.ArgumentParser = commands.choices[given[0]]
        return chosen.parse_intermixed_args(given[1:])
    return parser.parse_args(given)


def _describe(command: argparse.ArgumentParser, metavar: str) -> None:
    command.add_argument("items", nargs="*", metavar=metavar)
    command.add_argument(
        "-f", "--file", action="append", default=[], metavar="FILE", help="more of them, one a line"
    )


def _describe_grep(command: argparse.ArgumentParser) -> None:
    def flag(*names: str, text: str) -> None:
        command.add_argument(*names, action="store_true", help=text)

    command.add_argument(
        "prefixes", metavar="PREFIXES", help="addresses and networks with commas, or else a file"
    )
    command.add_argument("files", nargs="*", metavar="FILE")
    flag("-v", "--invert-match", text="the other lines")
    flag("-c", "--count", text="how many lines, instead of the lines")
    flag("-n", "--line-number", text="with their numbers")
    flag("-o", "--only-matching", text="the addresses, one a line, instead of the lines")
    flag("-x", "--exact", text="only where the line, or the field, is the address")
    command.add_argument(
        "--field",
        type=_integer(1, _MAX_FIELD),
        metavar="N",
        help="look only at the Nth field; they have blanks between them",
    )


def _describe_free(command: argparse.ArgumentParser) -> None:
    command.add_argument("length", type=_length, metavar="LENGTH", help="of the prefixes")
    command.add_argument(
        "--in", dest="pool", required=True, metavar="FILE",
        help="what there is to give away: a file, or prefixes with commas",
    )  # fmt: skip
    command.add_argument(
        "--used", action="append", default=[], metavar="FILE", help="what is given away: likewise"
    )
    command.add_argument(
        "--policy",
        choices=("first", "smallest"),
        default="first",
        help="the lowest one, or one from the smallest gap that is large enough; default: first",
    )
    command.add_argument(
        "--count", type=_integer(1, _MAX_COUNT), default=1, metavar="N", help="default: 1"
    )
    family = command.add_mutually_exclusive_group()
    for version in (4, 6):
        family.add_argument(
            f"-{version}", dest="family", action="store_const", const=version,
            help=f"look among IPv{version} addresses",
        )  # fmt: skip


def _integer(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise argparse.ArgumentTypeError(f"{text!r}: expected {lowest} to {highest}")
        if not lowest <= int(text) <= highest:
            raise argparse.ArgumentTypeError(f"{text!r}: expected {lowest} to {highest}")
        return int(text)

    return parse


def _length(text: str) -> int:
    return _integer(0, 128)(text.removeprefix("/"))
