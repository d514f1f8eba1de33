import asyncio
import enum
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from functools import partial, wraps
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Any, Literal, Optional

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase

from netsuite.line import Address, Block, DefinitionError, Network, Quoted, Rest, Session, Words
from netsuite.line._arguments import Signature, shown_word, signature_of


class Color(enum.Enum):
    RED = 1
    Dark_Blue = 2
    CRIMSON = 1  # noqa: PIE796 - another name


def signature(function: Callable[..., Any], errors: str = "strict") -> Signature:
    return signature_of(function, Session, errors)


class ConversionTests(SynchronousTestCase):
    def check(
        self, hint: Any, good: dict[bytes, object], bad: list[bytes], errors: str = "strict"
    ) -> None:
        def function(value: Any) -> None:
            raise NotImplementedError

        function.__annotations__["value"] = hint
        (parameter,) = signature(function, errors).parameters
        for word, value in good.items():
            found = parameter.convert(word)
            self.assertEqual((found, type(found)), (value, type(value)), word)
        for word in bad:
            with self.assertRaises(ValueError, msg=word):
                parameter.convert(word)

    def test_whole_numbers(self) -> None:
        good: dict[bytes, object] = {b"0": 0, b"-7": -7, b"+7": 7, b"007": 7, b"9" * 30: 10**30 - 1}
        bad = [b"", b"1_000", b"1.0", b"0x1", b"1e3", b"--1", b"\xd9\xa1", b" 1", b"9" * 5000]
        self.check(int, good, bad)
        for hint in (int | None, Annotated[int, "x"] | None, Annotated[int | None, "x"]):
            self.check(hint, good, bad)

    def test_numbers(self) -> None:
        good: dict[bytes, object] = {b"1": 1.0, b"-1.5": -1.5, b".5": 0.5, b"5.": 5.0, b"1e3": 1e3}
        bad = [b"", b".", b"nan", b"inf", b"1e999", b"-1e999", b"1_0", b"0x1p3", b"1e"]
        self.check(float, good, bad)

    def test_yes_and_no(self) -> None:
        good: dict[bytes, object] = dict.fromkeys([b"1", b"ON", b"yes", b"True"], True)
        good |= dict.fromkeys([b"0", b"off", b"NO", b"false"], False)
        self.check(bool, good, [b"", b"2", b"y", b"ja"])

    def test_text(self) -> None:
        self.check(str, {b"": "", b"\xc3\xa9": "é"}, [b"\xff", b"\xc3", b"\xed\xa0\x80"])
        self.check(Quoted, {b"a b": "a b"}, [b"\xff"])
        self.check(str, {b"a\xff": "a\ufffd"}, [], "replace")
        self.check(str, {b"a\xff": "a\udcff"}, [], "surrogateescape")

    def test_bytes(self) -> None:
        self.check(bytes, {b"\xff\0": b"\xff\0"}, [])

    def test_addresses(self) -> None:
        four, six = IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1")
        self.check(
            Address, {b"192.0.2.1": four, b"2001:db8::1": six}, [b"", b"x", b"1.2.3", b"\xff"]
        )
        self.check(Address | None, {b"192.0.2.1": four, b"2001:db8::1": six}, [b"x"])
        self.check(IPv4Address, {b"192.0.2.1": four}, [b"2001:db8::1"])
        self.check(IPv6Address, {b"2001:db8::1": six}, [b"192.0.2.1"])

    def test_networks(self) -> None:
        four, six = IPv4Network("192.0.2.0/24"), IPv6Network("2001:db8::/32")
        one = IPv4Network("192.0.2.1/32")
        good: dict[bytes, object] = {
            b"192.0.2.0/24": four,
            b"2001:db8::/32": six,
            b"192.0.2.1": one,
        }
        self.check(Network, good, [b"", b"192.0.2.1/24", b"192.0.2.0/33", b"\xff"])
        self.check(IPv4Network, {b"192.0.2.0/24": four}, [b"2001:db8::/32"])
        self.check(IPv6Network, {b"2001:db8::/32": six}, [b"192.0.2.0/24"])

    def test_choices(self) -> None:
        self.check(Literal["on", "Off", 3], {b"ON": "on", b"off": "Off", b"3": 3}, [b"", b"o"])
        self.check(Color, {b"red": Color.RED, b"DARK_BLUE": Color.Dark_Blue}, [b"1", b"blue"])
        self.check(Color, {b"crimson": Color.RED}, [])

    def test_choices_that_cannot_be_told_apart(self) -> None:
        class Two(enum.Enum):
            A = 1
            a = 2

        class One(enum.Enum):
            A = a = 1

        self.check(One, {b"a": One.A, b"A": One.A}, [])
        for hint in (Literal["x", "y", "X"], Literal[1, "1"], Two):
            with self.assertRaisesRegex(DefinitionError, "value: .* are the same word"):
                self.check(hint, {}, [])

    def test_what_no_word_can_be(self) -> None:
        for hint in (dict, list[int], int | str, complex, object):
            with self.assertRaisesRegex(DefinitionError, "value: no word can be"):
                self.check(hint, {}, [])


