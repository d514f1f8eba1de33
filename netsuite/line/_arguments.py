"""Typed arguments: what a handler's annotations ask for, and how a word becomes it."""

import enum
import inspect
import math
import re
import types
import typing
from collections.abc import AsyncIterable, Awaitable, Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Any, Literal, Union

from netsuite.ip import parse_address, parse_network
from netsuite.line._errors import DefinitionError

_SHOWN = 40  # characters of a bad word that its error repeats

_FLOAT = re.compile(rb"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_WHOLE = re.compile(rb"[+-]?\d+")
_LINE = {str, int, float, bool}  # what may be one of several
_ONE = (str, bytes, bytearray, Mapping)  # which are iterable and no lines
_TRUE = {b"1", b"on", b"yes", b"true"}
_FALSE = {b"0", b"off", b"no", b"false"}


class _Role(enum.Enum):
    """A parameter that is not simply the next word."""

    REST = "rest"
    QUOTED = "quoted"
    BLOCK = "literal"
    WORDS = "words"


#: Those of which a line has one at most.
_ALONE = {_Role.REST, _Role.BLOCK, _Role.WORDS}

_EXPECTED = {_Role.REST: "the rest of the line, as it is", _Role.QUOTED: "text in quotes"}

#: The rest of the line as it is, quotes and all.
Rest = Annotated[str, _Role.REST]

#: Text that is usually in quotes; ``str`` takes quotes too, this one says so in the help.
Quoted = Annotated[str, _Role.QUOTED]

#: The bytes of a byte-counted literal.
Block = Annotated[bytes, _Role.BLOCK]

#: All words of the line, the command's name among them, as bytes: quotes mean nothing.
Words = Annotated[list[bytes], _Role.WORDS]

#: An address, and a network (an address alone is one), of either family.
Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

Convert = Callable[[bytes], object]


class BadWordError(ValueError):
    """A word is not what its parameter wants."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a command.

    :ivar type: the type's name, for people and for the list of commands.
    :ivar expected: what a word has to be, for error replies.
    :ivar convert: makes a value of a word.
    :raises ValueError: (``convert``) for a word that is none.
    """

    name: str
    type: str
    expected: str
    convert: Convert
    required: bool = True
    repeated: bool = False
    choices: tuple[str, ...] | None = None
    default: object = None

    @property
    def shown(self) -> str:
        """As usage lines have it."""
        shown = "|".join(self.choices) if self.choices else self.name
        if self.repeated:
            shown += "..."
        return shown if self.required else f"[{shown}]"

    def described(self) -> dict[str, object]:
        """As the list of commands has it."""
        return {
            "name": self.name,
            "type": self.type,
            "required": self.required,
            "repeated": self.repeated,
            "choices": None if self.choices is None else list(self.choices),
        }


def shown_word(word: bytes) -> str:
    """A peer's word as a reply may repeat it: printable, and not all of a long one."""
    text = word.decode("utf-8", "backslashreplace")
    if len(text) > _SHOWN:
        text = text[:_SHOWN] + "..."
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _whole(word: bytes) -> int:
    if word.isdigit() or _WHOLE.fullmatch(word):
        return int(word)
    raise BadWordError


def _real(word: bytes) -> float:
    if _FLOAT.fullmatch(word):
        value = float(word)
        if math.isfinite(value):
            return value
    raise BadWordError


def _yes_or_no(word: bytes) -> bool:
    low = word.lower()
    if low in _TRUE:
        return True
    if low in _FALSE:
        return False
    raise BadWordError


def _address(word: bytes) -> Address:
    try:
        return parse_address(word.decode("ascii"))
    except ValueError:
        raise BadWordError from None


def _network(word: bytes) -> Network:
    try:
        return parse_network(word.decode("ascii"))
    except ValueError:
        raise BadWordError from None


def _of_family(convert: Convert, kind: type) -> Convert:
    def converted(word: bytes) -> object:
        value = convert(word)
        if isinstance(value, kind):
            return value
        raise BadWordError

    return converted


_SIMPLE: dict[object, tuple[str, str, Convert]] = {
    int: ("int", "a whole number", _whole),
    float: ("float", "a number", _real),
    bool: ("bool", "yes or no", _yes_or_no),
    bytes: ("bytes", "a word", bytes),
    Address: ("address", "an IPv4 or IPv6 address", _address),
    IPv4Address: ("address", "an IPv4 address", _of_family(_address, IPv4Address)),
    IPv6Address: ("address", "an IPv6 address", _of_family(_address, IPv6Address)),
    Network: ("network", "an IPv4 or IPv6 network", _network),
    IPv4Network: ("network", "an IPv4 network", _of_family(_network, IPv4Network)),
    IPv6Network: ("network", "an IPv6 network", _of_family(_network, IPv6Network)),
}


@dataclass(frozen=True, slots=True)
class Signature:
    """What a handler wants.

    :ivar parameters: those that words are for, in order; a ``rest`` is the last of them.
    :ivar session: whether the session comes first.
    :ivar rest: whether the last parameter takes the rest of the line as it is.
    :ivar block: the name of the parameter that takes a literal.
    :ivar words: whether it wants the words themselves, in place of parameters.
    :ivar lines: whether it gives several lines.
    :ivar line: whether it wants the line itself, the name and all, in place of parameters.
    """

    parameters: tuple[Parameter, ...]
    session: bool = False
    rest: bool = False
    block: str | None = None
    words: bool = False
    lines: bool = False
    line: bool = False


def signature_of(function: Callable[..., Any], session: type, errors: str) -> Signature:
    """What a function's parameters and annotations ask for.

    :param session: the class of sessions: a first parameter with this annotation gets one.
    :param errors: how text that is not UTF-8 is decoded (see :meth:`bytes.decode`).
    :raises DefinitionError: for parameters that no line can give.
    """
    if not (inspect.isroutine(function) or hasattr(function, "__wrapped__")):
        raise DefinitionError(f"{function!r}: expected a function or a method")
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        given = list(inspect.signature(function).parameters.values())
    except (NameError, TypeError, ValueError) as error:
        raise DefinitionError(f"{_name(function)}: {error}") from None
    wants_session = bool(given) and _is_session(hints.get(given[0].name), session)
    parameters: list[Parameter] = []
    block: str | None = None
    words = rest = False
    for each in given[wants_session:]:
        if block or rest or (parameters and parameters[-1].repeated):
            raise DefinitionError(f"{_name(function)}: {each.name} comes after the last argument")
        hint = hints.get(each.name, str)
        _, role = _parts(hint)
        if each.kind in {each.KEYWORD_ONLY, each.VAR_KEYWORD}:
            raise DefinitionError(f"{_name(function)}: {each.name}: no word can be a keyword")
        if each.kind is each.VAR_POSITIONAL and role in _ALONE:
            raise DefinitionError(f"{_name(function)}: *{each.name}: expected no *")
        if role is _Role.BLOCK:
            block = each.name
        elif role is _Role.WORDS:
            words = True
        else:
            rest = role is _Role.REST
            parameters.append(_parameter(function, each, hint, errors))
    if words and parameters:
        raise DefinitionError(f"{_name(function)}: all words, or each for itself")
    lines = _gives_lines(function, hints.get("return"))
    return Signature(tuple(parameters), wants_session, rest, block, words, lines)


def _is_session(hint: object, session: type) -> bool:
    return isinstance(hint, type) and issubclass(hint, session)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))


