from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import LineApp, LineProtocol, Session
from netsuite.line._terminal import MAX_COLUMNS, MIN_COLUMNS, Pressed, Terminal
from netsuite.line._terminal_completion import Completer, Completion
from netsuite.line._terminal_history import History
from netsuite.line._terminal_keys import Key, KeyDecoder
from netsuite.line._terminal_text import SafeText, safe, width
from netsuite.line.test._front_app import FrontApp
from netsuite.line.test._screen import Screen


def keys(*pieces: bytes) -> list[Key | str]:
    decoder = KeyDecoder()
    found: list[Key | str] = []
    for piece in pieces:
        decoder.feed(piece)
        while (key := decoder.next()) is not None:
            found.append(key)
    return found


class KeyTests(SynchronousTestCase):
    def test_characters_are_utf_8(self) -> None:
        self.assertEqual(keys("aé€😀".encode()), ["a", "é", "€", "😀"])

    def test_what_is_no_utf_8_is_no_key(self) -> None:
        self.assertEqual(keys(b"\xff\xc3(a"), [Key.UNKNOWN, Key.UNKNOWN, "(", "a"])

    def test_what_cannot_be_seen_is_no_character(self) -> None:
        self.assertEqual(keys("\x9b\u202e".encode()), [Key.UNKNOWN, Key.UNKNOWN])

    def test_enter_in_all_its_forms(self) -> None:
        self.assertEqual(keys(b"\r\n\r\0\n\r\r\n\n"), [Key.ENTER] * 6)

    def test_control_keys(self) -> None:
        expected = [
            Key.START,
            Key.END,
            Key.ERASE_TO_START,
            Key.ERASE_TO_END,
            Key.ERASE_WORD,
            Key.CLEAR_SCREEN,
            Key.INTERRUPT,
            Key.END_OF_INPUT,
            Key.BACKSPACE,
            Key.BACKSPACE,
            Key.TAB,
            Key.UNKNOWN,
        ]
        self.assertEqual(keys(b"\x01\x05\x15\x0b\x17\x0c\x03\x04\x08\x7f\t\x1c"), expected)

    def test_arrows_of_both_modes(self) -> None:
        self.assertEqual(keys(b"\x1b[A\x1bOB\x1b[C\x1bOD"), [Key.UP, Key.DOWN, Key.RIGHT, Key.LEFT])

    def test_home_end_and_delete_of_many_terminals(self) -> None:
        self.assertEqual(keys(b"\x1b[H\x1b[1~\x1bOH\x1b[7~"), [Key.START] * 4)
        self.assertEqual(keys(b"\x1b[F\x1b[4~\x1bOF\x1b[8~"), [Key.END] * 4)
        self.assertEqual(keys(b"\x1b[3~"), [Key.DELETE])

    def test_other_sequences_are_one_unknown_key(self) -> None:
        self.assertEqual(keys(b"\x1b[15~\x1b[[A\x1b[1;2;3R\x1bz"), [Key.UNKNOWN] * 4)

    def test_escape_twice_begins_again(self) -> None:
        self.assertEqual(keys(b"\x1b\x1b[A"), [Key.UNKNOWN, Key.UP])

    def test_a_broken_sequence_leaves_what_follows(self) -> None:
        self.assertEqual(keys(b"\x1b[1\rx"), [Key.UNKNOWN, Key.ENTER, "x"])

    def test_a_sequence_without_end_is_given_up(self) -> None:
        self.assertEqual(keys(b"\x1b[" + b"1" * 29), [])
        self.assertEqual(keys(b"\x1b[" + b"1" * 31), [Key.UNKNOWN, "1"])


class TextTests(SynchronousTestCase):
    def test_control_characters_are_visible(self) -> None:
        self.assertEqual(safe("\x1b[2J\x07\x9b\x7f\ta\u202eb"), "^[[2J^G\\x9b^?\ta\\u202eb")

    def test_lines_end_in_return_and_feed(self) -> None:
        self.assertEqual(SafeText().decode(b"a\nb\r\nc\rd\n"), "a\r\nb\r\nc^Md\r\n")

    def test_bytes_that_are_no_utf_8_are_visible(self) -> None:
        self.assertEqual(SafeText().decode(b"\xff\xc3("), "\\xff\\xc3(")

    def test_widths(self) -> None:
        self.assertEqual([width(each) for each in "aé漢\u0301"], [1, 1, 2, 0])