class SignatureTests(SynchronousTestCase):
    def test_parameters_in_order(self) -> None:
        def function(session: Session, a: int, b=1.5, *names: str) -> None:  # type: ignore[no-untyped-def]  # that is it
            raise NotImplementedError

        found = signature(function)
        self.assertTrue(found.session)
        self.assertEqual(
            [(each.name, each.type, each.required, each.repeated) for each in found.parameters],
            [
                ("a", "int", True, False),
                ("b", "str", False, False),
                ("names", "str", False, True),
            ],
        )
        self.assertEqual([each.shown for each in found.parameters], ["a", "[b]", "[names...]"])
        self.assertEqual(found.parameters[1].default, 1.5)

    def test_the_rest(self) -> None:
        def function(key: str, value: Rest = "x") -> None:
            raise NotImplementedError

        found = signature(function)
        self.assertTrue(found.rest)
        self.assertEqual([each.type for each in found.parameters], ["str", "rest"])

    def test_what_may_be_left_out_is_what_it_would_be(self) -> None:
        def function(key: Quoted | None = None, value: Optional[Rest] = None) -> None:  # noqa: UP045
            raise NotImplementedError

        found = signature(function)
        self.assertTrue(found.rest)
        self.assertEqual([each.type for each in found.parameters], ["quoted", "rest"])
        self.assertEqual([each.shown for each in found.parameters], ["[key]", "[value]"])

    def test_a_literal(self) -> None:
        def function(session: Session, key: Quoted, data: Block) -> None:
            raise NotImplementedError

        found = signature(function)
        self.assertEqual((found.block, found.session), ("data", True))
        self.assertEqual([each.type for each in found.parameters], ["quoted"])

    def test_all_words(self) -> None:
        def function(words: Words) -> None:
            raise NotImplementedError

        def with_block(words: Words, data: Block) -> None:
            raise NotImplementedError

        self.assertTrue(signature(function).words)
        self.assertEqual(signature(with_block).block, "data")

    def test_several_lines(self) -> None:
        def generator() -> Any:
            yield ""

        async def asynchronous() -> Any:
            yield ""

        def annotated() -> Iterator[str]:
            raise NotImplementedError

        async def promised() -> list[str]:
            raise NotImplementedError

        def other() -> AsyncIterator[str]:
            raise NotImplementedError

        def line() -> str:
            raise NotImplementedError

        for function in (generator, asynchronous, annotated, promised, other):
            self.assertTrue(signature(function).lines, function)
        self.assertFalse(signature(line).lines)

    def gives_lines(self, hint: Any) -> bool:
        def function() -> Any:
            raise NotImplementedError

        function.__annotations__["return"] = hint
        return signature(function).lines

    def test_annotations_of_several_lines(self) -> None:
        for hint in (
            *(list, list[str], tuple[str, ...], set[str], frozenset[str]),
            *(Sequence[str], Collection[str], Iterable[str], Iterator[str]),
            *(Generator[str, None, None], AsyncGenerator[str, None]),
            *(AsyncIterable[str], AsyncIterator[str], list[int]),
            *(list[str] | None, Annotated[list[str], "x"], Annotated[list[str] | None, "x"]),
            *(Deferred[list[str]], Deferred[list[str] | None], Deferred[list[str]] | None),
            *(Awaitable[list[str]], Coroutine[Any, Any, list[str]], asyncio.Future[list[str]]),
            Iterator[str] | AsyncIterator[str],
        ):
            self.assertTrue(self.gives_lines(hint), hint)

    def test_annotations_of_one_line(self) -> None:
        for hint in (
            *(None, str, bytes, bytearray, int, object, Any, Literal["a"], str | None),
            *(Deferred, Deferred[str], Awaitable[str], Coroutine[list[str], Any, str]),
            *(list[str] | str, dict[str, str], Mapping[str, str]),
        ):
            self.assertFalse(self.gives_lines(hint), hint)

    def test_what_wraps_a_generator_is_none(self) -> None:
        def line() -> Generator[Deferred[Any], Any, str]:
            yield Deferred()
            raise NotImplementedError

        def lines() -> Generator[Deferred[Any], Any, list[str]]:
            yield Deferred()
            raise NotImplementedError

        def generator() -> Generator[str, None, None]:
            yield ""

        def plain(function: Any) -> Any:
            @wraps(function)
            def wrapper() -> Any:
                return function()

            return wrapper

        self.assertFalse(signature(inlineCallbacks(line)).lines)
        self.assertTrue(signature(inlineCallbacks(lines)).lines)
        self.assertTrue(signature(plain(generator)).lines)

    def test_what_no_line_can_give(self) -> None:
        def keyword(*, a: int) -> None:
            raise NotImplementedError

        def keywords(**a: int) -> None:
            raise NotImplementedError

        def behind_the_rest(a: Rest, b: int) -> None:
            raise NotImplementedError

        def behind_a_literal(a: Block, b: int) -> None:
            raise NotImplementedError

        def behind_repeated(*a: int, b: Block) -> None:
            raise NotImplementedError

        def words_and_more(a: int, words: Words) -> None:
            raise NotImplementedError

        def all_the_rest(*a: Rest) -> None:
            raise NotImplementedError

        def literals(*a: Block) -> None:
            raise NotImplementedError

        def lists_of_words(*a: Words) -> None:
            raise NotImplementedError

        def unknown(a: "Unknown") -> None:  # type: ignore[name-defined]  # noqa: F821 - that is it
            raise NotImplementedError

        for function in (
            keyword,
            keywords,
            behind_the_rest,
            behind_a_literal,
            behind_repeated,
            words_and_more,
            all_the_rest,
            literals,
            lists_of_words,
            unknown,
        ):
            with self.assertRaisesRegex(DefinitionError, function.__name__):
                signature(function)

    def test_what_is_no_function(self) -> None:
        class Adding:
            def __call__(self, a: int) -> int:
                raise NotImplementedError

        for what in (partial(int, base=2), Adding()):
            with self.assertRaisesRegex(DefinitionError, "expected a function or a method"):
                signature(what)


class ShownWordTests(SynchronousTestCase):
    def test_peers_words_are_printable_and_short(self) -> None:
        for word, shown in (
            (b"add", "add"),
            (b"\xc3\xa9", "é"),
            (b"\xff", "\\xff"),
            (b"\x1b[2J\0", "\\x1b[2J\\x00"),
            ("\u202e".encode(), "\\u202e"),
            (b"a" * 40, "a" * 40),
            (b"a" * 41, "a" * 40 + "..."),
        ):
            self.assertEqual(shown_word(word), shown)
