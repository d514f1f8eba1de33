import pickle
from collections.abc import Iterator
from copy import deepcopy
from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip import PrefixMap, _prefixtable
from netsuite.ip._bulk import LENGTH_BITS
from netsuite.ip._prefixtable import PrefixTable
from netsuite.ip._range import BITS

# Lengths around the cuts between the top and the chunks, and the ends of both families.
LENGTHS = {4: (0, 1, 15, 16, 17, 24, 25, 31, 32), 6: (0, 1, 31, 32, 33, 40, 41, 127, 128)}
ADDRESSES = {
    4: (0, 0x0A00_FFFF, 0x0A01_0000, 0x0A01_0001, 0xFFFF_0000, 2**32 - 1),
    6: (0, (0x2001_0DB8 << 96) - 1, 0x2001_0DB8 << 96, (0x2001_0DB8 << 96) + 1, 2**128 - 1),
}


def rows(version: int) -> Iterator[tuple[int, int]]:
    """Every network with one of the lengths around one of the addresses."""
    bits = BITS[version]
    for address in ADDRESSES[version]:
        for length in LENGTHS[version]:
            yield address >> (bits - length) << (bits - length), length


class Model:
    """What a table should do, one network after the other."""

    def __init__(self, version: int) -> None:
        self.bits = BITS[version]
        self.rows: dict[tuple[int, int], int] = {}

    def inside(self, row: tuple[int, int], around: tuple[int, int]) -> bool:
        """Whether a network is in another one."""
        shift = self.bits - around[1]
        return row[1] >= around[1] and row[0] >> shift == around[0] >> shift

    def find(self, value: int) -> tuple[int, int, int] | None:
        """The longest network around an address."""
        found = self.covering((value, self.bits))
        return found[0] if found else None

    def covering(self, row: tuple[int, int]) -> list[tuple[int, int, int]]:
        """The networks around one, longest first."""
        found = [(*each, value) for each, value in self.rows.items() if self.inside(row, each)]
        return sorted(found, key=lambda each: -each[1])

    def covered(self, row: tuple[int, int]) -> list[tuple[int, int, int]]:
        """The networks in one, in order."""
        return sorted((*each, value) for each, value in self.rows.items() if self.inside(each, row))


