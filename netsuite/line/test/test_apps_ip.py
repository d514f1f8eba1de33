import json
import os
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO, StringIO
from pathlib import Path
from typing import ClassVar

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip.cli import Streams, main
from netsuite.line import Limits, LineFactory
from netsuite.line.apps import load_app
from netsuite.line.apps.ip import LIMITS, MOST_LINES, MOST_PREFIXES, ip_app

#: 43 characters that come to 254 prefixes.
WIDE = "::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"


def command_line(*arguments: str, given: bytes = b"") -> list[str]:
    """The lines that ``netsuite ip`` prints."""
    output = BytesIO()
    main(arguments, Streams(BytesIO(given), output, StringIO()))
    return output.getvalue().decode("utf-8", "surrogateescape").splitlines()


class IPCase(SynchronousTestCase):
    limits: ClassVar[Limits] = LIMITS

    def setUp(self) -> None:
        self.clock = self.make_clock()
        self.protocol = LineFactory(ip_app(limits=self.limits), self.clock).buildProtocol(None)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def make_clock(self) -> Clock:
        return Clock()

    def ask(self, line: str, literal: bytes | None = None) -> list[str]:
        """The lines of a reply, its end included."""
        self.transport.clear()
        data = line.encode()
        if literal is not None:
            data += b" {%d}\n" % len(literal) + literal
        self.protocol.dataReceived(data + b"\n")
        self.clock.advance(0)
        reply: bytes = self.transport.value()
        lines = reply.decode("utf-8", "surrogateescape").split("\r\n")
        self.assertEqual(lines.pop(), "")
        return lines

    def lines(self, line: str, literal: bytes | None = None) -> list[str]:
        """The lines of a reply that has nothing to complain about."""
        *lines, end = self.ask(line, literal)
        self.assertEqual(end, ".", lines)
        return lines

    def complaint(self, line: str, literal: bytes | None = None) -> str:
        """The one line of an error."""
        [complaint] = self.ask(line, literal)
        self.assertTrue(complaint.startswith("ERR "), complaint)
        return complaint.removeprefix("ERR ")


