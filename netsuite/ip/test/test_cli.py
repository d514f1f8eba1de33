import json
from io import BytesIO, StringIO, TextIOWrapper
from ipaddress import IPv6Network
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from netsuite.ip.cli import Streams, main
from netsuite.ip.cli._progress import Progress


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class CommandCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()

    def file(self, name: str, text: str | bytes) -> str:
        path = self.directory / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    def run_it(self, *arguments: str, given: str | bytes = "") -> tuple[int, str, str]:
        """Exit status, standard output and standard error."""
        data = given.encode() if isinstance(given, str) else given
        output, errors = BytesIO(), StringIO()
        status = main(arguments, Streams(BytesIO(data), output, errors))
        return status, output.getvalue().decode("latin-1"), errors.getvalue()

    def output_of(self, *arguments: str, given: str | bytes = "") -> str:
        """The standard output of a command that has nothing to complain about."""
        status, output, errors = self.run_it(*arguments, given=given)
        self.assertEqual((status, errors), (0, ""))
        return output

    def json_of(self, *arguments: str, given: str = "") -> Any:
        return json.loads(self.output_of(*arguments, "--json", given=given))


class CalcTests(CommandCase):
    def test_ipv4(self) -> None:
        [found] = self.json_of("calc", "192.0.2.9/24")
        self.assertEqual(
            {name: value for name, value in found.items() if name != "class"},
            {
                "input": "192.0.2.9/24",
                "address": "192.0.2.9",
                "network": "192.0.2.0/24",
                "mask": "255.255.255.0",
                "wildcard": "0.0.0.255",
                "broadcast": "192.0.2.255",
                "first_host": "192.0.2.1",
                "last_host": "192.0.2.254",
                "hosts": 254,
                "size": 256,
                "reverse": "9.2.0.192.in-addr.arpa",
                "zones": ["2.0.192.in-addr.arpa"],
                "hex": "0xc0000209",
                "integer": 3221225993,
            },
        )
        self.assertEqual(found["class"]["block"], "192.0.2.0/24")
        self.assertIs(found["class"]["globally_reachable"], False)

    def test_masks_are_lengths(self) -> None:
        [found] = self.json_of("calc", "10.1.2.3/255.255.0.0")
        self.assertEqual(found["network"], "10.1.0.0/16")

    def test_point_to_point_has_two_hosts_and_no_broadcast(self) -> None:
        for length, hosts in ((31, 2), (32, 1)):
            [found] = self.json_of("calc", f"10.0.0.0/{length}")
            self.assertEqual((found["hosts"], found["broadcast"]), (hosts, None))
            self.assertEqual(found["first_host"], "10.0.0.0")

    def test_ipv6_and_what_is_in_it(self) -> None:
        [mapped, slaac] = self.json_of("calc", "64:ff9b::7f00:1", "2001:db8::211:22ff:fe33:4455/64")
        self.assertEqual(mapped["embedded"], [{"kind": "nat64", "ipv4": "127.0.0.1"}])
        self.assertEqual(slaac["mac"], "00:11:22:33:44:55")
        self.assertEqual(slaac["last_address"], "2001:db8::ffff:ffff:ffff:ffff")
        self.assertEqual(slaac["size"], 2**64)

    def test_range(self) -> None:
        [found] = self.json_of("calc", "10.0.0.0-10.0.0.9")
        self.assertEqual(found["prefixes"], ["10.0.0.0/29", "10.0.0.8/31"])
        self.assertEqual((found["spanning"], found["size"]), ("10.0.0.0/28", 10))

    def test_text(self) -> None:
        lines = self.output_of("calc", "192.0.2.9/24", "::1").splitlines()
        self.assertIn("Wildcard              0.0.0.255", lines)
        self.assertEqual(lines.count(""), 1, "a blank line between two")
        self.assertNotIn("MAC", "".join(lines), "what is not there is not named")

    def test_from_standard_input_and_files(self) -> None:
        name = self.file("more", "# comment\n\n10.0.0.2  # two\n")
        for arguments in ((), ("-",)):
            found = self.json_of("calc", *arguments, given="10.0.0.1\n")
            self.assertEqual([item["input"] for item in found], ["10.0.0.1"])
        found = self.json_of("calc", "10.0.0.1", "--file", name)
        self.assertEqual([item["input"] for item in found], ["10.0.0.1", "10.0.0.2"])


