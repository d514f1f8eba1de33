"""memcached's commands, as peers see them."""

import re

from netsuite.line import LineApp
from netsuite.line.kv import Store, kv_app
from netsuite.line.kv._store import ITEM_OVERHEAD
from netsuite.line.kv.test.scripts import KEYS, SCRIPTS
from netsuite.line.test.talk import Talk, Wire

START = 1_800_000_000
MIB = 1024 * 1024


def without_version(said: bytes) -> bytes:
    return re.sub(rb"VERSION \S+", b"VERSION", said)


class CommandsCase(Talk):
    value_size = 100

    def make_app(self) -> LineApp:
        self.clock.advance(START)
        self.store = Store(value_size=self.value_size, now=self.clock.seconds)
        return kv_app(self.store)

    def setUp(self) -> None:
        super().setUp()
        self.connect()

    def put(self, key: bytes, value: bytes) -> None:
        line = b"set %b 0 0 %d\r\n" % (key, len(value))
        self.assertEqual(self.say(line + value + b"\r\n"), b"STORED\r\n")

    def got(self, key: bytes, value: bytes) -> bytes:
        return b"VALUE %b 0 %d\r\n%b\r\n" % (key, len(value), value)


class ScriptTests(CommandsCase):
    value_size = MIB

    def forget(self) -> None:
        for key in KEYS:
            self.store.discard(key)

    def test_at_once(self) -> None:
        for script, reply in SCRIPTS:
            self.connect()
            before = self.app.replies.errors
            self.assertEqual(without_version(self.say(script)), reply, script)
            errors = re.findall(rb"^(?:CLIENT_|SERVER_)?ERROR\b", reply, re.MULTILINE)
            self.assertEqual(self.app.replies.errors - before, len(errors), script)
            self.forget()

    def test_a_byte_at_a_time(self) -> None:
        for script, reply in SCRIPTS:
            self.connect()
            said = b"".join(
                self.say(script[at : at + 1])
                for at in range(len(script))
                if not self.wire.disconnecting
            )
            self.assertEqual(without_version(said), reply, script)
            self.forget()


class CasTests(CommandsCase):
    def unique(self) -> bytes:
        match = re.fullmatch(rb"VALUE a 0 1 (\d+)\r\n.\r\nEND\r\n", self.say(b"gets a\r\n"))
        assert match is not None
        return match[1]

    def test_cas(self) -> None:
        self.put(b"a", b"1")
        unique = self.unique()
        self.assertEqual(self.say(b"cas a 0 0 1 %b\r\n2\r\n" % unique), b"STORED\r\n")
        self.assertEqual(self.say(b"cas a 0 0 1 %b\r\n3\r\n" % unique), b"EXISTS\r\n")
        unique = self.unique()
        self.assertEqual(
            self.say(b"cas a 0 0 1 %b noreply\r\n4\r\nget a\r\n" % unique),
            self.got(b"a", b"4") + b"END\r\n",
        )
        self.assertEqual(self.say(b"cas b 0 0 1 %b\r\n4\r\n" % unique), b"NOT_FOUND\r\n")

    def test_several(self) -> None:
        self.put(b"a", b"1")
        self.put(b"b", b"2")
        wanted = b"VALUE a 0 1 1\r\n1\r\nVALUE b 0 1 2\r\n2\r\nEND\r\n"
        self.assertEqual(self.say(b"gets a x b\r\n"), wanted)
        self.assertEqual(self.say(b"gats 10 a x b\r\n"), wanted)
        self.clock.advance(10)
        self.assertEqual(self.say(b"gets a x b\r\n"), b"END\r\n")