def _parameter(
    function: Callable[..., Any], given: inspect.Parameter, hint: Any, errors: str
) -> Parameter:
    repeated = given.kind is given.VAR_POSITIONAL
    required = given.default is given.empty and not repeated
    default = None if given.default is given.empty else given.default
    bare, role = _parts(hint)
    try:
        name, expected, convert, choices = _kind(bare, errors)
    except LookupError:
        raise DefinitionError(
            f"{_name(function)}: {given.name}: no word can be {hint!r}: expected int, float, "
            "bool, str, bytes, Rest, Quoted, Block, Words, Address, Network, Literal or an Enum"
        ) from None
    except ValueError as error:
        raise DefinitionError(f"{_name(function)}: {given.name}: {error}") from None
    if role is not None:
        name, expected = role.value, _EXPECTED[role]
    return Parameter(given.name, name, expected, convert, required, repeated, choices, default)


def _parts(hint: Any) -> tuple[Any, _Role | None]:
    """Without ``Annotated`` and ``| None``, and what role that has said."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        bare, role = _parts(args[0])
        return bare, next((each for each in args[1:] if isinstance(each, _Role)), role)
    if origin in {types.UnionType, Union}:
        of = [each for each in args if each is not type(None)]
        if len(of) == 1:
            return _parts(of[0])
        for both in (Address, Network):
            if set(of) == set(typing.get_args(both)):
                return both, None
    return hint, None


def _kind(hint: Any, errors: str) -> tuple[str, str, Convert, tuple[str, ...] | None]:
    """Name, what is expected, converter and choices.

    :raises LookupError: if words cannot be this.
    :raises ValueError: if no word could be some of it.
    """
    if hint is str:
        return "str", "a word", _text(errors), None
    if typing.get_origin(hint) is Literal:
        return "choice", *_choice((str(each), each) for each in typing.get_args(hint))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        members = hint.__members__.items()  # with their other names
        return "choice", *_choice((name.lower(), each) for name, each in members)
    name, expected, convert = _SIMPLE[hint]
    return name, expected, convert, None


def _text(errors: str) -> Convert:
    if errors == "strict":
        return bytes.decode

    def decoded(word: bytes) -> str:
        return word.decode("utf-8", errors)

    return decoded


def _choice(choices: Iterable[tuple[str, object]]) -> tuple[str, Convert, tuple[str, ...]]:
    values: dict[str, object] = {}
    by_word: dict[bytes, object] = {}
    for name, value in choices:
        values[name] = value
        same = by_word.setdefault(name.lower().encode(), value)
        if same is not value:
            raise ValueError(f"{same!r} and {value!r} are the same word, in any case")

    def chosen(word: bytes) -> object:
        try:
            return by_word[word.lower()]
        except KeyError:
            raise BadWordError from None

    return f"one of {', '.join(values)}", chosen, tuple(values)


def _gives_lines(function: Callable[..., Any], hint: Any) -> bool:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return True
    args = typing.get_args(hint) if typing.get_origin(hint) is Generator else ()
    if args and args[0] not in _LINE and inspect.isgeneratorfunction(inspect.unwrap(function)):
        hint = args[-1]  # which ``inlineCallbacks`` gives
    return _several(hint)


def _several(hint: Any) -> bool:
    """Whether an annotation says that there are several lines, perhaps later or perhaps none."""
    of, args = typing.get_origin(hint) or hint, typing.get_args(hint)
    if of is Annotated:
        return _several(args[0])
    if of in {types.UnionType, Union}:
        return all(_several(each) for each in args if each is not type(None))
    if not isinstance(of, type):
        return False
    if issubclass(of, Awaitable):
        return bool(args) and _several(args[-1])
    return issubclass(of, Iterable | AsyncIterable) and not issubclass(of, _ONE)