class ClassifyTests(CommandCase):
    def test_entry_effective_and_global(self) -> None:
        [mapped, public] = self.json_of("classify", "::ffff:127.0.0.1", "8.8.8.8")
        self.assertEqual(IPv6Network(mapped["block"]), IPv6Network("::ffff:0:0/96"))
        self.assertEqual([each["address"] for each in mapped["effective"]], ["127.0.0.1"])
        self.assertEqual((mapped["is_global"], public["is_global"]), (False, True))

    def test_networks_are_refused(self) -> None:
        status, output, errors = self.run_it("classify", "10.0.0.0/8")
        self.assertEqual((status, output), (2, ""))
        self.assertEqual(
            errors, "netsuite ip: '10.0.0.0/8': expected an IPv4 or IPv6 address\n"
        )  # fmt: skip


class AggregateTests(CommandCase):
    def test_fewest_prefixes(self) -> None:
        one = self.file("one", "10.0.0.0/25\n2001:db8::/33\n# 192.0.2.1\n\n10.0.0.200\n")
        two = self.file("two", "10.0.0.128-10.0.0.255 # the rest\r\n2001:db8:8000::/33")
        self.assertEqual(self.output_of("aggregate", one, two), "10.0.0.0/24\n2001:db8::/32\n")
        self.assertEqual(
            self.json_of("aggregate", one, two),
            {"prefixes": ["10.0.0.0/24", "2001:db8::/32"], "extra": []},
        )

    def test_exclude(self) -> None:
        out = self.file("out", "10.0.0.0/25\n")
        self.assertEqual(
            self.output_of("aggregate", "-", "--exclude", out, given="10.0.0.0/24"),
            "10.0.0.128/25\n",
        )

    def test_max_reports_what_is_too_much(self) -> None:
        status, output, errors = self.run_it(
            "aggregate", "--max", "1", given="10.0.0.0/25\n10.0.0.128/26\n"
        )
        self.assertEqual((status, output), (0, "10.0.0.0/24\n"))
        self.assertEqual(
            errors,
            "netsuite ip aggregate: 1 prefix with 64 more addresses than asked for: "
            "10.0.0.192/26\n",
        )

    def test_max_of_both_families(self) -> None:
        status, _, errors = self.run_it("aggregate", "--max", "1", given="10.0.0.0\n::1\n")
        self.assertEqual(status, 2)
        self.assertEqual(
            errors,
            "netsuite ip aggregate: --max 1: expected at least 2, the files have both families\n",
        )

    def test_files_of_many_blocks(self) -> None:
        self.patch(__import__("netsuite.ip.cli._input", fromlist=[""]), "_BLOCK", 16)
        text = "".join(f"10.0.{number}.0/24\n" for number in range(256))
        self.assertEqual(self.output_of("aggregate", given=text), "10.0.0.0/16\n")
        _, _, errors = self.run_it("aggregate", given=text + "oops")
        self.assertTrue(errors.startswith("standard input:257: 'oops': expected"), errors)