class LimitTests(CommandsCase):
    def test_values_at_the_limit_and_one_past_it(self) -> None:
        for name in (b"set", b"add", b"replace", b"append", b"prepend", b"cas"):
            line = b"%b a 0 0 %d" + (b" 1\r\n" if name == b"cas" else b"\r\n")
            self.store.discard(b"a")
            self.assertNotIn(b"ERROR", self.say(line % (name, 100) + bytes(100) + b"\r\n"))
            large = self.say(line % (name, 101) + bytes(101) + b"\r\nversion\r\n")
            self.assertEqual(
                without_version(large), b"SERVER_ERROR object too large for cache\r\nVERSION\r\n"
            )
        self.assertEqual(self.store.counts.store_too_large, 6)

    def test_nobody_wants_the_old_value_of_one_that_is_too_large(self) -> None:
        self.put(b"a", b"old")
        self.say(b"replace a 0 0 101\r\n" + bytes(103))
        self.assertEqual(self.say(b"get a\r\n"), self.got(b"a", b"old") + b"END\r\n")
        self.assertEqual(self.say(b"set a 0 0 101 noreply\r\n" + bytes(103)), b"")
        self.assertEqual(self.say(b"get a\r\n"), b"END\r\n")

    def test_joined_values(self) -> None:
        self.put(b"a", bytes(98))
        self.assertEqual(
            self.say(b"append a 0 0 1\r\nx\r\nprepend a 0 0 1\r\nx\r\n"), b"STORED\r\n" * 2
        )
        self.assertEqual(
            self.say(b"append a 0 0 1\r\nx\r\nprepend a 0 0 1\r\nx\r\n"), b"NOT_STORED\r\n" * 2
        )

    def test_memory(self) -> None:
        self.store.memory = ITEM_OVERHEAD + 50
        self.put(b"a", bytes(49))
        no = b"SERVER_ERROR out of memory storing object\r\n"
        self.assertEqual(self.say(b"replace a 0 0 50\r\n" + bytes(50) + b"\r\n"), no)
        self.assertIsNotNone(self.store.get(b"a"))
        self.assertEqual(self.say(b"set a 0 0 50\r\n" + bytes(50) + b"\r\n"), no)
        self.assertIsNone(self.store.get(b"a"))
        self.assertEqual(self.say(b"set a 0 0 50 noreply\r\n" + bytes(50) + b"\r\n"), b"")
        self.assertEqual(self.say(b"add a 0 0 50 noreply\r\n" + bytes(50) + b"\r\n"), b"")
        self.put(b"n", b"9".ljust(49))
        self.store.memory = ITEM_OVERHEAD + 49
        self.assertEqual(self.say(b"incr n 1\r\n"), no)

    def test_lines_at_the_limit_and_one_past_it(self) -> None:
        most = 256 * 1024
        line = b"get " + b"a " * (most // 2 - 2)
        self.assertEqual(len(line), most)
        self.assertEqual(self.say(line + b"\r\n"), b"END\r\n")
        self.assertEqual(self.say(line + b" \r\n"), b"CLIENT_ERROR line too long\r\n")
        self.assertEqual(self.wire.asked[-1], "close")

    def test_a_line_without_an_end(self) -> None:
        for _ in range(257):
            self.say(bytes(1024))
        self.assertEqual(self.sent, b"CLIENT_ERROR line too long\r\n")
        self.assertEqual(self.wire.asked[-1], "close")

    def test_what_the_application_is_made_with(self) -> None:
        self.assertRaises(ValueError, kv_app, memory=0)
        self.assertRaises(ValueError, kv_app, value_size=0)
        self.app = kv_app(memory=12345, value_size=77, now=self.clock.seconds)
        self.connect()
        settings = self.say(b"stats settings\r\n")
        self.assertIn(b"STAT maxbytes 12345\r\n", settings)
        self.assertIn(b"STAT item_size_max 77\r\n", settings)


class ManyTests(CommandsCase):
    value_size = MIB

    def setUp(self) -> None:
        super().setUp()
        for key in (b"a", b"b", b"c"):
            self.put(key, key * 300_000)

    @property
    def answer(self) -> bytes:
        return b"".join(self.got(key, key * 300_000) for key in (b"a", b"b", b"c"))

    def test_all_come_in_order(self) -> None:
        before = len(self.sent)
        self.say(b"get" + b" a b x c" * 4 + b"\r\nget x\r\nversion\r\n")
        while self.clock.getDelayedCalls():
            self.clock.turn()
        said = without_version(self.since(before))
        self.assertEqual(said, self.answer * 4 + b"END\r\nEND\r\nVERSION\r\n")

    def test_a_peer_that_does_not_read_has_one_beside_the_one_that_waits(self) -> None:
        wire = Wire()
        self.connect(wire)
        wire.on_write = lambda _: self.pause()
        self.say(b"get" + b" a b c" * 10_000 + b"\r\n")
        for _ in range(10):
            self.clock.turn()
        self.assertLess(len(self.sent), 350_000)
        self.protocol.resumeProducing()
        self.clock.turn()
        self.assertLess(len(self.sent), 1_400_000)
        self.lose()
        self.clock.turn()
        self.assertLess(len(self.sent), 1_400_000)


class StatisticsTests(CommandsCase):
    def stats(self, of: bytes = b"") -> dict[str, str]:
        said = self.say(b"stats" + of + b"\r\n").decode()
        *lines, end, nothing = said.split("\r\n")
        self.assertEqual((end, nothing), ("END", ""))
        self.assertTrue(all(line.startswith("STAT ") for line in lines))
        return dict(line.removeprefix("STAT ").split(" ", 1) for line in lines)

    def test_general(self) -> None:
        self.clock.advance(77.5)
        self.put(b"a", b"1")
        self.say(b"get a\r\nget a b\r\ntouch a 0\r\nincr a 1\r\nincr b 1\r\ndelete a\r\n")
        found = self.stats()
        wanted = {
            "uptime": "77",
            "time": str(START + 77),
            "curr_connections": "1",
            "total_connections": "1",
            "cmd_get": "3",
            "get_hits": "2",
            "get_misses": "1",
            "cmd_set": "1",
            "cmd_touch": "1",
            "touch_hits": "1",
            "incr_hits": "1",
            "incr_misses": "1",
            "delete_hits": "1",
            "limit_maxbytes": str(64 * MIB),
            "bytes": "0",
            "curr_items": "0",
            "total_items": "1",
            "evictions": "0",
        }
        self.assertEqual({name: found[name] for name in wanted}, wanted)
        self.assertEqual(int(found["pid"]) > 0, True)
        self.assertEqual(self.say(b"version\r\n").decode(), f"VERSION {found['version']}\r\n")
        self.assertRegex(found["version"], r"\A1\.6\.18-netsuite-\S+\Z")

    def test_connections(self) -> None:
        first = self.protocol
        self.connect()
        self.assertEqual(self.stats()["curr_connections"], "2")
        first.connectionLost()
        found = self.stats()
        self.assertEqual((found["curr_connections"], found["total_connections"]), ("1", "2"))

    def test_reset(self) -> None:
        self.put(b"a", b"1")
        self.assertEqual(self.say(b"stats reset\r\n"), b"RESET\r\n")
        found = self.stats()
        self.assertEqual((found["cmd_set"], found["curr_items"]), ("0", "1"))
        self.assertEqual(found["total_connections"], "0")

    def test_others(self) -> None:
        self.assertEqual(self.stats(b" items"), {})
        self.put(b"a", b"1")
        self.assertEqual(self.stats(b" items")["items:1:number"], "1")
        self.assertEqual(self.stats(b" slabs")["total_malloced"], str(ITEM_OVERHEAD + 2))
        self.assertEqual(self.stats(b" sizes"), {"sizes_status": "disabled"})
        for what in (b"detail", b"conns", b"cachedump", b"\xff"):
            self.assertEqual(self.say(b"stats " + what + b"\r\n"), b"ERROR\r\n")


class EndTests(CommandsCase):
    def test_quit(self) -> None:
        self.assertEqual(self.say(b"get a\r\nquit\r\nget a\r\n"), b"END\r\n")
        self.assertEqual(self.wire.asked, ["close"])

    def test_http(self) -> None:
        self.assertEqual(self.say(b"GET / HTTP/1.1\r\nset a 0 0 1\r\nx\r\n"), b"")
        self.assertEqual(self.wire.asked, ["close"])
        self.assertIsNone(self.store.get(b"a"))

    def test_the_peer_sends_no_more(self) -> None:
        self.say(b"get a\r\nset a 0 0 5\r\nab")
        self.end()
        self.assertEqual(self.sent, b"END\r\n")
        self.assertEqual(self.wire.asked, ["close"])

    def test_time_is_over_without_a_word(self) -> None:
        self.protocol.expire("idle")
        self.assertEqual((self.sent, self.wire.asked), (b"", ["close"]))

    def test_silence_is_no_offence(self) -> None:
        self.clock.advance(1_000_000)
        self.assertEqual(self.wire.asked, [])

    def test_who_is_not_let_in(self) -> None:
        said = self.factory.refusal("too_many_connections")
        self.assertRegex(said, rb"\ASERVER_ERROR .*too many connections.*\r\n\Z")

    def test_a_bug_is_no_secret(self) -> None:
        self.store.now = lambda: 1 // 0
        self.assertRegex(
            self.say(b"touch a 5\r\nset a 0 5 0\r\n\r\nversion\r\n"),
            rb"\ANOT_FOUND\r\nSERVER_ERROR set failed\r\nVERSION ",
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
