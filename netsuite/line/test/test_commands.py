from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import Block, Command, CommandError, DefinitionError, LineApp, Rest, Words
from netsuite.line._commands import Commands


def nothing() -> None:
    """Do nothing."""


class NameTests(SynchronousTestCase):
    def make(self, *names: str, exact: bool = False, **options: Any) -> Commands:
        app = LineApp("test", builtins=False, exact=exact)
        for name in names:
            app.command(name, **options)(nothing)
        return app.commands

    def find(self, commands: Commands, word: bytes) -> str:
        return str(commands.find(word).name)

    def missing(self, commands: Commands, word: bytes) -> str:
        with self.assertRaises(CommandError) as caught:
            commands.find(word)
        self.assertEqual(caught.exception.code, "unknown-command")
        return str(caught.exception.text)

    def test_any_case_and_unique_beginnings(self) -> None:
        commands = self.make("ADD", "SUBTRACT", "SUBSCRIBE")
        for word in (b"ADD", b"add", b"aDd", b"A", b"ad"):
            self.assertEqual(self.find(commands, word), "ADD")
        self.assertEqual(self.find(commands, b"subt"), "SUBTRACT")
        self.assertEqual(self.missing(commands, b"sub"), '"sub" could be SUBTRACT, SUBSCRIBE')

    def test_a_name_is_not_the_beginning_of_another(self) -> None:
        commands = self.make("GETALL", "GET")
        self.assertEqual(self.find(commands, b"get"), "GET")
        self.assertEqual(self.find(commands, b"Get"), "GET")
        self.assertEqual(self.missing(commands, b"ge"), '"ge" could be GETALL, GET')

    def test_aliases(self) -> None:
        commands = self.make("ADD", aliases=["PLUS", "+"])
        for word in (b"PLUS", b"plus", b"p", b"+"):
            self.assertEqual(self.find(commands, word), "ADD")
        self.assertEqual([each.name for each in commands], ["ADD"])

    def test_beginnings_of_a_name_and_an_alias_of_it(self) -> None:
        self.assertEqual(self.find(self.make("ADD", aliases=["ADDITION"]), b"ad"), "ADD")

    def test_exactly(self) -> None:
        commands = self.make("get", "GET", exact=True)
        self.assertEqual(self.find(commands, b"get"), "get")
        self.assertEqual(self.find(commands, b"GET"), "GET")
        for word in (b"Get", b"ge", b""):
            self.missing(commands, word)

    def test_guesses(self) -> None:
        commands = self.make("SUBSCRIBE", "ADD")
        for word in (
            b"subscrib3",
            b"subscrie",
            b"subbscribe",
            b"sbuscribe",
            b"xubscribe",
            b"subscribex",
        ):
            self.assertEqual(
                self.missing(commands, word),
                f'"{word.decode()}": did you mean SUBSCRIBE?',
            )
        for word in (b"xy", b"ax", b"subscryyb", b"addition", b"\xff\xfe", b"x" * 8000):
            self.assertIn(": there is no such command", self.missing(commands, word))

    def test_hidden_names_are_not_given_away(self) -> None:
        commands = self.make("SECRETLY", hidden=True)
        self.assertEqual(self.find(commands, b"secretly"), "SECRETLY")
        self.assertEqual(self.find(commands, b"Secretly"), "SECRETLY")
        for word in (b"s", b"secret", b"secretlx", b"secretlyy"):
            self.assertNotIn("SECRETLY", self.missing(commands, word))

    def test_a_fallback_gets_what_is_no_name(self) -> None:
        app = LineApp("test", fallback=lambda session, line: None)
        for word in (b"", b"hel", b"H", b"helq", b"hello"):
            self.assertEqual(app.commands.find(word).name, "LINE")
        self.assertEqual(app.commands.find(b"help").name, "HELP")

    def test_a_long_list_of_names_is_cut(self) -> None:
        commands = self.make(*(f"A{n}" for n in range(100)))
        self.assertEqual(self.missing(commands, b"a").count("A"), 20)

    def test_names_that_are_taken(self) -> None:
        for names in (("ADD",), ("add",), ("X", "PLUS"), ("X", "Y", "y"), ("X", "x")):
            app = LineApp("test")
            app.command("ADD", aliases=["PLUS"])(nothing)
            before = [each.name for each in app.commands]
            with self.assertRaisesRegex(DefinitionError, "there is one of that name"):
                app.command(names[0], aliases=names[1:])(nothing)
            self.assertEqual([each.name for each in app.commands], before)
            with self.assertRaises(CommandError):
                app.commands.find(b"X")

    def test_a_command_can_be_removed_and_made_anew(self) -> None:
        commands = LineApp("test").commands
        commands.remove("?")
        for word in (b"HELP", b"help", b"?"):
            self.missing(commands, word)
        with self.assertRaises(KeyError):
            commands.remove("HELP")

    def test_names_that_no_line_can_give(self) -> None:
        for name in ("", "A B", 'A"', "A\t", "É", "A\n", "A\x1f"):
            with self.assertRaisesRegex(DefinitionError, "expected a word of ASCII"):
                self.make(name)
            with self.assertRaisesRegex(DefinitionError, "expected a word of ASCII"):
                self.make("A", aliases=[name])

    def test_a_function_has_a_name(self) -> None:
        app = LineApp("test", builtins=False)

        @app.command()
        def set_all_() -> None:
            """Set all.

            Of them.
            """

        (command,) = app.commands
        self.assertEqual((command.name, command.summary), ("SET-ALL", "Set all."))
        self.assertEqual(command.details, "Of them.")

    def test_rates(self) -> None:
        self.make("A", rate=0.1)
        for rate in (0, -1.0):
            with self.assertRaisesRegex(DefinitionError, "expected more than 0 a second"):
                self.make("A", rate=rate)

    def test_lengths_are_for_words_and_a_block(self) -> None:
        with self.assertRaisesRegex(DefinitionError, "length is for all words"):
            self.make("A", length=len)

    def test_roles_and_aliases_are_more_than_letters(self) -> None:
        for name, value in (("roles", "admin"), ("aliases", "AL"), ("roles", None), ("roles", {1})):
            options: Any = {name: value}
            with self.assertRaises(DefinitionError) as caught:
                self.make("A", **options)
            wrong = f"command A: {name} {value!r}: expected a collection of names"
            self.assertEqual(str(caught.exception), wrong)


class ArgumentsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.app = LineApp("test", builtins=False)

    def command(self, function: Any) -> Command:
        self.app.command("CMD")(function)
        return self.app.commands.find(b"CMD")

    def values(self, command: Command, line: bytes, most: int = 256) -> list[object]:
        return command.arguments(line, line.split(), most)

    def wrong(self, command: Command, line: bytes, most: int = 256) -> str:
        with self.assertRaises(CommandError) as caught:
            self.values(command, line, most)
        return str(caught.exception)

    def test_fixed_ones(self) -> None:
        def function(a: int, b: str) -> None:
            raise NotImplementedError

        command = self.command(function)
        self.assertEqual(command.usage, "CMD a b")
        self.assertEqual(self.values(command, b"CMD 1 x"), [1, "x"])
        self.assertEqual(self.values(command, b'CMD "1" "a b"'), [1, "a b"])
        for line, error in (
            (b"CMD", "bad-argument a is missing: expected CMD a b"),
            (b"CMD 1", "bad-argument b is missing: expected CMD a b"),
            (b"CMD 1 2 3", "bad-argument too many arguments: expected CMD a b"),
            (b"CMD x 2", 'bad-argument a "x": expected a whole number'),
            (b"CMD 1 \xff", "bad-encoding b: expected UTF-8"),
            (b'CMD 1 "', 'bad-argument CMD: quotes that do not match: expected "..." '),
        ):
            self.assertTrue(self.wrong(command, line).startswith(error), line)

    def test_as_many_as_there_are_need_no_limit(self) -> None:
        def function(a: int, b: int, c: int) -> None:
            raise NotImplementedError

        command = self.command(function)
        self.assertEqual(self.values(command, b"CMD 1 2 3", 1), [1, 2, 3])

    def test_optional_ones(self) -> None:
        def function(a: int = 5, b: str | None = None) -> None:
            raise NotImplementedError

        command = self.command(function)
        self.assertEqual(command.usage, "CMD [a] [b]")
        self.assertEqual(self.values(command, b"CMD"), [5, None])
        self.assertEqual(self.values(command, b"CMD 1"), [1, None])
        self.assertEqual(self.values(command, b'CMD 1 ""'), [1, ""])

    def test_repeated_ones_at_the_limit_and_past_it(self) -> None:
        def function(first: str, *more: int) -> None:
            raise NotImplementedError

        command = self.command(function)
        self.assertEqual(command.usage, "CMD first [more...]")
        self.assertEqual(self.values(command, b"CMD x", 3), ["x"])
        self.assertEqual(self.values(command, b"CMD x 1 2", 3), ["x", 1, 2])
        self.assertEqual(
            self.wrong(command, b"CMD x 1 2 3", 3), "bad-argument CMD: expected at most 3 arguments"
        )
        self.assertEqual(
            self.wrong(command, b'CMD x 1 2 "3"', 3),
            "bad-argument CMD: expected at most 3 arguments",
        )

    def test_the_rest_of_the_line(self) -> None:
        def function(key: str, value: Rest) -> None:
            raise NotImplementedError

        command = self.command(function)
        for line, values in (
            (b"CMD k v", ["k", "v"]),
            (b'CMD k a  "b ', ["k", 'a  "b ']),
            (b'CMD "a b" c', ["a b", "c"]),
            (b'CMD "" ""', ["", '""']),
            (b"CMD k \xc3\xa9", ["k", "é"]),
            (b"CMD k   v  ", ["k", "  v  "]),
            (b"CMD k\t\tv\t", ["k", "\tv\t"]),
            (b"  CMD  k v", ["k", "v"]),
            (b"CMD k ", ["k", ""]),
            (b"CMD k  ", ["k", " "]),
            (b'CMD "k"  "v', ["k", ' "v']),
            (b'CMD "k" ', ["k", ""]),
        ):
            self.assertEqual(self.values(command, line), values, line)
        for line, error in (
            (b"CMD k", "bad-argument value is missing: expected CMD key value"),
            (b'CMD "k"', "bad-argument value is missing: expected CMD key value"),
            (b"CMD  ", "bad-argument key is missing: expected CMD key value"),
            (b"CMD", "bad-argument key is missing: expected CMD key value"),
            (b"CMD k \xff", "bad-encoding value: expected UTF-8"),
            (b'CMD "a b', 'bad-argument CMD: quotes that do not match: expected "..." '),
        ):
            self.assertTrue(self.wrong(command, line).startswith(error), line)

    def test_an_optional_rest(self) -> None:
        def function(value: Rest = "none") -> None:
            raise NotImplementedError

        command = self.command(function)
        self.assertEqual(self.values(command, b"CMD"), ["none"])
        self.assertEqual(self.values(command, b"CMD a b"), ["a b"])
        self.assertEqual(self.values(command, b"CMD "), [""])

    def test_no_word_of_a_secret_command_is_repeated(self) -> None:
        def function(code: int) -> None:
            raise NotImplementedError

        self.app.command("CMD", secret=True)(function)
        command = self.app.commands.find(b"CMD")
        error = "bad-argument code: expected a whole number"
        self.assertEqual(self.wrong(command, b"CMD 12a4"), error)
        self.assertEqual(self.wrong(command, b'CMD "12a4"'), error)

    def test_a_literal_cannot_be_left_out(self) -> None:
        def store(data: Block = b"") -> None:
            raise NotImplementedError

        def maybe(data: Block | None = None) -> None:
            raise NotImplementedError

        def any_words(words: Words, data: Block | None = None) -> None:
            raise NotImplementedError

        for function in (store, maybe, any_words):
            with self.assertRaisesRegex(DefinitionError, "CMD: data: expected no default"):
                self.command(function)
        self.app.command("CMD", length=lambda words: None)(any_words)

    def test_a_default_that_python_wants_of_a_literal(self) -> None:
        def store(key: str = "k", data: Block = b"") -> None:
            raise NotImplementedError

        self.assertEqual(self.command(store).usage, "CMD [key] {n}")

    def test_words_as_they_are(self) -> None:
        def function(words: Words) -> None:
            raise NotImplementedError

        command = self.command(function)
        self.assertEqual(command.usage, "CMD ...")
        self.assertEqual(self.values(command, b'CMD "a b'), [[b"CMD", b'"a', b"b"]])

    def test_descriptions(self) -> None:
        def function(a: int, b: bool = False, *, data: Block) -> None:
            raise NotImplementedError

        def store(key: str, data: Block) -> str:
            """Store."""
            raise NotImplementedError

        with self.assertRaises(DefinitionError):
            self.command(function)
        self.assertEqual(
            self.command(store).described(),
            {
                "name": "CMD",
                "aliases": [],
                "summary": "Store.",
                "arguments": [
                    {
                        "name": "key",
                        "type": "str",
                        "required": True,
                        "repeated": False,
                        "choices": None,
                    }
                ],
                "reply": "line",
                "literal": True,
                "roles": [],
            },
        )
        self.assertEqual(self.app.commands.find(b"CMD").usage, "CMD key {n}")
