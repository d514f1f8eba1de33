"""What a client makes of a server's list of commands."""

from collections.abc import Iterator

from netsuite.line.client import CommandInfo, LineError, LineWireError
from netsuite.line.test.memory import settle
from netsuite.line.test.test_client import ClientCase, ScriptCase


class CommandListTests(ClientCase):
    def test_commands(self) -> None:
        client = self.client()
        found = self.result(client.commands())
        self.assertEqual(found.app, "test")
        names = [each.name for each in found]
        self.assertIn("ADD", names)
        self.assertEqual(len(found), len(names))
        add = found.find("ADD")
        assert isinstance(add, CommandInfo)
        self.assertEqual(
            [(each.name, each.type) for each in add.arguments], [("a", "int"), ("b", "int")]
        )
        self.assertEqual((add.reply, add.literal), ("line", False))

    def test_a_name_is_found_as_the_server_finds_it(self) -> None:
        found = self.result(self.client().commands())
        for name, meant in (
            *(("add", "ADD"), ("AD", "ADD"), ("exit", "QUIT"), ("?", "HELP"), ("com", "COMMANDS")),
            *(("CO", None), ("", None), ("UNKNOWN", None)),
        ):
            command = found.find(name)
            self.assertEqual(None if command is None else command.name, meant, name)

    def test_ask(self) -> None:
        client = self.client()
        self.assertEqual(self.result(client.ask("ADD", 1, 2)), "3")
        self.assertEqual(self.result(client.ask("count", 2)), ["0", "1"])
        self.assertEqual(self.result(client.ask("SAY", 'as "it" is')), 'as "it" is')
        self.assertEqual(self.result(client.ask("STORE", "k", literal=b"x")), "k b'x'")
        self.assertEqual(self.result(client.ask("HELP", "ADD"))[0], "ADD a b")
        self.failure(client.ask("UNKNOWN"), LineError)

    def test_what_is_asked_is_what_was_found(self) -> None:
        @self.app.command(hidden=True)
        def list_() -> str:
            raise NotImplementedError

        @self.app.command()
        def listing() -> Iterator[str]:
            yield "a"

        self.assertEqual(self.result(self.client().ask("LIST")), ["a"])

    def test_the_list_is_fetched_once_for_each_connection(self) -> None:
        client = self.client()
        lists = []
        for _ in range(2):
            asked = [client.ask("ADD", 1, each) for each in range(3)]
            settle(self.clock)
            self.assertEqual([self.successResultOf(each) for each in asked], ["1", "2", "3"])
            lists.append(self.result(client.commands()))
            self.assertIs(self.result(client.commands()), lists[-1])
            self.lose()
            self.clock.advance(1)
        self.assertIsNot(lists[0], lists[1])
        self.assertIsNot(self.result(client.commands()), self.result(client.commands(refresh=True)))


class BadListTests(ScriptCase):
    def test_no_list_of_commands(self) -> None:
        client = self.connected()
        for text in (
            *("", "OK", "[]", "null", '{"app": "x"}', '{"app": 1, "commands": []}'),
            *('{"app": "x", "commands": {}}', '{"app": "x", "commands": [1]}'),
            '{"app": "x", "commands": [{"name": "A"}]}',
            '{"app": "x", "commands": [{"name": "A", "reply": "raw"}]}',
            '{"app": "x", "commands": [{"name": "A", "reply": "line", "arguments": [1]}]}',
            '{"app": "x", "commands": [{"name": "A", "reply": "line", "aliases": "B"}]}',
            "[" * 100_000,
        ):
            both = client.commands(), client.ask("A")
            self.server.say(text.encode() + b"\r\n")
            for each in both:
                self.assertIn("COMMANDS", str(self.failure(each, LineWireError)))
        wanted = client.commands()
        self.server.say(b"ERR not-allowed COMMANDS\r\n")
        self.failure(wanted, LineError)

    def test_the_least_that_is_a_list(self) -> None:
        client = self.connected()
        wanted = client.commands()
        self.server.say(b'{"app": "x", "commands": [{"name": "A", "reply": "lines"}]}\r\n')
        self.assertEqual(self.result(wanted).commands, (CommandInfo("A", lines=True),))