class HistoryTests(SynchronousTestCase):
    def test_back_and_forth(self) -> None:
        history = History()
        history.add("one")
        history.add("two")
        self.assertEqual(history.older("draft"), "two")
        self.assertEqual(history.older("two"), "one")
        self.assertIsNone(history.older("one"))
        self.assertEqual(history.newer(), "two")
        self.assertEqual(history.newer(), "draft")
        self.assertIsNone(history.newer())

    def test_blanks_and_repetitions_are_not_kept(self) -> None:
        history = History()
        for line in ("one", "one", " ", "", "two", "one"):
            history.add(line)
        self.assertEqual(len(history), 3)

    def test_so_many_lines(self) -> None:
        history = History(lines=3)
        for number in range(3):
            history.add(str(number))
        self.assertEqual(len(history), 3)
        history.add("3")
        self.assertEqual(len(history), 3)
        self.assertEqual([history.older("") for _ in range(4)], ["3", "2", "1", None])

    def test_so_many_characters(self) -> None:
        history = History(size=10)
        history.add("12345")
        history.add("67890")
        self.assertEqual(len(history), 2)
        history.add("x")
        self.assertEqual(len(history), 2)
        history.add("y" * 11)
        self.assertEqual(len(history), 0)


class CompletionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.app: LineApp = FrontApp()
        self.session = session_of(self.app)
        self.completer = Completer(self.app, self.the_session)

    def the_session(self) -> Session:
        return self.session

    def inserted(self, before: str) -> str:
        found = self.completer.complete(before)
        self.assertEqual(found.lines, ())
        return found.insert

    def listed(self, before: str) -> tuple[str, ...]:
        found = self.completer.complete(before)
        self.assertEqual(found.insert, "")
        return found.lines

    def test_the_only_name(self) -> None:
        self.assertEqual(self.inserted("PA"), "INT ")
        self.assertEqual(self.inserted("pa"), "int ")
        self.assertEqual(self.inserted("paint"), " ")

    def test_what_names_have_in_common(self) -> None:
        self.assertEqual(self.inserted("ad"), "d")
        self.assertEqual(self.inserted("c"), "o")

    def test_names_that_could_be_are_listed_with_their_help(self) -> None:
        listed = self.listed("add")
        self.assertEqual([each.split()[0] for each in listed], ["ADD", "ADDRESS"])
        self.assertIn("Add two numbers.", listed[0])

    def test_all_names(self) -> None:
        self.assertIn("QUIT", [each.split()[0] for each in self.listed("")])

    def test_another_name_of_a_command(self) -> None:
        self.assertEqual(self.inserted("pl"), "us ")

    def test_no_name(self) -> None:
        self.assertEqual(self.completer.complete("zz"), Completion())

    def test_what_a_session_may_not_give_is_not_shown(self) -> None:
        self.assertEqual(self.completer.complete("rese"), Completion())
        self.session.login("x", frozenset({"admin"}))
        self.assertEqual(self.inserted("rese"), "t ")

    def test_choices_of_an_argument(self) -> None:
        self.assertEqual(self.completer.complete("paint b"), Completion())
        self.assertEqual(self.inserted("paint re"), "d ")
        self.assertEqual(self.inserted("paint RE"), "d ")
        self.assertEqual(self.listed("paint "), ("red", "green", "grey"))
        self.assertEqual(self.inserted("paint g"), "re")

    def test_choices_of_repeated_arguments(self) -> None:
        self.assertEqual(self.inserted("paint red big sm"), "all ")

    def test_names_behind_help(self) -> None:
        self.assertEqual(self.inserted("help pai"), "nt ")

    def test_other_arguments_are_explained(self) -> None:
        self.assertEqual(self.listed("plus "), ("ADD a b  Add two numbers.",))

    def test_nothing_within_quotes(self) -> None:
        self.assertEqual(self.completer.complete('paint "r'), Completion())

    def test_long_lists_are_cut(self) -> None:
        for number in range(60):
            self.app.command(f"Z{number:02}")(lambda: None)
        listed = self.listed("z")
        self.assertEqual(len(listed), 51)
        self.assertEqual(listed[-1], "... and 10 more")

    def test_secrets(self) -> None:
        self.assertIsNone(self.completer.secret_part("auth"))
        self.assertEqual(self.completer.secret_part("auth x"), 4)
        self.assertEqual(self.completer.secret_part("a x"), 1)
        self.assertIsNone(self.completer.secret_part("add x"))

    def test_exact_names(self) -> None:
        app = LineApp("exact", exact=True, builtins=False)
        app.command("Get")(lambda: None)
        completer = Completer(app, lambda: session_of(app))
        self.assertEqual(completer.complete("g"), Completion())
        self.assertEqual(completer.complete("G").insert, "et ")


