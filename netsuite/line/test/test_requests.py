from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import Block, CommandError, Limits, LineApp, Words
from netsuite.line._queue import Queue
from netsuite.line._requests import SKIPPED, Request, Requests


class RequestsCase(SynchronousTestCase):
    limits = Limits(line_length=20, literal=10, arguments=3)

    def setUp(self) -> None:
        app = LineApp("test", limits=self.limits, builtins=False)

        @app.command()
        def add(a: int, b: int) -> int:
            raise NotImplementedError

        @app.command()
        def put(key: str, data: Block) -> None:
            raise NotImplementedError

        self.requests = Requests(app.commands, self.limits)

    def feed(self, data: bytes) -> list[Any]:
        """What is asked for: a name and arguments, or an error's code."""
        self.requests.held += data
        found: list[Any] = []
        while (request := self.requests.next()) is not None:
            found.append(self.shown(request))
            if request.fatal:
                break
        return found

    def shown(self, request: Request) -> Any:
        if request.error is not None:
            return request.error.code + "!" * request.fatal
        assert request.command is not None
        return (request.command.name, *request.arguments)


class LineTests(RequestsCase):
    def test_both_line_ends(self) -> None:
        self.assertEqual(self.feed(b"add 1 2\nadd 3 4\r\n"), [("ADD", 1, 2), ("ADD", 3, 4)])

    def test_blank_lines_ask_for_nothing(self) -> None:
        self.assertEqual(self.feed(b"\n\r\n \t \r\nadd 1 2\n"), [("ADD", 1, 2)])

    def test_a_line_may_come_byte_by_byte(self) -> None:
        for byte in b"add 1 2\r":
            self.assertEqual(self.feed(bytes([byte])), [])
        self.assertEqual(self.feed(b"\nadd"), [("ADD", 1, 2)])
        self.assertEqual(self.requests.held, b"add")

    def test_wrong_ones(self) -> None:
        self.assertEqual(
            self.feed(b"sub 1 2\nadd 1\nadd 1 x\nadd 1 2\n"),
            ["unknown-command", "bad-argument", "bad-argument", ("ADD", 1, 2)],
        )

    def test_a_line_at_the_limit(self) -> None:
        line = b"add 1 2".ljust(20)
        for end in (b"\n", b"\r\n"):
            self.assertEqual(self.feed(line + end), [("ADD", 1, 2)])
            for byte in line + end[:-1]:
                self.assertEqual(self.feed(bytes([byte])), [])
            self.assertEqual(self.feed(b"\n"), [("ADD", 1, 2)])

    def test_a_line_one_past_the_limit(self) -> None:
        for end in (b"\n", b"\r\n"):
            line = b"add 1 2".ljust(21) + end + b"add 3 4\n"
            self.assertEqual(self.feed(line), ["line-too-long", ("ADD", 3, 4)])
            found = [each for byte in line for each in self.feed(bytes([byte]))]
            self.assertEqual(found, ["line-too-long", ("ADD", 3, 4)])

    def test_a_long_line_is_named_by_its_first_word(self) -> None:
        self.requests.held += b"add\x1b ".ljust(30)
        request = self.requests.next()
        assert request is not None
        self.assertEqual(str(request.error), "line-too-long add\\x1b: expected at most 20 bytes")
        self.assertEqual(request.line, b"add\x1b ".ljust(20))

    def test_white_space_that_is_too_long(self) -> None:
        self.assertEqual(self.feed(b" " * 21 + b"\n"), ["line-too-long"])

    def test_a_long_line_is_skipped_so_far_and_no_farther(self) -> None:
        most = 20 * SKIPPED
        for end in (b"", b"\r"):
            line = b"x" * (most - len(end)) + end
            self.assertEqual(self.feed(line + b"\nadd 1 2\n"), ["line-too-long", ("ADD", 1, 2)])
            self.assertEqual(self.feed(line), ["line-too-long"])
            self.assertTrue(self.requests.partial)
            self.assertEqual(self.feed(b"\nadd 1 2\n"), [("ADD", 1, 2)])
        self.assertEqual(
            self.feed(b"x" * (most + 1) + b"\nadd 1 2\n"), ["line-too-long", "line-too-long!"]
        )

    def test_a_long_line_in_pieces_is_skipped_so_far_and_no_farther(self) -> None:
        self.assertEqual(self.feed(b"x" * 100), ["line-too-long"])
        for _ in range(11):
            self.assertEqual(self.feed(b"x" * 20), [])
            self.assertEqual(self.requests.held, b"")
        self.assertEqual(self.feed(b"add"), ["line-too-long!"])

    def test_what_is_held_is_bounded(self) -> None:
        self.feed(b"x" * 21)
        self.assertEqual(len(self.requests.held), 21)
        self.feed(b"x")
        self.assertEqual(len(self.requests.held), 0)


