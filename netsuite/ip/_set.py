"""Sets of addresses of both families: immutable values with the algebra of sets."""

import json
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from random import Random
from socket import AF_INET, inet_ntop
from sys import byteorder
from typing import Any

from netsuite.ip import _intervals
from netsuite.ip._bulk import ipv4_intervals
from netsuite.ip._errors import AddressError
from netsuite.ip._intervals import Intervals
from netsuite.ip._range import BITS, IPRange, _key_of, to_address, to_network
from netsuite.ip._rate import IPAddress, IPNetwork

_VERSIONS = (4, 6)
# The text of an IPv4 address without making the address; IPv6's is ipaddress's own form.
_TO_TEXT = {
    4: lambda value: inet_ntop(AF_INET, value.to_bytes(4, "big")),
    6: lambda value: str(to_address(value, 6)),
}
_INDEXED = 1024  # so many ranges are worth an index
_PACKED = 2**16  # so many are worth the time that it takes to save memory
_LAST = {version: 2**bits - 1 for version, bits in BITS.items()}


class IPSet:
    """Some of all addresses, IPv4 and IPv6.

    Equal sets are equal and have the same hash, however they were made. The two families
    are kept apart: ``10.0.0.1`` is not in a set that has ``::ffff:10.0.0.1``.

    :param items: addresses, networks, ranges, sets and texts, in any mix and order.
    :raises AddressError: for a text that is none of those.
    """

    __slots__ = ("_bounds", "_families", "_hash", "_index")

    def __init__(
        self, items: "Iterable[IPAddress | IPNetwork | IPRange | IPSet | str]" = ()
    ) -> None:
        if isinstance(items, list | tuple):  # it may well be of IPv4 texts alone
            read = ipv4_intervals(items)
            if read is not None:
                self._set({4: read, 6: _intervals.EMPTY})
                return
        pairs: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
        texts: list[str] = []
        others: list[str] = []
        for item in items:
            if isinstance(item, str):
                (others if ":" in item else texts).append(item)
            elif isinstance(item, IPSet):
                for version in _VERSIONS:
                    pairs[version] += zip(*item._families[version], strict=True)
            else:
                version, first, last = _key_of(item)
                pairs[version].append((first, last))
        # IPv4 addresses and networks are read all at once, the rest one by one.
        quick = ipv4_intervals(texts)
        for text in others if quick is not None else texts + others:
            version, first, last = IPRange.parse(text)._key
            pairs[version].append((first, last))
        families = {version: _intervals.merge(pairs[version]) for version in _VERSIONS}
        if quick is not None:
            families[4] = _intervals.union(families[4], quick)
        self._set(families)

    def _set(self, families: dict[int, Intervals]) -> None:
        self._families = {4: _packed(families[4]), 6: families[6]}
        self._hash: int | None = None
        # For large sets, made when first asked: see _indexed.
        self._index: array[int] | None = None
        self._bounds = array("H")

    @classmethod
    def _of(cls, families: dict[int, Intervals]) -> "IPSet":
        made = cls.__new__(cls)
        made._set(families)
        return made

    @classmethod
    def builder(cls) -> "IPSetBuilder":
        """What collects additions and removals, in order, for one set."""
        return IPSetBuilder()

    # What is in it.

    def __contains__(self, item: "IPAddress | IPNetwork | IPRange | str") -> bool:
        """Whether all of ``item`` is in the set."""
        version, first, last = _key_of(IPRange.parse(item) if isinstance(item, str) else item)
        return _intervals.contains(self._families[version], first, last)

    def contains_int(self, value: int, version: int) -> bool:
        """Whether the address of a family with a value is in the set; the quickest way to ask."""
        index = self._index
        if index is not None and version == 4:
            high = value >> 16
            place = bisect_right(self._bounds, value & 0xFFFF, index[high], index[high + 1])
            return place & 1 == 1
        starts, ends = self._families[version]
        if version == 4 and len(starts) >= _INDEXED:
            self._bounds, self._index = _indexed(self._families[4])
            return self.contains_int(value, version)
        place = bisect_right(starts, value) - 1
        return place >= 0 and value <= ends[place]

    def overlaps(self, other: "IPAddress | IPNetwork | IPRange | IPSet") -> bool:
        """Whether some address is in both."""
        if isinstance(other, IPSet):
            return bool(self & other)
        version, first, last = _key_of(other)
        return _intervals.touches(self._families[version], first, last)

    def isdisjoint(self, other: "IPSet") -> bool:
        """Whether no address is in both."""
        return not self & other

    @property
    def size(self) -> int:
        """How many addresses there are; more than ``len`` could tell."""
        return sum(_intervals.size(family) for family in self._families.values())

    def __bool__(self) -> bool:
        return any(family.starts for family in self._families.values())

    def ranges(self) -> Iterator[IPRange]:
        """The fewest ranges that make it up, in order, IPv4 before IPv6."""
        for version, (starts, ends) in self._families.items():
            for first, last in zip(starts, ends, strict=True):
                yield IPRange(to_address(first, version), to_address(last, version))

    def prefixes(self) -> Iterator[IPNetwork]:
        """The fewest networks that make it up, in order, IPv4 before IPv6."""
        for value, length, version in self._prefixes():
            yield to_network(value, length, version)

    def _prefixes(self) -> Iterator[tuple[int, int, int]]:
        for version, (starts, ends) in self._families.items():
            bits = BITS[version]
            for first, last in zip(starts, ends, strict=True):
                for value, length in _intervals.prefixes(first, last, bits):
                    yield value, length, version

    def nth(self, index: int) -> IPAddress:
        """The address at a place: 0 is the first, -1 the last; IPv4 before IPv6.

        :raises IndexError: if there are not so many.
        """
        size = self.size
        place = index + size if index < 0 else index
        if not 0 <= place < size:
            raise IndexError(f"{index} of {size} addresses")
        for version, family in self._families.items():
            size = _intervals.size(family)
            if place < size:
                return to_address(_value_at(family, place), version)
            place -= size
        raise AssertionError("sizes do not add up")

    def sample(self, count: int, random: Random | None = None) -> list[IPAddress]:
        """``count`` different addresses, each as likely as the others.

        :raises ValueError: if there are not so many.
        """
        size = self.size
        if not 0 <= count <= size:
            raise ValueError(f"{count} of {size} addresses")
        chooser = random or Random()  # noqa: S311 - a sample, not a secret
        if 2 * count > size:  # many of few: repeats would be many too
            places = chooser.sample(range(size), count)
        else:
            chosen: dict[int, None] = {}
            while len(chosen) < count:
                chosen[chooser.randrange(size)] = None
            places = list(chosen)
        return [self.nth(place) for place in places]

    def free_prefix(
        self, length: int, version: int = 4, *, policy: str = "first"
    ) -> "tuple[IPNetwork, IPSet] | None":
        """A network of the set to hand out, and the set without it.

        :param length: of the network.
        :param policy: ``first`` takes the lowest address; ``smallest`` cuts the smallest
            free network that is large enough, and so keeps the large ones whole.
        :returns: None if there is none so large.
        :raises ValueError: for a length, version or policy that there is not.
        """
        bits = BITS.get(version, -1)
        if not 0 <= length <= bits or policy not in {"first", "smallest"}:
            raise ValueError(
                f"length {length}, version {version}, policy {policy!r}: "
                "expected a length of the family, 4 or 6, 'first' or 'smallest'"
            )
        fitting = [
            (value, free) for value, free, family in self._prefixes()
            if family == version and free <= length
        ]  # fmt: skip
        if not fitting:
            return None
        value, _ = fitting[0] if policy == "first" else max(fitting, key=lambda found: found[1])
        network = to_network(value, length, version)
        return network, self - IPSet([network])

    # Algebra.

    def _with(self, other: object, operation: Callable[[Intervals, Intervals], Intervals]) -> Any:
        if not isinstance(other, IPSet):
            return NotImplemented
        return IPSet._of(
            {each: operation(self._families[each], other._families[each]) for each in _VERSIONS}
        )

    def __or__(self, other: "IPSet") -> "IPSet":
        result: IPSet = self._with(other, _intervals.union)
        return result

    def __and__(self, other: "IPSet") -> "IPSet":
        result: IPSet = self._with(other, _intervals.intersection)
        return result

    def __sub__(self, other: "IPSet") -> "IPSet":
        result: IPSet = self._with(other, _intervals.difference)
        return result

    def __xor__(self, other: "IPSet") -> "IPSet":
        result: IPSet = self._with(other, _intervals.symmetric_difference)
        return result

    def complement(self, within: "IPSet | None" = None) -> "IPSet":
        """All the other addresses.

        :param within: of these; of both families if not given.
        """
        if within is not None:
            return within - self
        return IPSet._of(
            {
                each: _intervals.complement(self._families[each], 0, _LAST[each])
                for each in _VERSIONS
            }
        )

    def __invert__(self) -> "IPSet":
        return self.complement()

    def __le__(self, other: "IPSet") -> bool:
        return all(
            _intervals.is_subset(self._families[each], other._families[each]) for each in _VERSIONS
        )

    def __lt__(self, other: "IPSet") -> bool:
        return self <= other and self != other

    def __ge__(self, other: "IPSet") -> bool:
        return other <= self

    def __gt__(self, other: "IPSet") -> bool:
        return other < self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IPSet):
            return NotImplemented
        return all(
            list(mine.starts) == list(theirs.starts) and list(mine.ends) == list(theirs.ends)
            for mine, theirs in zip(self._families.values(), other._families.values(), strict=True)
        )

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(
                tuple(tuple(bounds) for family in self._families.values() for bounds in family)
            )
        return self._hash

    # Texts.

    def to_text(self) -> str:
        """Its networks, one a line; :meth:`from_text` reads it back."""
        return "".join(
            f"{_TO_TEXT[version](value)}/{length}\n" for value, length, version in self._prefixes()
        )

    @classmethod
    def from_text(cls, text: str) -> "IPSet":
        """The set of the items in ``text``: one a line, ``#`` starts a comment.

        :raises AddressError: naming the line's number.
        """
        lines = text.splitlines()
        items = [line.partition("#")[0].strip() for line in lines]
        try:
            return cls([item for item in items if item])
        except AddressError:
            for number, item in enumerate(items, start=1):
                try:
                    cls([item] if item else [])
                except AddressError as error:
                    raise AddressError(item, f"{error.expected} (line {number})") from None
            raise

    def to_json(self) -> str:
        """A list of its networks as texts; :meth:`from_json` reads it back."""
        return json.dumps([str(network) for network in self.prefixes()])

    @classmethod
    def from_json(cls, text: str) -> "IPSet":
        """The set that :meth:`to_json` wrote.

        :raises AddressError: if it is no list of texts that name addresses.
        """
        try:
            items: Any = json.loads(text)
        except ValueError as error:
            raise AddressError(text[:40], f"JSON ({error})") from None
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise AddressError(text[:40], "a JSON list of texts")
        return cls(items)

    def __repr__(self) -> str:
        shown = [str(network) for _, network in zip(range(5), self.prefixes(), strict=False)]
        more = ", ..." if len(shown) == 5 else ""
        return f"<IPSet {', '.join(shown[:4])}{more}>" if shown else "<IPSet empty>"