def session_of(app: LineApp) -> Session:
    """A session that nobody has."""
    return app.converse(LineProtocol(), clock=None).session


class TerminalTests(SynchronousTestCase):
    columns = 40

    def setUp(self) -> None:
        self.app = FrontApp()
        session = session_of(self.app)
        self.terminal = Terminal("calc> ", Completer(self.app, lambda: session), 100)
        self.screen = Screen(self.columns)
        self.terminal.resize(self.columns)
        self.terminal.show()
        self.draw()

    def draw(self) -> None:
        self.screen.feed(self.terminal.taken())

    def press(self, *pressed: Key | str) -> object:
        """Press keys, see what is drawn after each, and return what the last one meant."""
        result: object = None
        for each in pressed:
            for key in each if isinstance(each, str) else [each]:
                result = self.terminal.press(key)
                self.draw()
                if self.terminal._shown:
                    self.check()
        return result

    def check(self) -> None:
        """What is on the row is the line around the cursor, and the cursor is where it is."""
        terminal = self.terminal
        masked = terminal._masked()
        shown = self.screen.row.removeprefix("calc>").removeprefix(" ")
        visible = "".join(filter(width, masked[terminal._left :]))
        self.assertTrue(visible.rstrip().startswith(shown), (shown, visible))
        expected = 6 + sum(map(width, masked[terminal._left : terminal._at]))
        self.assertEqual(self.screen.cursor, expected)

    def test_typing(self) -> None:
        self.press("add 1 2")
        self.assertEqual(self.screen.row, "calc> add 1 2")
        self.assertEqual(self.press(Key.ENTER), "add 1 2")
        self.assertEqual(self.screen.rows, ["calc> add 1 2", ""])

    def test_in_the_middle(self) -> None:
        self.press("ac", Key.LEFT, "b", Key.RIGHT, "d")
        self.assertEqual(self.screen.row, "calc> abcd")

    def test_ends_of_the_line(self) -> None:
        self.press("bc", Key.START, "a", Key.END, "d")
        self.assertEqual(self.terminal.line, "abcd")

    def test_erasing_characters(self) -> None:
        self.press("abcd", Key.BACKSPACE, Key.START, Key.DELETE)
        self.assertEqual(self.screen.row, "calc> bc")

    def test_erasing_words(self) -> None:
        self.press("one two  three", Key.ERASE_WORD, Key.ERASE_WORD)
        self.assertEqual(self.terminal.line, "one ")
        self.press("two", Key.WORD_LEFT, Key.WORD_LEFT, Key.ERASE_WORD_RIGHT)
        self.assertEqual(self.terminal.line, " two")
        self.press(Key.WORD_RIGHT, "!")
        self.assertEqual(self.terminal.line, " two!")

    def test_erasing_to_the_ends(self) -> None:
        self.press("one two", Key.WORD_LEFT, Key.ERASE_TO_END)
        self.assertEqual(self.terminal.line, "one ")
        self.press(Key.START, Key.INSERT_ERASED)
        self.assertEqual(self.terminal.line, "twoone ")
        self.press(Key.ERASE_TO_START)
        self.assertEqual(self.terminal.line, "one ")
        self.press(Key.ERASE_LINE)
        self.assertEqual(self.terminal.line, "")

    def test_wide_and_combining_characters(self) -> None:
        self.press("漢字e\u0301", Key.LEFT, Key.LEFT, Key.LEFT, "x", Key.BACKSPACE, Key.BACKSPACE)
        self.assertEqual(self.terminal.line, "字e\u0301")

    def test_a_line_longer_than_the_row_scrolls(self) -> None:
        text = "0123456789" * 6
        self.press(text)
        self.assertTrue(self.screen.row.endswith("9"))
        self.press(Key.START)
        self.assertTrue(self.screen.row.startswith("calc> 0123"))
        self.press(*[Key.RIGHT] * 50)
        self.press("x")
        self.assertEqual(self.press(Key.ENTER), text[:50] + "x" + text[50:])

    def test_the_longest_line(self) -> None:
        self.press("x" * 99)
        self.press("é")  # two bytes
        self.assertEqual(self.screen.bells, 1)
        self.press("y")
        self.assertEqual(self.screen.bells, 1)
        self.press("z")
        self.assertEqual(self.screen.bells, 2)
        self.press(Key.BACKSPACE, "z")
        self.assertEqual(self.press(Key.ENTER), "x" * 99 + "z")

    def test_an_erased_character_makes_room_for_its_bytes(self) -> None:
        self.press("é" * 50, Key.BACKSPACE, "ab")
        self.assertEqual(self.press(Key.ENTER), "é" * 49 + "ab")

    def test_nothing_to_do_rings(self) -> None:
        self.press(Key.BACKSPACE, Key.LEFT, Key.RIGHT, Key.DELETE, Key.UP, Key.DOWN, Key.UNKNOWN)
        self.assertEqual(self.screen.bells, 7)

    def test_history(self) -> None:
        self.press("one", Key.ENTER, "two", Key.ENTER, "draft", Key.UP, Key.UP)
        self.assertEqual(self.terminal.line, "one")
        self.press(Key.DOWN, Key.DOWN)
        self.assertEqual(self.terminal.line, "draft")
        self.press(Key.UP)
        self.assertEqual(self.press(Key.ENTER), "two")

    def test_secrets_are_not_shown_and_not_kept(self) -> None:
        terminal, seen = self.terminal, b""
        for key in "auth hush now":
            terminal.press(key)
            seen += terminal.taken()
        self.assertNotIn(b"hu", seen)
        self.screen.feed(seen)
        self.assertEqual(self.screen.row, "calc> auth **** ***")
        self.assertEqual(terminal.press(Key.ENTER), "auth hush now")
        self.assertEqual(len(terminal.history), 0)

    def test_interrupt_gives_the_line_up(self) -> None:
        self.assertIs(self.press("abc", Key.INTERRUPT), Pressed.INTERRUPT)
        self.assertEqual(self.screen.rows, ["calc> abc^C", ""])
        self.press("d")
        self.assertEqual(self.press(Key.ENTER), "d")
        self.assertEqual(len(self.terminal.history), 1)

    def test_end_of_input_is_at_an_empty_line_only(self) -> None:
        self.assertIsNone(self.press("ab", Key.START, Key.END_OF_INPUT))
        self.assertEqual(self.terminal.line, "b")
        self.assertIs(self.press(Key.DELETE, Key.END_OF_INPUT), Pressed.END_OF_INPUT)

    def test_completion(self) -> None:
        self.press("pai", Key.TAB, "re", Key.TAB)
        self.assertEqual(self.screen.row, "calc> paint red")
        self.assertEqual(self.terminal.line, "paint red ")

    def test_a_list_stands_above_the_line(self) -> None:
        self.press("paint g", Key.TAB, Key.TAB)
        self.assertEqual(self.screen.rows[-2:], ["grey", "calc> paint gre"])

    def test_what_is_said_stands_above_the_line(self) -> None:
        self.press("add 1")
        self.terminal.say("news\r\n")
        self.terminal.show()
        self.draw()
        self.assertEqual(self.screen.rows, ["news", "calc> add 1"])
        self.press(" 2")
        self.assertEqual(self.press(Key.ENTER), "add 1 2")

    def test_what_ends_in_no_line_end_is_left_alone(self) -> None:
        self.terminal.say("half")
        self.terminal.say(" a line")
        self.terminal.show()
        self.draw()
        self.assertEqual(self.screen.rows, ["half a line", "calc>"])

    def test_clearing_the_screen(self) -> None:
        self.press("abc", Key.ENTER, "de", Key.CLEAR_SCREEN)
        self.assertEqual(self.screen.rows, ["calc> de"])

    def test_a_terminal_without_sequences_gets_none(self) -> None:
        terminal = Terminal("> ", self.terminal._completer, 100, ansi=False)
        terminal.show()
        terminal.press(Key.CLEAR_SCREEN)
        self.assertNotIn(b"\x1b", terminal.taken())

    def test_another_width(self) -> None:
        self.press("x" * 30)
        self.terminal.resize(25)
        self.screen.columns = 25
        self.draw()
        self.assertLess(len(self.screen.row), 25)
        self.press("y")
        self.assertEqual(self.press(Key.ENTER), "x" * 30 + "y")

    def test_widths_that_cannot_be(self) -> None:
        self.terminal.resize(1)
        self.assertEqual(self.terminal._columns, MIN_COLUMNS)
        self.terminal.resize(100_000)
        self.assertEqual(self.terminal._columns, MAX_COLUMNS)
        self.terminal.resize(0)
        self.assertEqual(self.terminal._columns, 80)

    def test_a_prompt_that_is_too_long_is_short(self) -> None:
        terminal = Terminal("x" * 50, self.terminal._completer, 100)
        terminal.resize(MIN_COLUMNS)
        terminal.show()
        self.assertEqual(terminal.taken(), b"\r> ")

    def test_a_prompt_does_nothing_to_the_terminal(self) -> None:
        terminal = Terminal("\x1b[2J", self.terminal._completer, 100)
        terminal.show()
        self.assertEqual(terminal.taken(), b"\r^[[2J")