class LiteralTests(RequestsCase):
    def test_bytes_as_they_are(self) -> None:
        for end in (b"\n", b"\r\n"):
            line = b"put k {4}" + end + b"\n\r\0\xff" + end
            self.assertEqual(self.feed(line + line), [("PUT", "k", b"\n\r\0\xff")] * 2)
            for byte in line[:-1]:
                self.assertEqual(self.feed(bytes([byte])), [])
            self.assertEqual(self.feed(line[-1:]), [("PUT", "k", b"\n\r\0\xff")])

    def test_none_at_all(self) -> None:
        self.assertEqual(self.feed(b"put k {0}\n\nput k {0+}\r\n\r\n"), [("PUT", "k", b"")] * 2)

    def test_at_the_limit(self) -> None:
        self.assertEqual(self.feed(b"put k {10}\n0123456789\n"), [("PUT", "k", b"0123456789")])

    def test_one_past_the_limit(self) -> None:
        line = b"put k {11}\n0123456789\n\nadd 1 2\n"
        self.assertEqual(self.feed(line), ["literal-too-large", ("ADD", 1, 2)])
        found = [each for byte in line for each in self.feed(bytes([byte]))]
        self.assertEqual(found, ["literal-too-large", ("ADD", 1, 2)])

    def test_skipped_so_far_and_no_farther(self) -> None:
        most = 10 * SKIPPED
        self.assertEqual(self.feed(b"put k {%d}\n" % most), [])
        self.assertEqual(self.feed(b"x" * most), [])
        self.assertEqual(self.requests.held, b"")
        self.assertEqual(self.feed(b"\r\nadd 1 2\n"), ["literal-too-large", ("ADD", 1, 2)])
        self.assertEqual(self.feed(b"put k {%d}\n" % (most + 1)), ["literal-too-large!"])

    def test_of_a_command_that_is_wrong_it_is_skipped(self) -> None:
        self.assertEqual(
            self.feed(b"put a b {7}\nadd 1 2\nadd 3 4\n"), ["bad-argument", ("ADD", 3, 4)]
        )
        self.assertEqual(self.feed(b"put \xff {7}\nadd 1 2\n"), ["bad-encoding"])

    def test_missing(self) -> None:
        for line in (b"put k\n", b"put k {}\n", b"put k {3} \n", b"put k {-1}\n"):
            self.assertEqual(self.feed(line), ["bad-argument"])

    def test_with_no_line_end_behind_it(self) -> None:
        for behind in (b"x", b"\rx", b"\r\r\n"[:2]):
            line = b"put k {3}\nabc" + behind + b"add 1 2\nadd 3 4\n"
            self.assertEqual(self.feed(line), ["bad-literal", ("ADD", 3, 4)])

    def test_quotes_before_it(self) -> None:
        self.assertEqual(self.feed(b'put "a b" {1}\nx\n'), [("PUT", "a b", b"x")])
        self.assertEqual(self.feed(b'put "{1}"\n'), ["bad-argument"])

    def test_what_is_held_is_bounded(self) -> None:
        self.feed(b"put k {10}\n01234567")
        self.assertEqual(self.requests.held, b"01234567")
        self.feed(b"89")
        self.assertEqual(self.requests.held, b"0123456789")
        self.feed(b"\r")
        self.assertEqual(self.requests.held, b"0123456789\r")
        self.feed(b"\n")
        self.assertEqual(self.requests.held, b"")