class CommandLineTests(IPCase):
    """What comes is what the command line prints."""

    ITEMS = ("192.0.2.9/24", "::ffff:127.0.0.1", "10.0.0.0-10.0.0.9", "2001:db8::/32")

    def test_calc(self) -> None:
        self.assertEqual(
            self.lines(f"calc {' '.join(self.ITEMS)}"), command_line("calc", *self.ITEMS)
        )

    def test_classify(self) -> None:
        found = ("64:ff9b::7f00:1", "8.8.8.8", "fe80::1")
        self.assertEqual(
            self.lines(f"CLASSIFY {' '.join(found)}"), command_line("classify", *found)
        )

    def test_json(self) -> None:
        self.assertEqual(self.ask("format json"), ["OK"])
        [shown] = command_line("calc", "--json", *self.ITEMS)
        self.assertEqual(
            [json.loads(line) for line in self.lines(f"calc {' '.join(self.ITEMS)}")],
            json.loads(shown),
        )
        self.ask("FORMAT text")
        self.assertEqual(self.lines("calc ::1"), command_line("calc", "::1"))

    def test_aggregate(self) -> None:
        words = ["10.0.0.0/25", "10.0.0.128-10.0.0.255", "2001:db8::/33", "192.0.2.*"]
        shown = command_line("aggregate", given="\n".join(words).encode())
        self.assertEqual(self.lines(f"aggregate {' '.join(words)}"), shown)
        self.ask("format json")
        [line] = self.lines(f"aggregate {' '.join(words)}")
        self.assertEqual(json.loads(line), {"prefixes": shown})

    def test_diff(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        (directory / "old").write_text("10.0.0.0/24\n::1\n")
        (directory / "new").write_text("10.0.0.0/25\n192.0.2.1\n")
        command = ("diff", str(directory / "old"), str(directory / "new"))
        line = "diff 10.0.0.0/24,::1 10.0.0.0/25,192.0.2.1"
        self.assertEqual(self.lines(line), command_line(*command))
        self.assertEqual(self.lines('diff "" ""'), [])
        self.ask("format json")
        self.assertEqual(
            [*map(json.loads, self.lines(line))],
            [*map(json.loads, command_line(*command, "--json"))],
        )

    def test_free(self) -> None:
        pool, used = "10.0.0.0/24,10.1.0.0/27", ("10.0.0.0/26", "10.0.0.128/30")
        flags = [word for each in used for word in ("--used", each)]
        for policy in ("first", "smallest"):
            self.assertEqual(
                self.lines(f"free 27 {pool} 3 {policy} {' '.join(used)}"),
                command_line("free", "27", "--in", pool, "--count=3", f"--policy={policy}", *flags),
            )
        self.assertEqual(self.lines("free 26 10.0.0.0/24"), ["10.0.0.0/26"])

    def test_grep(self) -> None:
        text = b"a 10.0.0.1 b\r\nnothing\n10.9.9.9\n\xff [::1]:80 10.0.0.2\nend ::2"
        prefixes = "10.0.0.0/24,::1"
        for flags in ("-", "v", "c", "n", "o", "no", "x", "vc"):
            words = [f"-{flag}" for flag in flags if flag != "-"]
            shown = command_line("grep", prefixes, *words, "-", given=text)
            self.assertEqual(self.lines(f"grep {prefixes} {flags}", text), shown, flags)
        self.assertEqual(self.lines(f"grep {prefixes}", text)[0], "a 10.0.0.1 b")
        self.assertEqual(self.lines(f"grep {prefixes} - 1", text), ["\udcff [::1]:80 10.0.0.2"][:0])
        self.assertEqual(self.lines(f"grep {prefixes} o 2", text), ["10.0.0.1", "::1"])
        self.ask("format json")
        self.assertEqual(
            [*map(json.loads, self.lines(f"grep {prefixes}", text))],
            [*map(json.loads, command_line("grep", "--json", prefixes, "-", given=text))],
        )


class OwnTests(IPCase):
    def test_what_is_taken_away(self) -> None:
        self.assertEqual(
            self.lines("aggregate 10.0.0.0/24 !10.0.0.0/25 !10.0.0.128/26"), ["10.0.0.192/26"]
        )
        self.assertEqual(self.lines("aggregate !::1"), [])

    def test_summarize(self) -> None:
        line = "summarize 1 10.0.0.0/25 10.0.0.128/26"
        self.assertEqual(self.lines(line), ["10.0.0.0/24", "+10.0.0.192/26"])
        self.assertEqual(self.lines("summarize 9 10.0.0.0/25"), ["10.0.0.0/25"])
        self.ask("format json")
        [found] = self.lines(line)
        self.assertEqual(
            json.loads(found), {"prefixes": ["10.0.0.0/24"], "extra": ["10.0.0.192/26"]}
        )

    def test_subnets(self) -> None:
        self.assertEqual(self.lines("subnets 10.0.0.0/30 31"), ["10.0.0.0/31", "10.0.0.2/31"])
        self.assertEqual(
            self.lines("subnets 2001:db8::/32 64 2"), ["2001:db8::/64", "2001:db8:0:1::/64"]
        )
        self.assertEqual(self.lines("subnets ::1 128"), ["::1/128"])
        self.assertEqual(len(self.lines("subnets ::/0 128")), 256)
        self.ask("format json")
        self.assertEqual(self.lines("subnets ::/0 128 1"), ['{"prefix": "::/128"}'])

    def test_fewer_free_ones_than_asked_for(self) -> None:
        self.assertEqual(
            self.ask("free 26 10.0.0.0/26 2"),
            ["10.0.0.0/26", ". ERR not-found 1 of 2 free /26 found"],
        )
        self.assertEqual(self.complaint("free 26 10.0.0.0/28"), "not-found 0 of 1 free /26 found")

    def test_mistakes_are_one_line(self) -> None:
        for line, complaint in [
            ("calc", "expected an address, a network or a range"),
            ("calc 10.0.0.1 10.0.0.300", "'10.0.0.300': expected an address, a network, a range"),
            ("classify 10.0.0.0/8", "'10.0.0.0/8': expected an IPv4 or IPv6 address"),
            ("aggregate x", "'x': expected an address"),
            ("summarize 0 ::1", "most 0: expected 1 or more"),
            ("summarize 1 ::1 10.0.0.1", "most 1: expected 2 or more: there are both families"),
            ("diff ::1 /etc/passwd", "'/etc/passwd': expected an address"),
            ("free 33 10.0.0.0/8", "length 33: expected 0 to 32"),
            ("free 24 10.0.0.0/8,::1", "pool: expected one family, IPv4 or IPv6"),
            ("free 24 10.0.0.0/8 0", f"count 0: expected 1 to {MOST_PREFIXES}"),
            ("free 24 10.0.0.0/8 1 best", 'policy "best": expected one of first, smallest'),
            ("subnets 10.0.0.0/8 7", "length 7: expected 8 to 32"),
            (f"subnets ::/0 128 {MOST_LINES + 1}", f"count 1000001: expected 1 to {MOST_LINES}"),
            ("format xml", 'format "xml": expected one of text, json'),
        ]:
            self.assertTrue(
                self.complaint(line).startswith(f"bad-argument {complaint}"), self.complaint(line)
            )
        for line, complaint in [
            ("grep ::1 z", "flags 'z': expected some of vcnox, or -"),
            ("grep ::1 vo", "flags: expected v or o, not both"),
            ("grep ::1 - 1001", "field 1001: expected 0 to 1000"),
            ("grep x", "'x': expected an address"),
        ]:
            self.assertTrue(
                self.complaint(line, b"text").startswith(f"bad-argument {complaint}"), line
            )

    def test_line_breaks_that_are_none(self) -> None:
        self.assertEqual(self.lines("grep ::1", b"::1 a\rb\r\n"), ["::1 a\\rb"])


class HostileTests(IPCase):
    limits = replace(LIMITS, idle=None)  # which would be a call that waits

    def test_no_path_is_opened(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(directory)
        for name in ("list", "10.0.0.300", "-"):
            Path(name).write_text("10.0.0.0/8\n")
            for line in ("calc", "classify", "aggregate", "summarize 1", "diff ::1", "free 24"):
                self.assertIn("bad-argument ", self.complaint(f"{line} {name}"))
            self.assertIn("bad-argument ", self.complaint(f"grep {name}", b"10.0.0.1"))

    def test_prefixes_at_the_limit_and_past_it(self) -> None:
        addresses = " ".join(f"10.0.{n >> 8}.{n & 255}" for n in range(0, 2 * 1000, 2))
        self.assertEqual(len(self.lines(f"aggregate {addresses}")), 1000)
        # 16 of these are 4064 prefixes, 17 are 4318.
        wide = [
            f"2001:db8:{n:x}::1-2001:db8:{n + 1:x}:ffff:ffff:ffff:ffff:fffe"
            for n in range(0, 80, 2)
        ]
        each = len(self.lines(f"aggregate {wide[0]}"))
        most = MOST_PREFIXES // each
        self.assertEqual(len(self.whole(f"aggregate {' '.join(wide[:most])}")), most * each)
        for line in (
            f"aggregate {' '.join(wide[: most + 1])}",
            f"summarize 5 {' '.join(wide[: most + 1])}",
            f"diff {','.join(wide[: most + 1])} ::",
            f"diff :: {','.join(wide[: most + 1])}",
            f"free 128 {','.join(wide[: most + 1])}",
        ):
            self.assertEqual(
                self.complaint(line),
                f"bad-argument expected what comes to {MOST_PREFIXES} prefixes at most",
            )

    def whole(self, line: str) -> list[str]:
        """The lines of a reply that comes in several turns."""
        lines = self.ask(line)
        while self.clock.getDelayedCalls() and lines[-1] != ".":
            self.transport.clear()
            self.clock.advance(0)
            lines += self.transport.value().decode().splitlines()
        self.assertEqual(lines.pop(), ".")
        return lines

    def test_a_listing_waits_for_its_reader(self) -> None:
        self.protocol.pauseProducing()
        self.protocol.dataReceived(b"subnets ::/0 128 1000000\n")
        self.clock.advance(0)
        self.assertEqual(self.transport.value(), b"")
        self.protocol.resumeProducing()
        first = len(self.transport.value())
        self.assertLess(first, 2 * LIMITS.buffer)
        self.protocol.pauseProducing()
        self.clock.advance(1)
        self.assertEqual(len(self.transport.value()), first)

    def test_the_line_end(self) -> None:
        app = load_app("ip", line_end=b"\n")
        protocol = LineFactory(app, self.clock).buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"subnets ::1 128\n")
        self.assertEqual(transport.value(), b"::1/128\n.\n")


class Turns(Clock):
    """A clock whose every second is a turn of the reactor: what is asked for in it comes later."""

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002 - Twisted's name
        *args: object,
        **kw: object,
    ) -> IDelayedCall:
        return super().callLater(delay + 1, callable, *args, **kw)


class TurnTests(IPCase):
    limits = replace(LIMITS, idle=None)

    def make_clock(self) -> Clock:
        return Turns()

    def test_what_takes_a_while_lets_others_have_their_turn(self) -> None:
        """Of many commands that come at once, one is carried out at a time."""
        for line in (
            b"aggregate ::1\n",
            b"summarize 1 ::1\n",
            b"diff ::1 ::2\n",
            b"free 128 ::1\n",
            b"grep ::1 {3}\n::1\n",
        ):
            self.transport.clear()
            self.protocol.dataReceived(line * 3)
            self.assertEqual(self.transport.value(), b"", line)
            turns = 0
            while self.clock.getDelayedCalls():
                self.clock.advance(1)
                turns += 1
            self.assertEqual(turns, 3, line)
            self.assertEqual(self.transport.value().count(b".\r\n"), 3, line)
