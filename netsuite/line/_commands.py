"""Commands: what they are called, what they take, and who may give them."""

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from netsuite.line._arguments import Parameter, Signature, shown_word
from netsuite.line._errors import CommandError, DefinitionError
from netsuite.line._runners import Runner, runner_of, unfit
from netsuite.line._wire import leading_words, words_of

#: How many names an error reply lists.
_LISTED = 20

#: Characters of a word that could be anything.
_SHORT = 3

#: How many bytes follow a line of words, their line end included if they have one; None for none.
Length = Callable[[list[bytes]], int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command.

    :ivar name: as help shows it.
    :ivar function: what is called; see :class:`~netsuite.line._arguments.Signature` for with what.
    :ivar summary: the first line of its help.
    :ivar details: the rest of its help.
    :ivar roles: a peer needs one of these; none for everybody who has logged in, where the
        program asks for that.
    :ivar open: whether a peer may give it before it has logged in.
    :ivar rate: times a second for each client (an IPv4 address, an IPv6 /64); None for no limit.
    :ivar parallel: whether it may run beside other commands that are parallel.
    :ivar exclusive: whether nothing behind it is looked at before it is answered: the
        bytes may be no lines any more.
    :ivar hidden: whether help and the list of commands leave it out.
    :ivar secret: whether transcripts and errors leave its arguments out.
    :ivar length: for commands of all words, how long a literal follows.
    """

    name: str
    function: Callable[..., Any]
    signature: Signature
    aliases: tuple[str, ...] = ()
    summary: str = ""
    details: str = ""
    roles: frozenset[str] = frozenset()
    open: bool = False
    rate: float | None = None
    parallel: bool = False
    exclusive: bool = False
    hidden: bool = False
    secret: bool = False
    length: Length | None = None
    #: What follows is derived, for the byte path: what runs it, if its lines need no closer
    #: look and nobody is asked before; and of how many words.
    run: Runner = unfit
    words: int = 0

    def told(self, text: str) -> str:
        """What a peer is told about it."""
        return text if self.hidden else f"{self.name}: {text}"

    @property
    def usage(self) -> str:
        """The command as one types it."""
        words = [self.name, *(each.shown for each in self.signature.parameters)]
        if self.signature.block:
            words.append("{n}")
        elif self.signature.words:
            words.append("...")
        return " ".join(words)

    def described(self) -> dict[str, object]:
        """As the list of commands has it."""
        return {
            "name": self.name,
            "aliases": list(self.aliases),
            "summary": self.summary,
            "arguments": [each.described() for each in self.signature.parameters],
            "reply": "lines" if self.signature.lines else "line",
            "literal": self.signature.block is not None,
            "roles": sorted(self.roles),
        }

    def arguments(self, line: bytes, words: list[bytes], most: int) -> list[object]:
        """The values of a line that has no literal, or whose literal was taken off.

        :param words: of the line, with quotes meaning nothing.
        :param most: words after the name that are taken at all.
        :raises CommandError: for words that are not what the command wants.
        """
        signature = self.signature
        if signature.words:
            return [words]
        if signature.line:
            return [line]
        parameters = signature.parameters
        fixed = len(parameters) - 1 if signature.rest else len(parameters)
        found = words
        rest: bytes | None = None
        try:
            if signature.rest:
                found, rest = _with_rest(line, fixed + 1)
            elif b'"' in line:
                found = words_of(line)
        except ValueError as error:
            raise CommandError("bad-argument", f"{self.name}: {error}") from None
        given = found[1:]
        if len(given) > max(most, fixed):
            raise CommandError("bad-argument", f"{self.name}: expected at most {most} arguments")
        values = [self._value(each, word) for each, word in self._paired(given, fixed)]
        left = parameters[len(given) : fixed]
        values.extend(self._default(each) for each in left if not each.repeated)
        if signature.rest:
            last = parameters[-1]
            values.append(self._default(last) if rest is None else self._value(last, rest))
        return values

    def _paired(self, given: list[bytes], fixed: int) -> Iterator[tuple[Parameter, bytes]]:
        parameters = self.signature.parameters
        repeated = fixed > 0 and parameters[fixed - 1].repeated
        if len(given) > fixed and not repeated:
            raise CommandError("bad-argument", f"too many arguments: expected {self.usage}")
        for index, word in enumerate(given):
            yield parameters[min(index, fixed - 1)], word

    def _default(self, parameter: Parameter) -> object:
        if parameter.required:
            expected = f"expected {self.usage}"
            raise CommandError("bad-argument", f"{parameter.name} is missing: {expected}")
        return parameter.default

    def _value(self, parameter: Parameter, word: bytes) -> object:
        try:
            return parameter.convert(word)
        except UnicodeDecodeError:
            raise CommandError("bad-encoding", f"{parameter.name}: expected UTF-8") from None
        except ValueError:
            shown = "" if self.secret else f' "{shown_word(word)}"'
            text = f"{parameter.name}{shown}: expected {parameter.expected}"
            raise CommandError("bad-argument", text) from None


def _with_rest(line: bytes, count: int) -> tuple[list[bytes], bytes | None]:
    """As :func:`leading_words`, and faster where there are no quotes."""
    if b'"' in line:
        return leading_words(line, count)
    words = line.split(None, count)
    end = len(line.removesuffix(b"".join(words[count:])).rstrip())
    return words[:count], line[end + 1 :] if len(words) >= count and end < len(line) else None


def names_of(what: str, names: object) -> tuple[str, ...]:
    """Names, roles for example; a text would be taken for as many names as it has letters.

    :param what: they are, for the error.
    :raises TypeError: for what is no collection of texts.
    """
    if (
        isinstance(names, str)
        or not isinstance(names, Collection)
        or not all(isinstance(each, str) for each in names)
    ):
        raise TypeError(f"{what} {names!r}: expected a collection of names")
    return tuple(names)


def define(
    function: Callable[..., Any], signature: Signature, name: str | None, **given: Any
) -> Command:
    """A command that calls a function.

    :param name: the function's own in upper case by default.
    :raises DefinitionError: for a name that no line can give, or a literal without a place.
    """
    known = function.__name__.strip("_").upper().replace("_", "-") if name is None else name
    try:
        given["aliases"] = names_of("aliases", given.get("aliases", ()))
        given["roles"] = frozenset(names_of("roles", given.get("roles", ())))
    except TypeError as error:
        raise DefinitionError(f"command {known}: {error}") from None
    for each in (known, *given["aliases"]):
        if not each or not each.isascii() or not each.isprintable() or '"' in each or " " in each:
            raise DefinitionError(f"command {each!r}: expected a word of ASCII characters")
    if given.get("length") is not None and not (signature.words and signature.block):
        raise DefinitionError(f"command {known}: length is for all words (Words) and a Block")
    if signature.block and given.get("length") is None:
        block = inspect.signature(function).parameters[signature.block]
        # Behind parameters that have a default Python wants one, which is never used.
        if block.default is not block.empty and all(each.required for each in signature.parameters):
            raise DefinitionError(
                f"command {known}: {block.name}: expected no default of a literal"
            )
    if given.get("rate") is not None and not given["rate"] > 0:
        raise DefinitionError(
            f"command {known}: rate {given['rate']}: expected more than 0 a second"
        )
    summary, _, details = (inspect.getdoc(function) or "").partition("\n")
    guarded = any(given.get(each) for each in ("rate", "roles", "exclusive"))
    run, words = (None if guarded else runner_of(function, signature)) or (unfit, 0)
    return Command(
        name=known,
        function=function,
        signature=signature,
        summary=summary.strip(),
        details=details.strip(),
        run=run,
        words=words,
        **given,
    )


class Commands:
    """Commands by name.

    :param exact: whether names are taken as they are written: no other case, no prefix.
    """

    def __init__(self, exact: bool = False) -> None:
        self.exact = exact
        self._by_name: dict[str, Command] = {}
        self._names: dict[str, None] = {}
        #: Takes the lines that begin with no command, if there is one.
        self.fallback: Command | None = None
        #: What makes words of a line, its line end included, where the wire is the program's own.
        self.words: Callable[[bytes], list[bytes]] | None = None
        #: Spellings that need no search.
        self.spelled: dict[bytes, Command] = {}

    def __iter__(self) -> Iterator[Command]:
        return (self._by_name[name] for name in self._names)

    def add(self, command: Command) -> None:
        """Take one more.

        :raises DefinitionError: for a name that is taken.
        """
        names = (command.name, *command.aliases)
        keys = [self._key(name) for name in names]
        for name, key in zip(names, keys, strict=True):
            if key in self._by_name or keys.count(key) > 1:
                raise DefinitionError(f"command {name}: there is one of that name")
        for name, key in zip(names, keys, strict=True):
            self._by_name[key] = command
            for spelling in {key, name} if self.exact else {key, name, name.lower()}:
                self.spelled[spelling.encode()] = command
        self._names[self._key(command.name)] = None

    @property
    def have_literals(self) -> bool:
        """Whether a count in braces at the end of a line means anything here."""
        return any(each.signature.block and not each.length for each in self)

    def remove(self, name: str) -> None:
        """Forget a command of ours, so that a program can have its own.

        :raises KeyError: if there is none.
        """
        command = self._by_name[self._key(name)]
        self._names.pop(self._key(command.name))
        for each in (command.name, *command.aliases):
            del self._by_name[self._key(each)]
        for spelling in [each for each, its in self.spelled.items() if its is command]:
            del self.spelled[spelling]

    def find(self, word: bytes) -> Command:
        """The command that a peer means.

        Names that are hidden are not guessed; where there is a fallback, none is.

        :raises CommandError: if there is none, or more than one.
        """
        found = self.spelled.get(word)
        if found is not None:
            return found
        shown = shown_word(word)
        key = self._key(word.decode("utf-8", "replace"))
        if key in self._by_name:
            return self._by_name[key]
        if self.fallback is not None:
            return self.fallback
        known = {name: each for name, each in self._by_name.items() if not each.hidden}
        if not self.exact:
            meant = {each.name: each for name, each in known.items() if name.startswith(key)}
            if len(meant) == 1:
                return next(iter(meant.values()))
            if meant:
                names = ", ".join(list(meant)[:_LISTED])
                raise CommandError("unknown-command", f'"{shown}" could be {names}')
        close = next((each for name, each in known.items() if _is_slip(key, name)), None)
        if close is not None:
            hint = f"did you mean {close.name}?"
        else:
            helps = self._key("HELP") in self._by_name
            hint = "HELP lists the commands" if helps else "there is no such command"
        raise CommandError("unknown-command", f'"{shown}": {hint}')

    def _key(self, name: str) -> str:
        return name if self.exact else name.upper()


def _is_slip(word: str, name: str) -> bool:
    """Whether a word is a name with one character too many, too few or other, or two swapped.

    Peers can ask for it with each short line, so this is no search for what is most like it.
    """
    if abs(len(word) - len(name)) > 1 or len(word) < _SHORT:
        return False
    same = next((at for at, (a, b) in enumerate(zip(word, name, strict=False)) if a != b), None)
    if same is None:
        return True
    left, wanted = word[same:], name[same:]
    swapped = left[1::-1] + left[2:]
    return wanted in {left[1:], swapped} or wanted[1:] in {left, left[1:]}