class LengthTests(SynchronousTestCase):
    """Blocks as long as a line of words says, with no line end behind them."""

    def setUp(self) -> None:
        app = LineApp("test", builtins=False)

        def length(words: list[bytes]) -> int | None:
            if words[1:] == [b"?"]:
                raise CommandError("bad-argument", "how much?")
            return int(words[1]) if words[1:] else None

        @app.command(length=length)
        def put(words: Words, data: Block = b"") -> None:
            raise NotImplementedError

        self.requests = Requests(app.commands, Limits(literal=10))

    def feed(self, data: bytes) -> list[Any]:
        self.requests.held += data
        found: list[Any] = []
        while (request := self.requests.next()) is not None:
            found.append(request.arguments if request.error is None else request.error.code)
        return found

    def test_blocks(self) -> None:
        self.assertEqual(
            self.feed(b"put 3\nabcput\nput 0\nput 10\n0123456789"),
            [
                [[b"put", b"3"], b"abc"],
                [[b"put"]],
                [[b"put", b"0"], b""],
                [[b"put", b"10"], b"0123456789"],
            ],
        )

    def test_in_pieces(self) -> None:
        self.assertEqual(self.feed(b"put 3\r\n\n"), [])
        self.assertEqual(self.feed(b"\n"), [])
        self.assertEqual(self.feed(b"\nput\n"), [[[b"put", b"3"], b"\n\n\n"], [[b"put"]]])

    def test_larger_ones_are_skipped(self) -> None:
        self.assertEqual(self.feed(b"put 11\n0123456789"), [])
        self.assertEqual(self.requests.held, b"")
        self.assertEqual(self.feed(b"0put\n"), [[[b"put", b"11"]], [[b"put"]]])

    def test_lengths_that_are_wrong(self) -> None:
        self.assertEqual(self.feed(b"put ?\nput\n"), ["bad-argument", [[b"put"]]])


class NoLiteralTests(RequestsCase):
    limits = Limits(line_length=20, literal=0)

    def test_at_the_limit_and_past_it(self) -> None:
        self.assertEqual(
            self.feed(b"put k {0}\n\nput k {1}\nx\nput k {16}\n0123456789012345\n"),
            [("PUT", "k", b""), "literal-too-large", "literal-too-large"],
        )
        self.assertEqual(self.feed(b"put k {17}\n"), ["literal-too-large!"])


class QueueTests(SynchronousTestCase):
    def request(self, size: int = 1) -> Request:
        return Request(None, size=size)

    def codes(self, queue: Queue) -> list[str | None]:
        found: list[str | None] = []
        while queue:
            request = queue.take()
            found.append(None if request.error is None else request.error.code)
        return found

    def test_nothing(self) -> None:
        queue = Queue(Limits())
        self.assertFalse(queue)
        self.assertEqual(len(queue), 0)
        self.assertIsNone(queue.first)
        self.assertTrue(queue.takes_more)
        with self.assertRaises(LookupError):
            queue.take()

    def test_full(self) -> None:
        queue = Queue(Limits(queued=2))
        requests = [self.request(), self.request()]
        queue.put(requests[0])
        self.assertTrue(queue.takes_more)
        queue.put(requests[1])
        self.assertFalse(queue.takes_more)
        self.assertIs(queue.first, requests[0])
        self.assertEqual([queue.take(), queue.take()], requests)
        self.assertTrue(queue.takes_more)

    def test_refusals_are_counted_and_in_order(self) -> None:
        queue = Queue(Limits(queued=1, queue_full="refuse"))
        for _ in range(1000):
            self.assertTrue(queue.takes_more)
            queue.put(self.request())
        self.assertEqual(len(queue), 2)
        self.assertEqual(queue.take().error, None)
        queue.put(self.request())
        queue.put(self.request())
        self.assertEqual(len(queue), 3)
        expected: list[str | None] = ["queue-full"] * 999
        self.assertEqual(self.codes(queue), [*expected, None, "queue-full"])

    def test_refused_ones_take_no_place(self) -> None:
        queue = Queue(Limits(queued=2, queue_full="refuse"))
        for _ in range(3):
            queue.put(self.request())
        queue.take()
        queue.put(self.request())
        self.assertEqual(self.codes(queue), [None, "queue-full", None])

    def test_there_are_as_many_places_as_before(self) -> None:
        queue = Queue(Limits(queued=2, queue_full="refuse"))
        for _ in range(10):
            for _ in range(4):
                queue.put(self.request())
            self.assertEqual(self.codes(queue), [None, None, "queue-full", "queue-full"])

    def test_bytes_are_limited_too(self) -> None:
        for full in ("wait", "refuse"):
            queue = Queue(Limits(buffer=10, queue_full=full))
            queue.put(self.request(10))
            self.assertTrue(queue.takes_more)
            queue.put(self.request(1))
            self.assertFalse(queue.takes_more)
            queue.take()
            self.assertTrue(queue.takes_more)
            queue.put(self.request(9))
            self.assertTrue(queue.takes_more)
            queue.clear()
            self.assertFalse(queue)

    def test_a_fatal_one_is_never_refused_and_the_last(self) -> None:
        queue = Queue(Limits(queued=1, queue_full="refuse"))
        queue.put(self.request())
        queue.put(self.request())
        error = CommandError("line-too-long", "")
        queue.put(Request(None, error=error, fatal=True))
        self.assertFalse(queue.takes_more)
        self.assertEqual(self.codes(queue), [None, "queue-full", "line-too-long"])