class BadLineTests(CommandCase):
    def test_file_and_line_are_named(self) -> None:
        name = self.file("prefixes.txt", "10.0.0.0/8\n\n10.0.0.1/8 # no\n10.0.0.2\n::/129\n")
        status, output, errors = self.run_it("aggregate", name)
        self.assertEqual((status, output), (2, ""))
        first, second = errors.splitlines()
        self.assertEqual(first, f"{name}:3: '10.0.0.1/8': expected no host bits: 10.0.0.0/8")
        self.assertTrue(second.startswith(f"{name}:5: '::/129': expected "))

    def test_twenty_and_the_others_are_counted(self) -> None:
        for count, lines in ((20, 20), (21, 21), (25, 21)):
            _, _, errors = self.run_it("aggregate", given="x\n" * count)
            found = errors.splitlines()
            self.assertEqual(len(found), lines)
            self.assertEqual(found[-1] == f"and {count - 20} more", count > 20)

    def test_skip_bad(self) -> None:
        status, output, errors = self.run_it("aggregate", "--skip-bad", given="x\n10.0.0.0/8\n")
        self.assertEqual((status, output), (0, "10.0.0.0/8\n"))
        self.assertTrue(errors.startswith("standard input:1: 'x': expected an address"))
        self.assertTrue(errors.endswith("; skipped\n"))

    def test_bytes_that_are_no_text(self) -> None:
        status, _, errors = self.run_it("aggregate", given=b"\xff\xfe10.0.0.1\n")
        self.assertEqual(status, 2)
        self.assertEqual(errors.count("\n"), 1)

    def test_no_such_file(self) -> None:
        for command in (["aggregate", "/none"], ["grep", "/none"], ["free", "24", "--in", "/none"]):
            self.assertEqual(
                self.run_it(*command),
                (2, "", f"netsuite ip {command[0]}: /none: No such file or directory\n"),
            )

    def test_a_terminal_is_not_waited_for(self) -> None:
        class TerminalInput(BytesIO):
            def isatty(self) -> bool:
                return True

        errors = StringIO()
        self.assertEqual(main(["calc"], Streams(TerminalInput(), BytesIO(), errors)), 2)
        self.assertEqual(
            errors.getvalue(),
            "netsuite ip calc: expected an argument, or input on standard input\n",
        )

    def test_standard_input_is_read_once(self) -> None:
        for command in (
            ["diff", "-", "-"],
            ["aggregate", "-", "-"],
            ["grep", "-"],
            ["grep", "-", "-"],
            ["free", "24", "--in", "-", "--used", "-"],
        ):
            status, _, errors = self.run_it(*command)
            self.assertEqual(status, 2)
            self.assertIn("standard input (-) can be read only once", errors)


class DiffTests(CommandCase):
    def test_removed_and_added(self) -> None:
        old = self.file("old", "10.0.0.0/24\n2001:db8::/32\n")
        new = self.file("new", "9.0.0.0/8\n10.0.0.0/25\n2001:db8::/32\n::1\n")
        status, output, _ = self.run_it("diff", old, new)
        self.assertEqual((status, output), (1, "+9.0.0.0/8\n-10.0.0.128/25\n+::1/128\n"))
        status, output, _ = self.run_it("diff", "--json", old, new)
        self.assertEqual(
            json.loads(output), {"removed": ["10.0.0.128/25"], "added": ["9.0.0.0/8", "::1/128"]}
        )

    def test_same(self) -> None:
        halves = "10.0.0.0/25\n10.0.0.128/25\n"
        old = self.file("old", "10.0.0.0/24\n")
        self.assertEqual(self.run_it("diff", old, "-", given=halves), (0, "", ""))


class FreeTests(CommandCase):
    def test_policies(self) -> None:
        arguments = ("26", "--in", "10.0.0.0/22", "--used", "10.0.1.128/25", "--count", "3")
        self.assertEqual(
            self.output_of("free", *arguments), "10.0.0.0/26\n10.0.0.64/26\n10.0.0.128/26\n"
        )
        self.assertEqual(
            self.json_of("free", *arguments, "--policy", "smallest"),
            {"prefixes": ["10.0.1.0/26", "10.0.1.64/26", "10.0.0.0/26"]},
        )

    def test_not_enough(self) -> None:
        self.assertEqual(
            self.run_it("free", "/24", "--in", "10.0.0.0/24", "--count", "2"),
            (1, "10.0.0.0/24\n", "netsuite ip free: 1 of 2 free /24 found\n"),
        )

    def test_family(self) -> None:
        both = "10.0.0.0/8,2001:db8::/32"
        self.assertEqual(self.run_it("free", "30", "--in", both)[0], 2)
        self.assertEqual(self.output_of("free", "48", "--in", both, "-6"), "2001:db8::/48\n")
        status, _, errors = self.run_it("free", "33", "--in", "10.0.0.0/8")
        self.assertEqual(status, 2)
        self.assertIn("length 33: expected 0 to 32 for IPv4", errors)


