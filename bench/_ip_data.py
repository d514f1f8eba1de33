"""Prefixes and addresses that look like the Internet's, the same ones at every run."""

import random
from dataclasses import dataclass
from socket import AF_INET, inet_ntop

# How many of 100,000 prefixes of a full IPv4 table have which length: about 62 % are /24.
LENGTHS = {
    8: 1,
    9: 1,
    10: 4,
    11: 10,
    12: 29,
    13: 58,
    14: 118,
    15: 205,
    16: 1370,
    17: 850,
    18: 1450,
    19: 2500,
    20: 4500,
    21: 5300,
    22: 11000,
    23: 10500,
    24: 62104,
}
MOST_SHORT = 5
"""Prefixes of length 12 or less in one table: each of them would swallow too much of the rest."""

FIRST, LAST = 1 << 24, (224 << 24) - 1  # 1.0.0.0 to 223.255.255.255


def table(count: int, seed: int) -> list[str]:
    """Make different prefixes, in random order, as text."""
    chosen = random.Random(seed)
    found: set[tuple[int, int]] = set()
    short = 0
    while len(found) < count:
        [length] = chosen.choices(list(LENGTHS), cum_weights=_CUMULATED)
        if length <= 12:
            short += 1
            if short > MOST_SHORT:
                continue
        found.add((chosen.randint(FIRST, LAST) >> (32 - length), length))
    rows = sorted(found)
    chosen.shuffle(rows)
    return [f"{_text(value << (32 - length))}/{length}" for value, length in rows]


def addresses(count: int, seed: int) -> list[int]:
    """Make unicast addresses, as integers."""
    chosen = random.Random(seed)
    return [chosen.randint(FIRST, LAST) for _ in range(count)]


def log(values: list[int]) -> str:
    """Make a line of a web server's log for each address."""
    return "".join(
        f'{_text(value)} - - [10/Oct/2026:13:55:36 +0000] "GET /{number} HTTP/1.1" 200 5120\n'
        for number, value in enumerate(values)
    )


def texts(values: list[int]) -> list[str]:
    """Write addresses as text."""
    return [_text(value) for value in values]


def _text(value: int) -> str:
    return inet_ntop(AF_INET, value.to_bytes(4, "big"))


def _cumulate() -> list[int]:
    total, sums = 0, []
    for weight in LENGTHS.values():
        total += weight
        sums.append(total)
    return sums


_CUMULATED = _cumulate()


@dataclass(frozen=True)
class Data:
    """What one run works on."""

    prefixes: list[str]
    """The large table."""

    queries: list[int]
    small: tuple[list[str], list[str]]
    """Two tables for peers that are slow."""

    medium: list[str]
    """For aggregation and grep."""

    @classmethod
    def of(cls, prefixes: int, small: int, medium: int, queries: int) -> "Data":
        """Make it all, from fixed seeds."""
        return cls(
            prefixes=table(prefixes, 1),
            queries=addresses(queries, 2),
            small=(table(small, 3), table(small, 4)),
            medium=table(medium, 5),
        )
