from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from netsuite.service import (
    BOOLEAN,
    BYTE_RATE,
    FILE,
    NETWORK,
    NUMBER,
    SECONDS,
    TEXT,
    WHOLE,
    ConfigError,
    ServerOptions,
    Setting,
    SettingError,
    choice,
)
from netsuite.service._help import Row, default_text, help_text
from netsuite.service._settings import ADDRESS, ENDPOINT, PORT, Kind
from netsuite.service._sources import (
    Given,
    Source,
    explain,
    from_environment,
    from_table,
    merge,
)
from netsuite.service._toml import Table, loads

HERE = Path("/here")


def setting(name: str, kind: Kind, default: Any = None) -> Setting:
    return Setting(
        name=name,
        kind=kind,
        help=f"What {name} does.",
        group="Test",
        default=default,
        repeatable=isinstance(default, tuple),
    )


SETTINGS = (
    setting("switch", BOOLEAN, False),
    setting("wait-time", SECONDS),
    setting("speed", BYTE_RATE),
    setting("share", NUMBER, 0.5),
    setting("count", WHOLE, 1),
    setting("word", choice(("red", "green")), "red"),
    setting("title", TEXT),
    setting("file", FILE),
    setting("allow", NETWORK, ()),
    setting("port", PORT, ()),
    setting("interface", ADDRESS, ()),
    setting("listen", ENDPOINT, ()),
)


class SettingTests(SynchronousTestCase):
    def test_one_name_for_all(self) -> None:
        waiting = SETTINGS[1]
        self.assertEqual(waiting.flag, "--wait-time")
        self.assertEqual(waiting.variable, "NETSUITE_WAIT_TIME")
        self.assertEqual(waiting.field, "wait_time")

    def test_every_name_is_there_once(self) -> None:
        names = Counter(each.name for each in ServerOptions.all_settings())
        self.assertEqual([name for name, count in names.items() if count > 1], [])


class EnvironmentTests(SynchronousTestCase):
    def values(self, **environ: str) -> dict[str, Any]:
        return {
            name: each.value for name, each in from_environment(SETTINGS, environ, HERE).items()
        }

    def test_values(self) -> None:
        self.assertEqual(
            self.values(
                NETSUITE_SWITCH="yes",
                NETSUITE_WAIT_TIME="2m",
                NETSUITE_COUNT="7",
                NETSUITE_FILE="there/x",
                NETSUITE_TITLE="two words, and a comma",
                COUNT="9",
            ),
            {
                "switch": True,
                "wait-time": 120.0,
                "count": 7,
                "file": HERE / "there/x",
                "title": "two words, and a comma",
            },
        )

    def test_lists_are_separated_by_blanks_or_commas(self) -> None:
        for text in ("10.0.0.0/8 ::1", "10.0.0.0/8,::1", " 10.0.0.0/8 ,\n::1, "):
            self.assertEqual(self.values(NETSUITE_ALLOW=text), {"allow": ("10.0.0.0/8", "::1")})

    def test_empty_is_none_at_all(self) -> None:
        self.assertEqual(self.values(NETSUITE_COUNT="", NETSUITE_ALLOW=" "), {})

    def test_false_is_a_value(self) -> None:
        self.assertEqual(self.values(NETSUITE_SWITCH="0"), {"switch": False})

    def test_none(self) -> None:
        self.assertEqual(
            self.values(NETSUITE_WAIT_TIME="none", NETSUITE_FILE="none"),
            {"wait-time": None, "file": None},
        )

    BAD: ClassVar = [
        ("NETSUITE_COUNT", "many", "NETSUITE_COUNT: 'many' is not a number"),
        ("NETSUITE_COUNT", "none", "NETSUITE_COUNT: 'none' is not a number"),
        ("NETSUITE_SWITCH", "maybe", "NETSUITE_SWITCH: 'maybe' is neither yes nor no"),
        ("NETSUITE_PORT", "1 tcp://10.0.0.1:1", "NETSUITE_PORT: 'tcp://10.0.0.1:1' is not a port"),
        ("NETSUITE_INTERFACE", "lo", "NETSUITE_INTERFACE: 'lo' is not an IP address"),
    ]

    def test_a_mistake_names_the_variable(self) -> None:
        for name, text, complaint in self.BAD:
            error = self.assertRaises(ConfigError, self.values, **{name: text})
            self.assertIn(complaint, str(error))