class GrepTests(CommandCase):
    def grep(self, *arguments: str, given: str | bytes) -> list[str]:
        status, output, errors = self.run_it("grep", *arguments, given=given)
        self.assertEqual(errors, "")
        self.assertEqual(status, 0 if output else 1)
        return output.splitlines()

    def test_what_is_an_ipv4_address(self) -> None:
        yes = (
            "10.0.0.1", "10.0.0.1:80", "[10.0.0.1]", "to 10.0.0.1.", "10.0.0.1...", "10.0.0.1,",
            "ip=10.0.0.1", "_10.0.0.1_", "-10.0.0.1-", "ip:10.0.0.1", "dead:10.0.0.1",
            "::ffff:10.0.0.1", "::ffff:a00:1", "0:0:0:0:0:ffff:10.0.0.1", "http://10.0.0.1/404/x",
            "10.0.0.1/24", "10.0.0.0/24", "1.1.1.1 10.0.0.1", "10.0.0.1/", "10.0.0.1/99",
            "10.0.0.1/24x", "10.0.0.1%25",
        )  # fmt: skip
        no = (
            "10.0.0.1.5", "1.10.0.0.1", ".10.0.0.1", "x10.0.0.1", "10.0.0.1abc", "10.0.0.1.foo",
            "10.0.0", "010.0.0.1", "10.0.0.01", "10.0.0.256", "10.0.0.0001", "210.0.0.1",
            "10.0.0.12345", "8.0.0.0/6", "64:ff9b::10.0.0.1", "2001:db8::10.0.0.1", "11.0.0.1", "",
        )  # fmt: skip
        for text in yes:
            self.assertEqual(self.grep("10.0.0.0/8", given=text), [text])
        for text in no:
            self.assertEqual(self.grep("10.0.0.0/8", given=text), [], text)
        self.assertEqual(self.grep("10.0.0.0/8", given="\n".join(yes + no)), list(yes))

    def test_what_is_an_ipv6_address(self) -> None:
        yes = (
            "2001:db8::1", "[2001:db8::1]:80", "at 2001:db8::1.", "2001:db8::1: denied",
            "ip:2001:db8::1", "2001:DB8:0::1%eth0", "2001:db8::/64", "2001:db8::1/64",
            "2001:db8:1:2:3:4:5:6", "2001:db8:1:2:3:4:1.2.3.4", "2001:db8::", "x 2001:db8::1,",
            "=2001:db8::1", "13:55:36 2001:db8::7",
        )  # fmt: skip
        no = (
            "2001:db8:1:2:3:4:5:6:7", "2001:db8::1::2", "2001:db8::abcde", "2001:db8::1g",
            "x2001:db8::1", "2001:db8:::1", "2001:db8::1.2.3.4.5", "2001:db8:1:2", "1.2001:db8::1",
            "2001::/16", "std::dead", "12001:db8::1", ":" * 200, "2001:db8:" * 50 + ":1",
            "00:11:22:33:44:55", "2001:db8::1.2.3.400",
        )  # fmt: skip
        for text in yes:
            self.assertEqual(self.grep("2001:db8::/32", given=text), [text])
        for text in no:
            self.assertEqual(self.grep("2001:db8::/32", given=text), [], text)
        self.assertEqual(self.grep("2001:db8::/32", given="\n".join(yes + no)), list(yes))

    def test_both_families_in_order(self) -> None:
        given = "2001:db8::1 x 10.0.0.1\n10.0.0.2 ::ffff:10.0.0.3\n"
        found = self.grep("10.0.0.0/8,2001:db8::/32", "-o", given=given)
        self.assertEqual(found, ["2001:db8::1", "10.0.0.1", "10.0.0.2", "::ffff:10.0.0.3"])

    def test_only_matching_is_what_is_in_the_set(self) -> None:
        given = "10.0.0.1/24 11.0.0.1 10.1.0.0/16 10.0.0.1/x fe80::1%eth0\n"
        found = self.grep("10.0.0.0/8,fe80::/10", "-no", given=given)
        self.assertEqual(found, ["1:10.0.0.1", "1:10.1.0.0/16", "1:10.0.0.1", "1:fe80::1"])

    def test_invert_count_and_numbers(self) -> None:
        given = "a\n10.0.0.1 10.0.0.2\nb\nc\n10.0.0.3"
        self.assertEqual(self.grep("10.0.0.0/8", "-v", given=given), ["a", "b", "c"])
        self.assertEqual(self.grep("10.0.0.0/8", "-vn", given=given), ["1:a", "3:b", "4:c"])
        self.assertEqual(self.grep("10.0.0.0/8", "-c", given=given), ["2"])
        self.assertEqual(self.grep("10.0.0.0/8", "-cv", given=given), ["3"])
        self.assertEqual(
            self.grep("10.0.0.0/8", "-n", given=given), ["2:10.0.0.1 10.0.0.2", "5:10.0.0.3"]
        )
        self.assertEqual(
            self.run_it("grep", "-ov", "10.0.0.0/8")[2],
            "netsuite ip grep: -o prints what is in the set, -v what is not: "
            "expected one of them\n",
        )

    def test_none_is_status_1(self) -> None:
        self.assertEqual(self.run_it("grep", "10.0.0.0/8", given="a\n"), (1, "", ""))
        self.assertEqual(self.run_it("grep", "-c", "10.0.0.0/8", given="a\n"), (1, "0\n", ""))

    def test_exact_and_field(self) -> None:
        given = "10.0.0.1\n 10.0.0.2\t\r\n10.0.0.3 x\n10.0.0.0/24\n10.0.0.4/24\n11.0.0.1\n"
        exact = [line.strip() for line in self.grep("10.0.0.0/8", "-x", given=given)]
        self.assertEqual([line for line in exact if line], ["10.0.0.1", "10.0.0.2", "10.0.0.0/24"])
        given = "a 10.0.0.1 b\n10.0.0.2 a b\n\t a  \t10.0.0.3:80\nonly\na 1.1.1.1 10.0.0.4\n"
        self.assertEqual(
            self.grep("10.0.0.0/8", "--field", "2", given=given),
            ["a 10.0.0.1 b", "\t a  \t10.0.0.3:80"],
        )
        self.assertEqual(
            self.grep("10.0.0.0/8", "--field=2", "-x", given=given), ["a 10.0.0.1 b"]
        )  # fmt: skip
        self.assertEqual(self.grep("fe80::/10", "-x", given="fe80::1%eth0\n"), ["fe80::1%eth0"])

    def test_files_are_named_when_there_are_some(self) -> None:
        one, two = self.file("one", "10.0.0.1\n"), self.file("two", "x\n10.0.0.2")
        self.assertEqual(self.grep("10.0.0.0/8", one, given=""), ["10.0.0.1"])
        self.assertEqual(
            self.grep("10.0.0.0/8", "-n", one, two, given=""),
            [f"{one}:1:10.0.0.1", f"{two}:2:10.0.0.2"],
        )
        self.assertEqual(
            self.grep("10.0.0.0/8", "-c", one, two, given=""), [f"{one}:1", f"{two}:1"]
        )
        status, output, errors = self.run_it("grep", "10.0.0.0/8", "/none", one)
        self.assertEqual((status, output), (2, f"{one}:10.0.0.1\n"))
        self.assertEqual(errors, "netsuite ip grep: /none: No such file or directory\n")

    def test_prefixes_from_a_file(self) -> None:
        name = self.file("prefixes", "# ours\n10.0.0.0/24\n10.0.2.0-10.0.3.7\n")
        self.assertEqual(self.grep(name, given="10.0.3.7\n10.0.3.8\n10.0.1.1\n"), ["10.0.3.7"])
        status, _, errors = self.run_it("grep", "10.0.0.1/8")
        self.assertEqual(status, 2)
        self.assertEqual(
            errors, "netsuite ip grep: '10.0.0.1/8': expected no host bits: 10.0.0.0/8\n"
        )

    def test_any_bytes_and_blocks(self) -> None:
        self.patch(__import__("netsuite.ip.cli._grep", fromlist=[""]), "_BLOCK", 8)
        given = b"\xff\xfe 10.0.0.1 \x80\n\0\n" + b"y" * 100 + b" 10.0.0.2 \n\xe9\n10.0.0.3"
        found = self.grep("-n", "10.0.0.0/8", given=given)
        self.assertEqual([line.partition(":")[0] for line in found], ["1", "3", "5"])
        self.assertEqual(found[0], "1:\xff\xfe 10.0.0.1 \x80")

    def test_json(self) -> None:
        output = self.output_of("grep", "--json", "10.0.0.0/8", given=b"\n\xff 10.0.0.1 10.0.0.2\n")
        self.assertEqual(
            json.loads(output),
            {
                "file": None,
                "line": 2,
                "text": "\\xff 10.0.0.1 10.0.0.2",
                "addresses": ["10.0.0.1", "10.0.0.2"],
            },
        )
        counted = self.json_of("grep", "-c", "10.0.0.0/8", given="10.0.0.1")
        self.assertEqual(counted, {"file": None, "count": 1})


