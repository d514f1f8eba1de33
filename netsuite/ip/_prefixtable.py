"""The networks of one family with their values: what a :class:`~netsuite.ip.PrefixMap` keeps.

The address space is cut into chunks, by the first 16 bits of an IPv4 address and the first 32
of an IPv6 one. Each chunk that has networks is a small table of its own, so a search touches
little memory, and tries no length but those that the chunk has. Networks that are no longer
than those bits are all in one more chunk, the top.

In a chunk, a network's key is a one and then the bits in which it differs from the chunk:
its place if the chunk were a binary heap. A search gets each key by one shift, and most are
so small that all chunks can share the same few integers.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from netsuite.ip._bulk import LENGTH_BITS
from netsuite.ip._range import BITS, to_network
from netsuite.ip._rate import IPNetwork

V = TypeVar("V")

Row = tuple[int, int, V]
"""First address, length and value of a network."""

_CUT = {4: 16, 6: 32}  # bits that number the chunks
_SHARED = list(range(2**9))  # the keys of networks that are up to 8 bits longer than their chunk
_LENGTH = 2**LENGTH_BITS - 1
_MANY = 2**13  # chunks: then lists for all that there could be do not take much more memory
_MOST_COMBINATIONS = 1024  # of lengths: more of them are not shared


class PrefixTable(Generic[V]):
    """All networks of one family, as first address and length."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.bits = BITS[version]
        self._cut = _CUT[version]
        self._low_bits = self.bits - self._cut
        self._mark = 1 << self._low_bits
        self._mask = self._mark - 1
        self._top_number = 1 << self._cut
        self.clear()

    def clear(self) -> None:
        """Forget all networks."""
        self.count = 0
        self._top: dict[int, V] = {}
        # By number: the table of each chunk, key to value, and the lengths in it, longest
        # first, each as the bits that follow it. The top's number is one more than the last.
        self._chunks: dict[int, dict[int, V]] = {self._top_number: self._top}
        self._shifts: dict[int, tuple[int, ...]] | list[tuple[int, ...]] = {self._top_number: ()}
        # Deletions since the lengths were last counted: some may be there no more.
        self._deletions: dict[int, int] = {}
        # Most chunks have one of a few combinations of lengths.
        self._combinations: dict[tuple[int, ...], tuple[int, ...]] = {}
        # If there are many chunks: the same tables in a list, and for each number the longest
        # network of the top around it: () if there is none, None if nobody has asked.
        self._direct: list[dict[int, V] | None] | None = None
        self._arounds: list[Row[V] | tuple[()] | None] = []
        # Networks that a search has made, to make each of them once.
        self._networks: dict[int, IPNetwork] = {}

    def _place(self, first: int, length: int) -> tuple[int, int]:
        """The number of the chunk that a network belongs to, and its key there."""
        if length <= self._cut:
            return self._top_number, (first | 1 << self.bits) >> (self.bits - length)
        key = (first & self._mask | self._mark) >> (self.bits - length)
        return first >> self._low_bits, _SHARED[key] if key < len(_SHARED) else key

    # One network.

    def get(self, first: int, length: int) -> V:
        """The value of a network.

        :raises KeyError: if there is none.
        """
        number, key = self._place(first, length)
        return self._chunks[number][key]

    def set(self, first: int, length: int, value: V) -> None:
        """Give a network a value."""
        number, key = self._place(first, length)
        chunk = self._chunks.get(number)
        if chunk is None:
            chunk = {}
            self._add_chunk(number, chunk, ())
        if key not in chunk:
            self.count += 1
            shifts, shift = self._shifts[number], self.bits - length
            if shift not in shifts:
                self._shifts[number] = self._shared((*shifts, shift))
        chunk[key] = value
        self._forget_arounds(first, length)

    def delete(self, first: int, length: int) -> None:
        """Remove a network.

        :raises KeyError: if there is none.
        """
        number, key = self._place(first, length)
        chunk = self._chunks[number]
        del chunk[key]
        self.count -= 1
        self._forget_arounds(first, length)
        self._networks.pop(first << LENGTH_BITS | length, None)
        # To count is as much work as there are networks left: not for each one that goes.
        deletions = self._deletions[number] = self._deletions.get(number, 0) + 1
        if deletions > len(chunk):
            self._shifts[number] = self._lengths(number, chunk)
            del self._deletions[number]
        if not chunk and number != self._top_number:
            self._remove_chunk(number)

    def load(self, rows: "Iterable[tuple[Sequence[int], Iterable[V]]]") -> None:
        """Fill an empty table.

        :param rows: blocks of IPv4 networks as :func:`~netsuite.ip._bulk.ipv4_keys` has them,
            and of their values.
        """
        top, shared = self._top, _SHARED
        chunks: dict[int, dict[int, V]] = {}
        for keys, values in rows:
            for row, value in zip(keys, values, strict=True):
                length = row & 0xFF
                if length <= 16:
                    top[(row | 1 << 40) >> (40 - length)] = value
                    continue
                key = (row & 0xFFFFFF | 1 << 24) >> (40 - length)
                if key < 512:
                    key = shared[key]
                try:
                    chunks[row >> 24][key] = value
                except KeyError:
                    chunks[row >> 24] = {key: value}
        self._shifts[self._top_number] = self._lengths(self._top_number, top)
        for number, chunk in chunks.items():
            self._add_chunk(number, chunk, self._lengths(number, chunk))
        self.count = sum(map(len, self._chunks.values()))

    # Chunks.

    def _add_chunk(self, number: int, chunk: dict[int, V], shifts: tuple[int, ...]) -> None:
        self._chunks[number] = chunk
        self._shifts[number] = shifts
        if self._direct is not None:
            self._direct[number] = chunk
        elif len(self._chunks) >= _MANY and self.version == 4:
            chunks, all_shifts, numbers = self._chunks, self._shifts, range(self._top_number + 1)
            self._direct = [chunks.get(each) for each in numbers]
            self._shifts = [all_shifts[each] if each in chunks else () for each in numbers]
            self._arounds = [None] * self._top_number

    def _remove_chunk(self, number: int) -> None:
        del self._chunks[number]
        if self._direct is not None:
            self._direct[number] = None
            self._shifts[number] = ()
        else:
            del self._shifts[number]

    def _longest(self, number: int) -> int:
        """How long a network can be in a chunk, counted from the bits that it has in common."""
        return self.bits if number == self._top_number else self._low_bits

    def _lengths(self, number: int, chunk: dict[int, V]) -> tuple[int, ...]:
        """The lengths in a chunk, as shifts."""
        longest = self._longest(number) + 1
        return self._shared(longest - size for size in set(map(int.bit_length, chunk)))

    def _shared(self, shifts: Iterable[int]) -> tuple[int, ...]:
        if len(self._combinations) >= _MOST_COMBINATIONS:
            self._combinations.clear()
        ordered = tuple(sorted(shifts))
        return self._combinations.setdefault(ordered, ordered)

    def _forget_arounds(self, first: int, length: int) -> None:
        """For when a network comes or goes, or gets another value."""
        if self._direct is not None and length <= self._cut:
            number, count = first >> self._low_bits, 1 << (self._cut - length)
            self._arounds[number : number + count] = [None] * count

    # Searching.

    def find(self, value: int) -> "Row[V] | None":
        """The longest network around an address."""
        number, direct = value >> self._low_bits, self._direct
        chunk = self._chunks.get(number) if direct is None else direct[number]
        if chunk is not None:
            marked = value & self._mask | self._mark
            for shift in self._shifts[number]:
                key = marked >> shift
                if key in chunk:
                    return value >> shift << shift, self.bits - shift, chunk[key]
        if direct is None:
            return self._around(value)
        found = self._arounds[number]
        if found is None:
            found = self._arounds[number] = self._around(value) or ()
        return found or None

    def _around(self, value: int) -> "Row[V] | None":
        """The longest network around an address that is in the top."""
        marked, top = value | 1 << self.bits, self._top
        for shift in self._shifts[self._top_number]:
            key = marked >> shift
            if key in top:
                return value >> shift << shift, self.bits - shift, top[key]
        return None

    def covering(self, first: int, longest: int) -> "Iterator[Row[V]]":
        """Every network around one, itself included, longest first."""
        number = first >> self._low_bits
        places = [(self._top_number, first | 1 << self.bits)]
        if number in self._chunks:
            places.insert(0, (number, first & self._mask | self._mark))
        for each, marked in places:
            chunk = self._chunks[each]
            for shift in self._shifts[each]:
                key, length = marked >> shift, self.bits - shift
                if length <= longest and key in chunk:
                    yield first >> shift << shift, length, chunk[key]

    def covered(self, first: int, shortest: int) -> "list[Row[V]]":
        """Every network in one, itself included, in order of address, shorter first."""
        number, root = self._place(first, shortest)
        found = self._rows(number, root)
        if number != self._top_number:
            return found
        start, count = first >> self._low_bits, 1 << (self._cut - shortest)
        # Whichever is less: look for each that could be there, or at each that is.
        if count < len(self._chunks):
            numbers = [each for each in range(start, start + count) if each in self._chunks]
        else:
            numbers = sorted(each for each in self._chunks if start <= each < start + count)
        return list(self._merged(found, numbers))

    def rows(self) -> "Iterator[Row[V]]":
        """All networks, in the same order, as long as nothing is changed."""
        numbers = sorted(each for each in self._chunks if each != self._top_number)
        return self._merged(self._rows(self._top_number, 1), numbers)

    def _merged(self, shorter: "list[Row[V]]", numbers: list[int]) -> "Iterator[Row[V]]":
        """Networks of the top, and all those of some chunks, in order."""
        done = 0
        for number in numbers:
            start = number << self._low_bits
            while done < len(shorter) and shorter[done][0] <= start:
                yield shorter[done]
                done += 1
            yield from self._rows(number, 1)
        yield from shorter[done:]

    def _rows(self, number: int, root: int) -> "list[Row[V]]":
        """The networks of a chunk that are under a key, itself included, in order."""
        chunk = self._chunks.get(number, {})
        longest, bits = self._longest(number), self.bits
        shorter = bits - longest - 1
        base = 0 if number == self._top_number else number << self._low_bits
        base -= 1 << longest  # and with it the one that each key begins with
        places = []
        for key in chunk if root == 1 else self._keys(number, root):
            length = key.bit_length() + shorter
            places.append((base + (key << (bits - length))) << LENGTH_BITS | length)
        places.sort()
        rows = []
        for place in places:
            first, length = place >> LENGTH_BITS, place & _LENGTH
            rows.append((first, length, chunk[(first - base) >> (bits - length)]))
        return rows

    def _keys(self, number: int, root: int) -> list[int]:
        """The keys in a chunk that are under one, itself included."""
        if number not in self._chunks:
            return []
        chunk, size = self._chunks[number], root.bit_length()
        longest = self._longest(number) + 1
        depths = [longest - shift - size for shift in self._shifts[number]]
        depths = [depth for depth in depths if depth >= 0]
        # Once more whichever is less.
        if sum(1 << depth for depth in depths) < len(chunk):
            spans = [range(root << depth, (root + 1) << depth) for depth in depths]
            return [key for span in spans for key in span if key in chunk]
        return [key for key in chunk if key >> max(key.bit_length() - size, 0) == root]

    def network(self, first: int, length: int) -> IPNetwork:
        """A network as an object, which is kept for the next search that finds it."""
        key = first << LENGTH_BITS | length
        try:
            return self._networks[key]
        except KeyError:
            network = self._networks[key] = to_network(first, length, self.version)
            return network