class FileTests(SynchronousTestCase):
    def given(self, text: str) -> dict[str, Given]:
        return from_table(SETTINGS, loads(text, "f.toml"), HERE)

    def test_values(self) -> None:
        given = self.given("""
switch = true
wait-time = "2m"
speed = 2.5
share = 1
count = 7
word = "green"
file = "there/x"
allow = ["10.0.0.0/8", "::1"]
port = 9000
title = "none"
""")
        self.assertEqual(
            {name: each.value for name, each in given.items()},
            {
                "switch": True,
                "wait-time": 120.0,
                "speed": 2.5,
                "share": 1.0,
                "count": 7,
                "word": "green",
                "file": HERE / "there/x",
                "allow": ("10.0.0.0/8", "::1"),
                "port": (9000,),
                "title": None,
            },
        )
        self.assertEqual(given["speed"].place, "f.toml, line 4: speed")

    BAD: ClassVar = [
        ("cuont = 1", "cuont: no such setting: did you mean count?"),
        ("wait_time = 1", "wait_time: no such setting: did you mean wait-time?"),
        ("zzz = 1", "zzz: no such setting"),
        ("switch = 1", "switch: 1: expected true or false, without quotes"),
        ('switch = "yes"', "switch: 'yes': expected true or false, without quotes"),
        ('count = "many"', "count: 'many' is not a number: expected a whole number, such as 100"),
        (
            'count = "7"',
            "count: '7' is not a number: expected a whole number, such as 100, without",
        ),
        ("count = 1.5", "count: 1.5: expected a whole number"),
        ("count = true", "count: true: expected a whole number"),
        ("count = [1]", "count: a list: expected a whole number"),
        ("count = -1", "count: -1 is less than 0"),
        ("share = inf", "share: inf is not a finite number"),
        ("wait-time = nan", "wait-time: nan is not a finite number"),
        ('wait-time = "soon"', "wait-time: 'soon' is not a number: expected seconds"),
        ("wait-time = {a = 1}", "wait-time: a table: expected seconds"),
        ("wait-time = 07:32:00", "wait-time: 07:32:00: expected seconds"),
        ("word = 1", "word: 1: expected red or green, in quotes"),
        ("title = 1", "title: 1: expected a text, in quotes"),
        ('file = ""', "file: '': expected the name of a file"),
        ("port = 65536", "port: 65536 is not a port: expected a number from 0 to 65535"),
        ('port = ["9000"]', "port: '9000' is not a number: expected a number from 0 to 65535"),
        ('listen = ""', "listen: '': expected an endpoint"),
        ('allow = ["::1",\n"10.0.0.1/8"]', "line 3: allow: '10.0.0.1/8': expected no host bits"),
    ]

    def test_a_mistake_names_the_file_the_line_and_the_key(self) -> None:
        for text, complaint in self.BAD:
            error = self.assertRaises(ConfigError, self.given, f"\n{text}\n")
            self.assertIn("f.toml, line ", str(error))
            self.assertIn(complaint, str(error))
            if "line" not in complaint:
                self.assertTrue(str(error).startswith("f.toml, line 2: "), str(error))

    def test_numbers_are_shown_as_people_write_them(self) -> None:
        error = self.assertRaises(ConfigError, self.given, "share = -1e-7")
        self.assertIn("share: -0.0000001 is less than 0", str(error))

    def test_one_that_was_never_text(self) -> None:
        error = self.assertRaises(
            ConfigError, from_table, SETTINGS, Table.plain({"count": "x"}, "settings"), HERE
        )
        self.assertIn("settings: count: 'x' is not a number", str(error))


