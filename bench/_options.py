"""Types for command line options: what is wrong is named, with what was expected."""

import os
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

Item = TypeVar("Item")


def integer(highest: int) -> Callable[[str], int]:
    """Make the type of an integer from 1 to a highest one."""

    def parse(text: str) -> int:
        if not (text.isdecimal() and 1 <= int(text) <= highest):
            raise ArgumentTypeError(f"{text!r} is not an integer from 1 to {highest}")
        return int(text)

    return parse


def seconds(longest: float) -> Callable[[str], float]:
    """Make the type of a time above zero and up to a longest one."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value <= longest:
            raise ArgumentTypeError(f"{text!r} is not a time in seconds, up to {longest:g}")
        return value

    return parse


def one_of(names: Collection[str]) -> Callable[[str], str]:
    """Make the type of a name among some."""

    def parse(text: str) -> str:
        if text not in names:
            raise ArgumentTypeError(f"{text!r} is not one of {', '.join(names)}")
        return text

    return parse


def several(parse_item: Callable[[str], Item]) -> Callable[[str], list[Item]]:
    """Make the type of a list with commas. An item that comes twice counts once."""

    def parse(text: str) -> list[Item]:
        return list(dict.fromkeys(parse_item(word.strip()) for word in text.split(",")))

    return parse


def new_file(text: str) -> Path:
    """Take the path of a file that can be written."""
    path = Path(text)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ArgumentTypeError(f"{text!r} cannot be written")
    return path


def add_peers_and_json(parser: ArgumentParser, peers: Collection[str]) -> None:
    """Declare what every benchmark has: who takes part, and a file for the numbers."""
    parser.add_argument(
        "--peers",
        type=several(one_of(peers)),
        default=list(peers),
        metavar="NAME,...",
        help=f"default: {','.join(peers)}",
    )
    parser.add_argument("--json", type=new_file, metavar="FILE", help="write every number here too")