class IPSetBuilder:
    """Collects additions and removals, and makes the set of what is left.

    It works when it is asked for the set, so that adding one by one costs no more than
    adding all at once.
    """

    def __init__(self) -> None:
        self._done = IPSet()
        self._adding = True
        self._items: list[IPAddress | IPNetwork | IPRange | IPSet | str] = []

    def add(self, *items: "IPAddress | IPNetwork | IPRange | IPSet | str") -> "IPSetBuilder":
        """Put addresses in; returns the builder."""
        return self._collect(True, items)

    def remove(self, *items: "IPAddress | IPNetwork | IPRange | IPSet | str") -> "IPSetBuilder":
        """Take addresses out; returns the builder."""
        return self._collect(False, items)

    def _collect(self, adding: bool, items: Iterable[Any]) -> "IPSetBuilder":
        if adding != self._adding:
            self._apply()
            self._adding = adding
        self._items += items
        return self

    def _apply(self) -> None:
        items, self._items = self._items, []
        if items:
            made = IPSet(items)
            self._done = self._done | made if self._adding else self._done - made

    def build(self) -> IPSet:
        """The set so far; building may go on.

        :raises AddressError: for a text that names no address.
        """
        self._apply()
        return self._done


def _packed(family: Intervals) -> Intervals:
    """IPv4 bounds in arrays of four bytes each, if they are very many.

    Lists take ten times the memory, and every operation on them is a third quicker: an array
    makes an integer each time that it is read.
    """
    if isinstance(family.starts, array) or len(family.starts) < _PACKED:
        return family
    return Intervals(array("I", family.starts), array("I", family.ends))


def _indexed(family: Intervals) -> "tuple[array[int], array[int]]":
    """The places where the answer changes: the last 16 bits of each, and where each /16 begins.

    An address is in the set if the number of places up to it is odd.
    """
    places = array("I", bytes(8 * len(family.starts)))
    places[::2] = array("I", family.starts)
    places[1::2] = array("I", [(end + 1) & _LAST[4] for end in family.ends])
    if not places[-1]:  # behind the last address of all, where nobody asks
        places.pop()
    index = array("I", [bisect_left(places, high << 16) for high in range(2**16)])
    index.append(len(places))
    halves = array("H", places.tobytes())
    return halves[::2] if byteorder == "little" else halves[1::2], index


def _value_at(family: Intervals, place: int) -> int:
    """The value at a place of a family that has so many."""
    sizes = (end - start + 1 for start, end in zip(*family, strict=True))
    reached = list(accumulate(sizes))
    index = bisect_right(reached, place)
    return family.ends[index] - (reached[index] - place - 1)
