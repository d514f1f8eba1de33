"""Numbers as people write them: ``500ms``, ``2M``, ``yes``.

Each function raises :exc:`ValueError` with a message for people: what was given, and what
was expected.
"""

import re
from math import isfinite

_NUMBER = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*(?P<unit>[a-zA-Z]*)\Z", re.ASCII)
_WHOLE = re.compile(r"[0-9]{1,18}\Z", re.ASCII)

_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_BYTES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
_SIZES = {**_BYTES, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30}
_PLAIN = {"": 1.0}

SECONDS = "seconds, such as 10 or 1.5, or with a unit: 500ms, 2m, 1h"
BYTES = "bytes a second, such as 64000, or with a unit: 500k, 2M, 1G (k is 1000)"
SIZE = (
    "bytes, such as 65536, or with a unit: 64k, 10M, 1G (k is 1000), 64Ki, 64Mi, 1Gi (Ki is 1024)"
)
NUMBER = "a number of 0 or more, such as 20 or 0.5"
WHOLE = "a whole number, such as 100"
BOOLEAN = "1, true, yes or on, or 0, false, no or off"

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


def parse_seconds(text: str) -> float:
    """``10``, ``1.5``, ``500ms``, ``2m``, ``1h`` or ``1d`` in seconds."""
    return _quantity(text, _SECONDS, SECONDS)


def parse_byte_rate(text: str) -> float:
    """``64000``, ``500k``, ``2M`` or ``1G`` in bytes a second."""
    return _quantity(text, _BYTES, BYTES)


def parse_size(text: str) -> int:
    """``65536``, ``64k``, ``10M``, ``1G``, ``64Ki``, ``64Mi`` or ``1Gi`` in whole bytes."""
    return int(_quantity(text, _SIZES, SIZE))


def parse_number(text: str) -> float:
    """A number without a unit."""
    return _quantity(text, _PLAIN, NUMBER)


def parse_whole(text: str) -> int:
    """A number without a fraction."""
    digits = text.strip()
    if _WHOLE.match(digits):
        return int(digits)
    raise ValueError(_no_number(text, WHOLE))


def parse_boolean(text: str) -> bool:
    """Yes or no, in any of the usual words."""
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(f"{text!r} is neither yes nor no: expected {BOOLEAN}")
    return word in _TRUE


def _quantity(text: str, units: dict[str, float], expected: str) -> float:
    match = _NUMBER.match(text.strip())
    if match is None or match["unit"] not in units:
        raise ValueError(_no_number(text, expected))
    # To divide keeps 500ms exact, where to multiply by 0.001 would not.
    factor = units[match["unit"]]
    number = float(match["number"])
    value = number * factor if factor >= 1 else number / round(1 / factor)
    if not isfinite(value):
        raise ValueError(f"{text!r} is too large: expected {expected}")
    return value


def _no_number(text: str, expected: str) -> str:
    """What to say of a text that is no number, or one that no quantity can be."""
    try:
        number = float(text)
    except ValueError:
        return f"{text!r} is not a number: expected {expected}"
    if number < 0:
        return f"{text!r} is less than 0: expected {expected}"
    if not isfinite(number):
        return f"{text!r} is not a finite number: expected {expected}"
    return f"{text!r} is not written as expected: {expected}"