class TableTests(SynchronousTestCase):
    """Each test runs with the lists for many chunks, and without."""

    def both(self, version: int) -> Iterator[tuple[PrefixTable[int], Model]]:
        for many in (2, 2**20):
            self.patch(_prefixtable, "_MANY", many)
            yield PrefixTable(version), Model(version)

    def check(self, table: PrefixTable[int], model: Model) -> None:
        """Ask for everything that could be seen."""
        version = table.version
        self.assertEqual(table.count, len(model.rows))
        for value in ADDRESSES[version]:
            self.assertEqual(table.find(value), model.find(value))
        for row in rows(version):
            self.assertEqual(list(table.covering(*row)), model.covering(row))
            self.assertEqual(table.covered(*row), model.covered(row))

    def test_every_length_comes_and_goes(self) -> None:
        """Each search between two changes sees the second of them."""
        for version in BITS:
            every = sorted(set(rows(version)))
            for table, model in self.both(version):
                for number, row in enumerate(every):
                    table.set(*row, number)
                    model.rows[row] = number
                    self.check(table, model)
                for row in every[::2] + every[1::2]:
                    table.delete(*row)
                    del model.rows[row]
                    self.assertRaises(KeyError, table.delete, *row)
                    self.assertRaises(KeyError, table.get, *row)
                    self.check(table, model)

    def test_emptied_and_filled_again(self) -> None:
        for version in BITS:
            for table, model in self.both(version):
                for turn in range(3):
                    for row in rows(version):
                        table.set(*row, turn)
                        model.rows[row] = turn
                    self.check(table, model)
                    if turn == 1:
                        table.clear()
                    for row in list(model.rows) if turn != 1 else ():
                        table.delete(*row)
                    model.rows.clear()
                    self.check(table, model)

    def test_a_new_value_for_a_network(self) -> None:
        for table, model in self.both(4):
            for value in range(3):
                for row in rows(4):
                    table.set(*row, value)
                    model.rows[row] = value
                self.check(table, model)

    def test_load(self) -> None:
        every = sorted(set(rows(4)))
        for table, model in self.both(4):
            for number, row in enumerate(every):
                model.rows[row] = number
            keys = [first << LENGTH_BITS | length for first, length in every]
            half = len(keys) // 2
            blocks = [(keys[:half], range(half)), (keys[half:], range(half, len(keys)))]
            table.load(blocks)
            self.check(table, model)
            table.set(0x0A01_0200, 23, -1)
            table.delete(0, 0)
            model.rows[0x0A01_0200, 23] = -1
            del model.rows[0, 0]
            self.check(table, model)

    def test_the_last_of_a_length(self) -> None:
        """Lengths that are gone are forgotten by and by, and found again when they are back."""
        for table, model in self.both(4):
            for host in range(64):
                table.set(0x0A01_0000 + host, 32, host)
                model.rows[0x0A01_0000 + host, 32] = host
            for turn in range(3):
                table.set(0x0A01_0000, 24, turn)
                self.assertEqual(table.find(0x0A01_00FF), (0x0A01_0000, 24, turn))
                table.delete(0x0A01_0000, 24)
                self.assertIsNone(table.find(0x0A01_00FF))
            for host in range(63):
                table.delete(0x0A01_0000 + host, 32)
                del model.rows[0x0A01_0000 + host, 32]
            self.check(table, model)
            self.assertEqual(table._shifts[0x0A01], (0,))

    def test_few_of_many_are_looked_for_and_many_are_gone_through(self) -> None:
        """Inside a chunk, a short root has many keys that could be there, a long one has few."""
        for table, model in self.both(4):
            for host in range(100):
                table.set(0x0A01_0000 + host, 32, host)
                model.rows[0x0A01_0000 + host, 32] = host
            for length in range(33):
                row = (0x0A01_0000, length)
                self.assertEqual(table.covered(*row), model.covered(row))

    def test_combinations_of_lengths_are_not_kept_for_ever(self) -> None:
        self.patch(_prefixtable, "_MOST_COMBINATIONS", 3)
        for table, model in self.both(6):
            for length in range(33, 129):
                table.set(0x2001_0DB8 << 96, length, length)
                model.rows[0x2001_0DB8 << 96, length] = length
                self.assertLessEqual(len(table._combinations), 3)
            self.check(table, model)

    def test_networks_are_kept_while_they_are_there(self) -> None:
        found: PrefixMap[int] = PrefixMap({"10.0.0.0/8": 1, "10.1.2.0/24": 2})
        first = found.lookup("10.1.2.3")
        again = found.lookup("10.1.2.4")
        assert first is not None
        assert again is not None
        self.assertIs(first[0], again[0])
        del found[ip_network("10.1.2.0/24")]
        self.assertEqual(list(found._tables[4]._networks), [])

    def test_a_copy_goes_its_own_way(self) -> None:
        for many in (2, 2**20):
            self.patch(_prefixtable, "_MANY", many)
            made = PrefixMap({"10.0.0.0/8": 1, "10.1.2.0/24": 2, "2001:db8::/48": 3})
            values = (0x0A010203, 0x0A020000, 0x0B000000)
            before = [made.lookup_int(value, 4) for value in values]
            for copied in (deepcopy(made), pickle.loads(pickle.dumps(made))):
                self.assertEqual(dict(copied), dict(made))
                self.assertEqual([copied.lookup_int(value, 4) for value in values], before)
                copied["10.1.2.0/24"] = copied["11.0.0.0/8"] = 4
                self.assertEqual(
                    [copied.lookup_int(value, 4) for value in values],
                    [(0x0A010200, 24, 4), before[1], (0x0B000000, 8, 4)],
                )
                self.assertEqual([made.lookup_int(value, 4) for value in values], before)