class InputTests(CommandCase):
    def test_mistakes_on_the_command_line(self) -> None:
        for arguments, complaint in (
            (["frobnicate"], "invalid choice: 'frobnicate'"),
            ([], "the following arguments are required: COMMAND"),
            (["aggregate", "--max", "0"], "argument --max: '0': expected 1 to 1000000"),
            (["grep", "10.0.0.0/8", "--field", "x"], "'x': expected 1 to 1000"),
            (["free", "129", "--in", "::/0"], "'129': expected 0 to 128"),
        ):
            errors = StringIO()
            self.patch(__import__("sys"), "stderr", errors)
            caught = self.assertRaises(SystemExit, self.run_it, *arguments)
            self.assertEqual(caught.code, 2)
            self.assertIn(complaint, errors.getvalue())
            self.assertEqual(errors.getvalue().count("\n"), 1)

    def test_output_that_cannot_be_written(self) -> None:
        with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
            errors = StringIO()
            status = main(["calc", "::1"], Streams(BytesIO(), full, errors))
        self.assertEqual(status, 2)
        self.assertEqual(errors.getvalue(), "netsuite ip calc: output: No space left on device\n")

    def test_interrupted(self) -> None:
        class Interrupted(BytesIO):
            def read1(self, _: int | None = -1) -> bytes:
                raise KeyboardInterrupt

        errors = StringIO()
        self.assertEqual(main(["aggregate"], Streams(Interrupted(), BytesIO(), errors)), 130)
        self.assertEqual(errors.getvalue(), "")


class ProgressTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.now = 0.0
        self.terminal = Terminal()

    def progress(self, total: int | None, name: str = "prefixes.txt") -> Progress:
        return Progress(self.terminal, name, total, clock=lambda: self.now)

    def test_a_line_that_is_erased(self) -> None:
        with self.progress(200) as bar:
            bar.at(50)
            self.assertEqual(self.terminal.getvalue(), "", "it may be over soon")
            self.now = 0.3
            bar.at(100)
            line = f"prefixes.txt  [{'#' * 15}{' ' * 15}]  50%"
            self.assertEqual(self.terminal.getvalue(), f"\r{line}")
            self.now = 0.35
            bar.at(150)
            self.assertEqual(self.terminal.getvalue(), f"\r{line}", "not too often")
        self.assertEqual(self.terminal.getvalue(), f"\r{line}\r{' ' * len(line)}\r")

    def test_unknown_total_and_long_name(self) -> None:
        bar = self.progress(None, "x" * 50)
        self.now = 1
        bar.at(5 << 20)
        self.assertEqual(self.terminal.getvalue(), f"\r...{'x' * 27}  5 MiB")

    def test_nothing_without_a_terminal(self) -> None:
        stream = TextIOWrapper(BytesIO())
        with Progress(stream, "x", 10, clock=lambda: self.now) as bar:
            self.now = 9
            bar.at(5)
        self.assertEqual(stream.tell(), 0)