class MergeTests(SynchronousTestCase):
    def test_the_first_that_has_one_decides(self) -> None:
        strong = {"count": Given(2, Source.FLAG, "--count")}
        weak = {"count": Given(3, Source.FILE, "f"), "share": Given(0.1, Source.FILE, "f")}
        merged = merge(SETTINGS, [strong, weak])
        self.assertEqual((merged["count"].value, merged["share"].value), (2, 0.1))
        self.assertEqual(merged["word"], Given("red", Source.DEFAULT))

    def test_lists_are_not_added_up(self) -> None:
        layers = [
            {"allow": Given(("::1",), Source.FLAG)},
            {"allow": Given(("::2",), Source.FILE)},
        ]
        self.assertEqual(merge(SETTINGS, layers)["allow"].value, ("::1",))


class ExplainTests(SynchronousTestCase):
    def explained(self, error: ConfigError, **given: Given) -> str:
        explained = explain(error, given)
        self.assertIsInstance(explained, usage.UsageError)
        return str(explained)

    def test_a_value_out_of_range(self) -> None:
        error = SettingError("max_per_client", "0: expected 1 or more")
        for source, place, text in [
            (Source.FILE, "f.toml, line 7: max-per-client", "f.toml, line 7: max-per-client 0: "),
            (Source.ENVIRONMENT, "NETSUITE_MAX_PER_CLIENT", "NETSUITE_MAX_PER_CLIENT 0: "),
            (Source.FLAG, "--max-per-client", "max per client 0: "),
        ]:
            given = {"max-per-client": Given(0, source, place)}
            self.assertEqual(self.explained(error, **given), f"{text}expected 1 or more")
        self.assertEqual(self.explained(error), "max per client 0: expected 1 or more")

    def test_a_file_that_does_not_say_it_right(self) -> None:
        error = ConfigError("access file /x/acl: no such thing")
        given = Given(Path("/x/acl"), Source.FILE, "f.toml, line 3: access-file")
        self.assertEqual(
            self.explained(error, file=given),
            "f.toml, line 3: access-file: access file /x/acl: no such thing",
        )
        self.assertEqual(self.explained(error), "access file /x/acl: no such thing")

    def test_it_is_said_once(self) -> None:
        given = {"max-per-client": Given(0, Source.FILE, "f.toml, line 7: max-per-client")}
        once = explain(SettingError("max_per_client", "0: expected more"), given)
        assert isinstance(once, ConfigError)
        self.assertIs(explain(once, given), once)


class HelpTests(SynchronousTestCase):
    def test_rows(self) -> None:
        self.assertEqual(
            Row.of(setting("word", choice(("red", "green")), "red")),
            Row("    --word=WORD", "What word does. One of: red, green. [default: red]"),
        )
        self.assertEqual(Row.of(setting("on", BOOLEAN, False)), Row("    --on", "What on does."))

    def test_defaults(self) -> None:
        for default, text in [(None, ""), (False, ""), ((), ""), (10.0, "10"), (("a", "b"), "a b")]:
            self.assertEqual(default_text(setting("x", TEXT, default)), text)

    def test_columns(self) -> None:
        rows = [Row("    --short", "Few words."), Row("    --a-long-one=NUMBER", "Many " * 12)]
        text = help_text({"Test": rows}, "About it.", 60)
        self.assertEqual(
            text,
            """
About it.

Test:
      --short             Few words.
      --a-long-one=NUMBER
                          Many Many Many Many Many Many Many
                          Many Many Many Many Many
""",
        )

    def test_a_narrow_screen(self) -> None:
        self.assertIn("Few words.", help_text({"Test": [Row("    --x", "Few words.")]}, "", 1))
