from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from netsuite.service import ConfigError
from netsuite.service._toml import Table, key_lines, load, loads

DOCUMENT = '''\
# a comment with = and [brackets]
first = 1
dotted . "quoted key" = "x # y = [1]"   # after a value
many = """
no = key
[nor header]"""
literal = \'\'\'
{
\'\'\'
array = [[1, 2], [
  3, "]" ],  # no end: ]
  {x = 1, y.z = [1]}]
when = 1979-05-27 07:32:00 # a date has a blank in it
quotes = """a"""""

[daemon]
log-level = 'info'
[[service]]
type = "echo"
allow = [
  "10.0.0.0/8",

  "192.0.2.1",
]
[service.sub]
deep = 1
[[service]]
type = "time"
[[service.inner]]
empty = [[ ]]
'''


class KeyLinesTests(SynchronousTestCase):
    LINES: ClassVar = {
        ("first",): 2,
        ("dotted",): 3,
        ("dotted", "quoted key"): 3,
        ("many",): 4,
        ("literal",): 7,
        ("array",): 10,
        ("array", 0): 10,
        ("array", 0, 0): 10,
        ("array", 0, 1): 10,
        ("array", 1): 10,
        ("array", 1, 0): 11,
        ("array", 1, 1): 11,
        ("array", 2): 12,
        ("array", 2, "x"): 12,
        ("array", 2, "y"): 12,
        ("array", 2, "y", "z"): 12,
        ("array", 2, "y", "z", 0): 12,
        ("when",): 13,
        ("quotes",): 14,
        ("daemon",): 16,
        ("daemon", "log-level"): 17,
        ("service",): 18,
        ("service", 0): 18,
        ("service", 0, "type"): 19,
        ("service", 0, "allow"): 20,
        ("service", 0, "allow", 0): 21,
        ("service", 0, "allow", 1): 23,
        ("service", 0, "sub"): 25,
        ("service", 0, "sub", "deep"): 26,
        ("service", 1): 27,
        ("service", 1, "type"): 28,
        ("service", 1, "inner"): 29,
        ("service", 1, "inner", 0): 29,
        ("service", 1, "inner", 0, "empty"): 30,
        ("service", 1, "inner", 0, "empty", 0): 30,
    }

    def test_every_key_and_element_has_its_line(self) -> None:
        self.assertEqual(key_lines(DOCUMENT), self.LINES)

    def test_line_ends_of_another_system(self) -> None:
        self.assertEqual(key_lines(DOCUMENT.replace("\n", "\r\n")), self.LINES)

    def test_nothing(self) -> None:
        for text in ("", "\n\n", "# only a comment"):
            self.assertEqual(key_lines(text), {})


class LoadTests(SynchronousTestCase):
    BAD: ClassVar = [
        ("a = \n", "f.toml, line 1: invalid value"),
        ("a = 1\nb = [1,\n", "f.toml, line 2: invalid value"),
        ("\n\nx = 1\nx = 2\n", "f.toml, line 4: cannot overwrite a value"),
        ("[a]\n[a]\n", "f.toml, line 2: cannot declare ('a',) twice"),
        ("a = [" + "[" * 5000, "f.toml: expected fewer brackets"),
    ]

    def test_what_is_no_toml_has_its_line(self) -> None:
        for text, complaint in self.BAD:
            error = self.assertRaises(ConfigError, loads, text, "f.toml")
            self.assertIn(complaint, str(error))
            self.assertEqual(str(error).count("\n"), 0)

    def test_a_file_that_is_not_there(self) -> None:
        error = self.assertRaises(ConfigError, load, Path("/none.toml"), "none.toml")
        self.assertEqual(str(error), "cannot read none.toml: No such file or directory")

    def test_a_byte_order_mark_is_no_key(self) -> None:
        path = Path(self.mktemp())
        path.write_bytes(b"\xef\xbb\xbfa = 1\n")
        self.assertEqual(load(path).values, {"a": 1})

    def test_a_file_of_other_bytes(self) -> None:
        path = Path(self.mktemp())
        path.write_bytes(b"a = 1\nb = '\xff'\n")
        error = self.assertRaises(ConfigError, load, path)
        self.assertEqual(str(error), f"{path}, line 2: expected UTF-8")


class TableTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.table = loads(DOCUMENT, "f.toml")

    def test_places(self) -> None:
        self.assertEqual(self.table.place("first"), "f.toml, line 2: first")
        first, second = self.table.tables("service")
        self.assertEqual(first.place("allow", 1), "f.toml, line 23: allow")
        self.assertEqual(second.place("type"), "f.toml, line 28: type")
        self.assertEqual(second.place(), "f.toml, line 27")
        self.assertEqual(
            self.table.table("daemon").place("log-level"), "f.toml, line 17: log-level"
        )

    def test_what_has_no_line_has_that_of_what_is_around_it(self) -> None:
        self.assertEqual(self.table.place("first", 5), "f.toml, line 2: first")
        self.assertEqual(self.table.table("daemon").place("gone"), "f.toml, line 16: gone")

    def test_the_wrong_kind(self) -> None:
        error = self.assertRaises(ConfigError, self.table.table, "first")
        self.assertEqual(str(error), "f.toml, line 2: first: expected a table: [first]")
        for key in ("daemon", "first", "array"):
            error = self.assertRaises(ConfigError, list, self.table.tables(key))
            self.assertIn(f"{key}: expected tables, each under [[{key}]]", str(error))

    def test_what_is_not_there_is_empty(self) -> None:
        self.assertEqual(self.table.table("none").values, {})
        self.assertEqual(list(self.table.tables("none")), [])

    def test_one_that_was_never_text(self) -> None:
        table = Table.plain({"a": 1}, "settings")
        self.assertEqual(str(table.error("expected more", "a")), "settings: a: expected more")

    def test_without(self) -> None:
        self.assertEqual(list(self.table.table("daemon").without("log-level").values), [])
